//! Where a machine is to stop: a time, or an event.

use crate::machine::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use trace::{Event, Kind};

/// An event that is awaited.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    kind: Kind,
    slot: Option<u32>,
    count: u64,
}

/// Where a machine is to stop, and whether it is there.
pub struct Halt {
    /// Plan time, ns; `u64::MAX` = none.
    plan_time: AtomicU64,
    event: Mutex<Option<Awaited>>,
    here: AtomicBool,
}

impl Default for Halt {
    fn default() -> Self {
        Self { plan_time: AtomicU64::new(u64::MAX), event: Mutex::new(None), here: AtomicBool::new(false) }
    }
}

impl Halt {
    /// At this plan time.
    pub fn at_time(&self, plan_time: u64) {
        self.plan_time.store(plan_time, Ordering::Release);
    }

    /// At the `count`-th event of this kind (of this slot) from now on. The ring must be armed anew.
    pub fn at_event(&self, kind: Kind, slot: Option<u32>, count: u64) {
        *lock(&self.event) = Some(Awaited { kind, slot, count: count.max(1) });
    }

    /// The kind of event that is awaited.
    pub fn kind(&self) -> Option<Kind> {
        lock(&self.event).as_ref().map(|awaited| awaited.kind)
    }

    /// The machine time to stop at, if plan time zero is machine time `zero`; `u64::MAX` = none, or not known yet.
    pub fn time(&self, zero: u64) -> u64 {
        match self.plan_time.load(Ordering::Acquire) {
            u64::MAX => u64::MAX,
            time => zero.saturating_add(time),
        }
    }

    /// The guest recorded `event`; true if that is where to stop.
    pub fn is_here(&self, event: &Event) -> bool {
        let mut place = lock(&self.event);
        let Some(awaited) = &mut *place else { return false };
        if awaited.kind != event.kind || awaited.slot.is_some_and(|slot| slot != event.slot) {
            return false;
        }
        awaited.count -= 1;
        if awaited.count > 0 {
            return false;
        }
        *place = None;
        self.here.store(true, Ordering::Release);
        true
    }

    /// Whether the machine is where it was to stop, now that it is machine time `now`; true once.
    pub fn reached(&self, zero: u64, now: u64) -> bool {
        let in_time = now >= self.time(zero);
        if in_time {
            self.plan_time.store(u64::MAX, Ordering::Release);
        }
        self.here.swap(false, Ordering::AcqRel) | in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_from_the_plans_zero_and_is_reached_once() {
        let halt = Halt::default();
        assert!(!halt.reached(0, u64::MAX - 1));
        halt.at_time(5);
        assert_eq!(halt.time(u64::MAX), u64::MAX);
        assert!(!halt.reached(100, 104) && halt.reached(100, 105) && !halt.reached(100, 106));
    }

    #[test]
    fn an_event_is_the_nth_of_its_kind_and_slot() {
        let halt = Halt::default();
        let stop = |slot| Event::new(Kind::Stop).slot(slot);
        assert!(!halt.is_here(&stop(1)));
        halt.at_event(Kind::Stop, Some(1), 2);
        assert_eq!(halt.kind(), Some(Kind::Stop));
        let here =
            [stop(1), stop(2), Event::new(Kind::Start).slot(1), stop(1), stop(1)].map(|e| halt.is_here(&e));
        assert_eq!(here, [false, false, false, true, false]);
        assert!(halt.kind().is_none() && halt.reached(0, 0) && !halt.reached(0, 0));
    }
}
