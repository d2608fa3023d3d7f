//! O1: objects whose references a driver counts by hand.

use crate::prelude::*;
use iokit::{Class, Counted, class::IO_SERVICE};

static BLOCK: Class = Class::new("MockBlock", &IO_SERVICE);

/// `misuse` must make the kernel panic with O1, saying `words`.
fn is_fatal(lab: &Lab<'_>, words: &str, misuse: fn(&Counted<u32>)) {
    let runs = lab.panicking(&["O1", words, "MockBlock"], move |kit| misuse(&Counted::new(kit, &BLOCK, 7)));
    for run in runs {
        assert_eq!(run.violations(), ["O1"], "{}", run.name());
    }
}

fn o1_over_release_panics(lab: &Lab<'_>) {
    is_fatal(lab, "release of a freed object", |object| {
        object.release();
        object.release();
    });
}

fn o1_retain_after_free_panics(lab: &Lab<'_>) {
    is_fatal(lab, "retain of a freed object", |object| {
        object.release();
        object.retain();
    });
}

fn o1_use_after_free_panics(lab: &Lab<'_>) {
    is_fatal(lab, "use of a freed object", |object| {
        object.release();
        object.with(|value| assert_eq!(*value, 7));
    });
}

fn o1_the_last_release_frees_and_the_instance_is_counted(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
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

table! {
    o1_over_release_panics,
    o1_retain_after_free_panics,
    o1_use_after_free_panics,
    o1_the_last_release_frees_and_the_instance_is_counted,
}
