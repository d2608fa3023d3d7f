//! The order in which classes of locks are taken.

use mach::{KernelRef, LockClass, MAX_CLASSES, Mutex, RecursiveLock, RwLock, WaitMode, band};
use sim::{Ended, Sim, harness};
use std::sync::Arc;
use trace::{Event, Kind};

use super::spawn;

/// The class that was taken, and the one that was held.
type Order = (String, String);

/// Runs `body` under many seeds, each of which must end in order, and gives what lock orders were complained of: (taken, held), and the console.
fn complaints(body: impl Fn(&KernelRef) + Send + Sync + 'static) -> Vec<(Vec<Order>, Vec<String>)> {
    let body = Arc::new(body);
    (0..20)
        .map(|seed| {
            let body = body.clone();
            let (outcome, events) =
                harness::traced(Sim::builder().cpus(2).seed(seed), move |kernel| body(kernel));
            assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {}", harness::report(&outcome, &events));
            (violations(&events), outcome.console)
        })
        .collect()
}

fn violations(events: &[Event]) -> Vec<Order> {
    let named = |object| {
        let mut names = events.iter().filter(|event| event.kind == Kind::Name && event.object == object);
        names.next_back().map_or(String::new(), |event| event.text_str().to_owned())
    };
    let found = events.iter().filter(|event| event.kind == Kind::Violation);
    found
        .map(|event| {
            assert_eq!(event.text_str(), "lock-order");
            (named(event.object), named(event.other))
        })
        .collect()
}

fn none(body: impl Fn(&KernelRef) + Send + Sync + 'static) {
    for (found, console) in complaints(body) {
        assert!(found.is_empty(), "{found:?} {console:?}");
    }
}

fn lock(kernel: &KernelRef, class: &str) -> RecursiveLock {
    RecursiveLock::in_class(kernel, kernel.lock_class(class))
}

/// Takes the locks in order and drops them the other way round.
fn nest(kernel: &KernelRef, locks: &[&RecursiveLock]) {
    locks.iter().for_each(|lock| lock.lock(kernel));
    locks.iter().rev().for_each(|lock| _ = lock.unlock(kernel));
}

/// The deadlock does not happen, under no schedule: one thread does one after the other.
#[test]
fn opposite_orders_are_reported_once_with_both_names() {
    for (found, console) in complaints(|kernel| {
        let (a, b) = (lock(kernel, "inner gate"), lock(kernel, "outer gate"));
        for _ in 0..3 {
            nest(kernel, &[&b, &a]);
            nest(kernel, &[&a, &b]);
        }
    }) {
        assert_eq!(found, [("outer gate".to_owned(), "inner gate".to_owned())]);
        let line = console.iter().find(|line| line.starts_with("lock-order: thread #")).expect("a line");
        assert!(line.contains("takes outer gate while it holds inner gate"), "{line}");
        assert!(line.contains("outer gate, then inner gate"), "{line}");
    }
}

#[test]
fn a_circle_of_three_through_other_kinds_of_locks_is_reported() {
    for (found, console) in complaints(|kernel| {
        let a = lock(kernel, "a");
        let b = Mutex::in_class(kernel, kernel.lock_class("b"), ());
        let c = RwLock::in_class(kernel, kernel.lock_class("c"), ());
        a.lock(kernel);
        drop(b.lock(kernel));
        a.unlock(kernel);
        {
            let _b = b.lock(kernel);
            drop(c.read(kernel));
        }
        let _c = c.write(kernel);
        nest(kernel, &[&a]);
    }) {
        assert_eq!(found, [("a".to_owned(), "c".to_owned())]);
        assert!(console.iter().any(|line| line.contains("a, then b, then c")), "{console:?}");
    }
}

/// Two threads that do deadlock have said why before they wait.
#[test]
fn a_deadlock_does_not_keep_its_reason_to_itself() {
    let (outcome, events) = harness::traced(Sim::builder().cpus(1).seed(0), |kernel| {
        let locks = Arc::new(["one", "two"].map(|class| lock(kernel, class)));
        let threads = [0, 1].map(|n| {
            let locks = locks.clone();
            spawn(kernel, "abba", band::KERNEL, move |kernel| {
                locks[n].lock(kernel);
                kernel.delay(100_000);
                locks[1 - n].lock(kernel);
            })
        });
        threads.iter().for_each(|thread| thread.join(kernel));
    });
    assert_eq!(outcome.ended, Ended::Deadlock);
    let rules: Vec<_> =
        events.iter().filter(|e| e.kind == Kind::Violation).map(|e| e.text_str().to_owned()).collect();
    assert_eq!(rules, ["lock-order", "deadlock"]);
}

