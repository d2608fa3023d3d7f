//! What is armed happens as often as it should, and what is held back comes in its order.

use super::*;

#[test]
fn each_fault_happens_as_often_as_it_was_asked_for() {
    let mut faults = Faults::default();
    assert!(faults.arm(DeviceFault::Drop { count: 2 }));
    assert!(faults.arm(DeviceFault::Delay { what: What::Interrupt, by: 5, count: 1 }));
    assert!(faults.arm(DeviceFault::Duplicate { what: What::Interrupt, after: 7, count: 1 }));
    let fates: Vec<_> = (0..5).map(|now| faults.interrupt(0, now)).collect();
    assert_eq!(fates, [Fate::Lost, Fate::Lost, Fate::Late(7), Fate::Twice(10), Fate::Pass]);
    assert!(faults.arm(DeviceFault::LateDma { by: 3, count: 1 }));
    assert!(faults.arm(DeviceFault::ShortDma { count: 1 }));
    assert!(faults.arm(DeviceFault::Corrupt { count: 1 }));
    let writes: Vec<_> = (0..4).map(|now| faults.dma_write(now)).collect();
    assert_eq!(writes, [Write::Late(3), Write::Short, Write::Corrupt, Write::Pass]);
    assert!(!faults.arm(DeviceFault::Spurious));
}

#[test]
fn a_mute_device_keeps_what_is_armed_for_later() {
    let mut faults = Faults::default();
    faults.arm(DeviceFault::Drop { count: 1 });
    faults.mute(10);
    assert_eq!(faults.interrupt(0, 9), Fate::Muted);
    assert!(faults.line_is_held(9) && !faults.line_is_held(10));
    assert_eq!(faults.interrupt(0, 10), Fate::Lost);
}

#[test]
fn held_ticks_keep_their_order() {
    let mut faults = Faults::default();
    faults.arm(DeviceFault::Delay { what: What::Completion, by: 10, count: 1 });
    assert_eq!(faults.slow_down(0), Some(10));
    assert!(faults.hold_tick(1, 0) && faults.hold_tick(2, 9) && faults.hold_tick(3, 10));
    assert_eq!(faults.next_tick(9), None);
    let ticks: Vec<_> = std::iter::from_fn(|| faults.next_tick(10)).collect();
    assert_eq!(ticks, [1, 2, 3]);
    assert!(!faults.hold_tick(4, 10));
}

#[test]
fn a_frozen_device_takes_writes_in_up_to_a_bound() {
    let mut faults = Faults::default();
    faults.freeze(u64::MAX);
    let write = |offset| HeldWrite { bar: 0, msix: false, offset, bytes: [0; 8], length: 4 };
    for _ in 0..3 {
        faults.hold_write(write(0), true);
    }
    (0..2_000).for_each(|n| faults.hold_write(write(n), false));
    assert_eq!((faults.next_write(), faults.writes.len()), (None, HELD_WRITES));
    assert!(!faults.thaw(u64::MAX - 1));
    faults.reset();
    assert_eq!((faults.is_frozen(), faults.next_write()), (false, None));
}

#[test]
fn a_race_waits_for_the_next_timer_and_follows_it() {
    let mut faults = Faults::default();
    faults.start_race(true);
    assert_eq!(faults.interrupt(0, 1), Fate::Pass, "no timer is armed");
    faults.timer(7, Some(100), 1);
    faults.timer(8, Some(50), 1);
    assert_eq!(faults.interrupt(3, 2), Fate::Race(50));
    assert_eq!(faults.interrupt(3, 3), Fate::Merged);
    assert_eq!(faults.timer(8, None, 4), Some(Some(100)));
    assert_eq!(faults.end_race(Some(50)), None);
    assert_eq!(faults.timer(9, Some(200), 5), None, "later than the one that counts");
    assert_eq!(faults.timer(7, None, 6), Some(Some(200)));
    assert_eq!(faults.timer(9, None, 7), Some(None));
    assert_eq!(faults.end_race(None).map(|raced| raced.index), Some(3));
}
