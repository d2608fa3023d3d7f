//! DQ1: data queues.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use iokit::io::{Consumer, ENTRY_MAX, Producer, data_queue};
use mach::{Policy, WaitMode, WaitResult, band};

/// A queue with room for `entries` entries of `size` bytes, and a count of its notifications.
fn counted(kernel: &mach::KernelRef, entries: usize, size: usize) -> (Producer, Consumer, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let mine = count.clone();
    let notify = move || {
        mine.fetch_add(1, Ordering::SeqCst);
    };
    let (producer, consumer) = data_queue(kernel, entries, size, notify).unwrap();
    (producer, consumer, count)
}

/// Entry `n`: its length and bytes follow from `n`.
fn entry(n: usize) -> Vec<u8> {
    (0..n * 7 % 23).map(|i| (n + i) as u8).collect()
}

fn dq1_full_is_false_and_nothing_is_written(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (mut producer, mut consumer, _) = counted(kit.kernel(), 3, 8);
        assert!((0..3u64).all(|n| producer.enqueue(&n.to_le_bytes())));
        assert!(!producer.enqueue(&[9; 8]));
        assert!(!producer.enqueue(&[]), "not even the length of an empty one fits");
        assert_eq!(consumer.dequeue(), Ok(Some(vec![0; 8])));
        assert!(!producer.enqueue(&[9; 9]), "one byte too many");
        assert!(producer.enqueue(&[3, 0, 0, 0, 0, 0, 0, 0]));
        for n in 1..4u64 {
            assert_eq!(consumer.dequeue(), Ok(Some(n.to_le_bytes().to_vec())));
        }
        assert_eq!((consumer.dequeue(), consumer.is_empty()), (Ok(None), true));
        assert!(!producer.enqueue(&vec![0; ENTRY_MAX + 1]));
        assert!(data_queue(kit.kernel(), usize::MAX, 2, || ()).is_none());
        assert!(data_queue(kit.kernel(), 1, usize::MAX, || ()).is_none());
    });
}

fn dq1_entries_have_any_size_and_go_round_the_end(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (mut producer, mut consumer, _) = counted(kit.kernel(), 4, 16);
        for n in 0..200 {
            assert!(producer.enqueue(&entry(n)) && producer.enqueue(&entry(n + 1)));
            assert_eq!(consumer.peek_length(), Ok(Some(entry(n).len())));
            assert_eq!(consumer.dequeue(), Ok(Some(entry(n))));
            assert_eq!(consumer.dequeue(), Ok(Some(entry(n + 1))));
        }
    });
}

fn dq1_notified_only_when_it_was_empty(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (mut producer, mut consumer, count) = counted(kit.kernel(), 4, 8);
        let told = || count.load(Ordering::SeqCst);
        assert!(producer.enqueue(b"a") && told() == 1);
        assert!(producer.enqueue(b"b") && told() == 1, "it was not empty");
        consumer.dequeue().unwrap();
        assert!(producer.enqueue(b"c") && told() == 1, "nor now");
        while consumer.dequeue().unwrap().is_some() {}
        assert!(producer.enqueue(b"d") && told() == 2);
        while producer.enqueue(b"e") {}
        assert_eq!(told(), 2, "nor for what did not fit");
    });
}

/// Producer and consumer on threads of their own; `wait` is how the consumer waits for more.
fn race(kit: &iokit::IoKit, entries: usize, wait: fn(&mut Consumer, &mach::KernelRef)) -> u32 {
    const MANY: usize = 40;
    let (mut producer, mut consumer, count) = counted(kit.kernel(), entries, 24);
    let consume = move |kernel: &mach::KernelRef| {
        for n in 0..MANY {
            let data = loop {
                match consumer.dequeue().unwrap() {
                    Some(data) => break data,
                    None => wait(&mut consumer, kernel),
                }
            };
            assert_eq!(data, entry(n));
        }
        assert!(consumer.is_empty());
    };
    let produce = move |kernel: &mach::KernelRef| {
        for n in 0..MANY {
            while !producer.enqueue(&entry(n)) {
                kernel.delay(500);
            }
        }
    };
    let consumer = kit.kernel().spawn("consumer", band::DEFAULT, Policy::Fixed, consume).unwrap();
    let producer = kit.kernel().spawn("producer", band::DEFAULT, Policy::Fixed, produce).unwrap();
    consumer.join(kit.kernel());
    producer.join(kit.kernel());
    count.load(Ordering::SeqCst)
}

fn dq1_one_producer_and_one_consumer_need_no_lock(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        for entries in [1, 2, 7] {
            race(kit, entries, |_, kernel| kernel.delay(300));
        }
    });
}

fn dq1_a_consumer_that_waits_is_always_notified(lab: &Lab<'_>) {
    // A lost notification would let the machine idle for ever, which the simulator reports.
    lab.everywhere(|kit| {
        for entries in [1, 3] {
            let notified = race(kit, entries, |consumer, _| {
                assert_eq!(consumer.wait(WaitMode::Uninterruptible, None), WaitResult::Awakened);
            });
            assert!((1..=40).contains(&notified));
        }
    });
}

fn dq1_waiting_ends_with_the_deadline_or_at_once(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (mut producer, mut consumer, _) = counted(kit.kernel(), 2, 8);
        let late = kit.kernel().now() + 10_000;
        assert_eq!(consumer.wait(WaitMode::Interruptible, Some(late)), WaitResult::TimedOut);
        assert!(producer.enqueue(b"x"));
        assert_eq!(consumer.wait(WaitMode::Interruptible, None), WaitResult::Awakened);
        assert_eq!(consumer.dequeue(), Ok(Some(b"x".to_vec())));
    });
}

table! {
    dq1_full_is_false_and_nothing_is_written,
    dq1_entries_have_any_size_and_go_round_the_end,
    dq1_notified_only_when_it_was_empty,
    dq1_one_producer_and_one_consumer_need_no_lock,
    dq1_a_consumer_that_waits_is_always_notified,
    dq1_waiting_ends_with_the_deadline_or_at_once,
}
