//! Timers that the guest has armed. A guest that waits for one says nothing, and does not hang.

use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Owners of timers that are followed, against a guest that makes them up.
const MAX_OWNERS: usize = 1024;

/// The latest deadline of each owner of timers, in ns of machine time.
#[derive(Debug, Default)]
pub struct Armed(BTreeMap<u32, u64>);

impl Armed {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::TimerArm if self.0.len() < MAX_OWNERS || self.0.contains_key(&event.object) => {
                let deadline = self.0.entry(event.object).or_default();
                *deadline = event.arg.max(*deadline);
            }
            // Of an owner with several timers, the trace does not say which. Whoever has more than one is waited for too briefly rather than too long.
            Kind::TimerCancel => _ = self.0.remove(&event.object),
            _ => {}
        }
    }

    /// Whether a timer is armed for later than `now`.
    pub fn any_after(&self, now: u64) -> bool {
        self.0.values().any(|deadline| *deadline > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(events: &[Event]) -> Armed {
        let mut armed = Armed::default();
        events.iter().for_each(|event| armed.event(event));
        armed
    }

    #[test]
    fn a_timer_is_waited_for_until_it_is_due_or_cancelled() {
        let arm = |object, at| Event::new(Kind::TimerArm).object(object).arg(at);
        let watchdogs = [arm(1, 100), arm(2, 50), arm(1, 70)];
        let armed_now = armed(&watchdogs);
        assert!(armed_now.any_after(99) && !armed_now.any_after(100));
        let cancelled = armed(&[&watchdogs[..], &[Event::new(Kind::TimerCancel).object(1)]].concat());
        assert!(cancelled.any_after(49) && !cancelled.any_after(50));
    }

    #[test]
    fn owners_are_bounded() {
        let arm = |object| Event::new(Kind::TimerArm).object(object).arg(10);
        let armed = armed(&(0..5000).map(arm).collect::<Vec<_>>());
        assert_eq!(armed.0.len(), MAX_OWNERS);
    }
}
