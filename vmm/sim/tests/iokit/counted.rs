//! O1: objects whose references a driver counts by hand.

use iokit::{Class, Counted, class::IO_SERVICE};
use sim::Ended;

use crate::world::{SEEDS, everywhere, run};

static BLOCK: Class = Class::new("MockBlock", &IO_SERVICE);

/// `misuse` must end the machine with O1, saying `words`.
fn is_fatal(words: &str, misuse: fn(&Counted<u32>)) {
    for seed in 0..SEEDS {
        let run = run(seed, "", move |kit| misuse(&Counted::new(kit, &BLOCK, 7)));
        let Ended::Fatal { message } = &run.outcome.ended else {
            panic!("seed {seed}: {:?}", run.outcome.ended)
        };
        assert!(
            message.contains("O1") && message.contains(words) && message.contains("MockBlock"),
            "{message}"
        );
        assert_eq!(run.violations(), ["O1"]);
    }
}

#[test]
fn o1_over_release_panics() {
    is_fatal("release of a freed object", |object| {
        object.release();
        object.release();
    });
}

#[test]
fn o1_retain_after_free_panics() {
    is_fatal("retain of a freed object", |object| {
        object.release();
        object.retain();
    });
}

#[test]
fn o1_use_after_free_panics() {
    is_fatal("use of a freed object", |object| {
        object.release();
        object.with(|value| assert_eq!(*value, 7));
    });
}

#[test]
fn o1_the_last_release_frees_and_the_instance_is_counted() {
    everywhere(|kit| {
        let object = Counted::new(kit, &BLOCK, String::from("x"));
        assert_eq!((object.retain_count(), kit.instances("MockBlock")), (1, 1));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                object.retain();
                let object = object.clone();
                let body = move |_: &mach::KernelRef| {
                    object.retain();
                    object.with(|text| assert_eq!(text, "x"));
                    object.release();
                    object.release();
                };
                kit.kernel().spawn("user", mach::band::DEFAULT, mach::Policy::Fixed, body).unwrap()
            })
            .collect();
        object.release();
        for thread in threads {
            thread.join(kit.kernel());
        }
        assert_eq!((object.retain_count(), kit.instances("MockBlock")), (0, 0));
    });
}