/// A sleep takes its lock again while the others are held: that is an order too.
#[test]
fn sleeping_on_the_outer_lock_turns_the_order_round() {
    for (found, _) in complaints(|kernel| {
        let (outer, inner) = (lock(kernel, "outer"), lock(kernel, "inner"));
        outer.lock(kernel);
        inner.lock(kernel);
        outer.sleep(kernel, kernel.new_event(), WaitMode::Uninterruptible, Some(kernel.now() + 1_000));
        inner.unlock(kernel);
        outer.unlock(kernel);
    }) {
        assert_eq!(found, [("outer".to_owned(), "inner".to_owned())]);
    }
}

#[test]
fn sleeping_on_the_inner_lock_keeps_it() {
    none(|kernel| {
        let (outer, inner) = (lock(kernel, "outer"), lock(kernel, "inner"));
        for _ in 0..3 {
            outer.lock(kernel);
            inner.lock(kernel);
            inner.sleep(kernel, kernel.new_event(), WaitMode::Uninterruptible, Some(kernel.now() + 1_000));
            inner.unlock(kernel);
            outer.unlock(kernel);
        }
        assert_eq!(kernel.lock_order(), [("outer".to_owned(), "inner".to_owned())]);
    });
}

/// Whoever owns a lock may take it again with anything in between.
#[test]
fn a_level_more_is_no_new_lock() {
    none(|kernel| {
        let (a, b) = (lock(kernel, "a"), lock(kernel, "b"));
        nest(kernel, &[&a, &b, &a, &b, &a]);
        nest(kernel, &[&a, &b]);
    });
}

/// Instances of one class are ordered by something that classes do not know.
#[test]
fn two_locks_of_a_class_have_no_order() {
    none(|kernel| {
        let (one, other, inner) = (lock(kernel, "gate"), lock(kernel, "gate"), lock(kernel, "inner"));
        nest(kernel, &[&one, &other, &inner]);
        nest(kernel, &[&other, &one, &inner]);
        assert_eq!(kernel.lock_order(), [("gate".to_owned(), "inner".to_owned())]);
    });
}

/// What gives up instead of waiting closes no circle; what it then waits for may.
#[test]
fn an_attempt_is_no_wait() {
    none(|kernel| {
        let (a, b) = (lock(kernel, "a"), lock(kernel, "b"));
        nest(kernel, &[&a, &b]);
        b.lock(kernel);
        assert!(a.try_lock(kernel));
        a.unlock(kernel);
        b.unlock(kernel);
    });
    for (found, _) in complaints(|kernel| {
        let (a, b) = (lock(kernel, "a"), lock(kernel, "b"));
        nest(kernel, &[&a, &b]);
        assert!(b.try_lock(kernel));
        nest(kernel, &[&a]);
        b.unlock(kernel);
    }) {
        assert_eq!(found, [("a".to_owned(), "b".to_owned())]);
    }
}

/// Each thread has its own nesting; handing a lock over moves it from one to the other.
#[test]
fn threads_that_take_turns_in_one_order_raise_no_alarm() {
    none(|kernel| {
        let locks = Arc::new(["a", "b", "c"].map(|class| lock(kernel, class)));
        let threads: Vec<_> = (0..5)
            .map(|n| {
                let locks = locks.clone();
                spawn(kernel, "worker", 30 + n, move |kernel| {
                    for _ in 0..4 {
                        locks[0].lock(kernel);
                        locks[1].lock(kernel);
                        // Dropped out of order.
                        locks[0].unlock(kernel);
                        locks[2].lock(kernel);
                        kernel.delay(1_000);
                        locks[1].unlock(kernel);
                        locks[2].unlock(kernel);
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        let edges = [("a", "b"), ("b", "c")].map(|(held, taken)| (held.to_owned(), taken.to_owned()));
        assert_eq!(kernel.lock_order(), edges);
    });
}

#[test]
fn there_are_only_so_many_classes() {
    none(|kernel| {
        let classes: Vec<_> = (0..MAX_CLASSES).map(|n| kernel.lock_class(&format!("class {n}"))).collect();
        assert!(classes.iter().all(|class| !class.is_none()));
        assert_eq!(kernel.lock_class("one too many"), LockClass::NONE);
        assert_eq!(kernel.lock_class("class 63"), classes[63]);
        let (a, b) = (lock(kernel, "class 63"), lock(kernel, "one too many"));
        nest(kernel, &[&a, &b]);
        nest(kernel, &[&b, &a]);
    });
}

#[test]
fn where_nobody_reads_the_trace_locks_have_no_classes() {
    let (outcome, _) = harness::traced(Sim::builder().untraced(), |kernel| {
        assert_eq!(kernel.lock_class("a"), LockClass::NONE);
        let (a, b) = (lock(kernel, "a"), lock(kernel, "b"));
        nest(kernel, &[&a, &b]);
        nest(kernel, &[&b, &a]);
        assert!(kernel.lock_order().is_empty());
    });
    assert_eq!((outcome.ended, outcome.console), (Ended::Done, Vec::new()));
}
