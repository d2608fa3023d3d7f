//! What must not happen at primary interrupt level: a gate is not closed there, because that may have to wait (FI1).

use trace::{Event, Kind};

/// CPUs that are remembered: more than a machine can have.
const CPUS: u8 = 64;

/// Which CPUs are at primary interrupt level.
#[derive(Default)]
pub struct Level {
    inside: u64,
}

impl Level {
    /// Looks at the next event; true if it closes a gate at interrupt level.
    pub fn event(&mut self, event: &Event) -> bool {
        if event.cpu >= CPUS {
            return false;
        }
        let bit = 1 << event.cpu;
        match event.kind {
            Kind::Interrupt => self.inside |= bit,
            // A handler does not come back from a dispatch: whatever follows one is a thread's.
            Kind::InterruptEnd | Kind::Dispatch => self.inside &= !bit,
            Kind::GateClose => return self.inside & bit != 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(cpu: u8, kind: Kind) -> Event {
        Event { cpu, ..Event::new(kind) }
    }

    #[test]
    fn a_gate_is_closed_by_threads_only() {
        let mut level = Level::default();
        assert!(!level.event(&on(0, Kind::GateClose)));
        level.event(&on(0, Kind::Interrupt));
        assert!(level.event(&on(0, Kind::GateClose)));
        assert!(!level.event(&on(1, Kind::GateClose)), "another CPU");
        level.event(&on(0, Kind::InterruptEnd));
        assert!(!level.event(&on(0, Kind::GateClose)));
    }

    #[test]
    fn what_follows_a_dispatch_is_a_threads_and_no_cpu_is_too_many() {
        let mut level = Level::default();
        level.event(&on(3, Kind::Interrupt));
        level.event(&on(3, Kind::Dispatch));
        assert!(!level.event(&on(3, Kind::GateClose)));
        level.event(&on(255, Kind::Interrupt));
        assert!(!level.event(&on(255, Kind::GateClose)));
    }
}
