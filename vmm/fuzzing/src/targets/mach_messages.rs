//! Mach messages and ports: two hostile tasks in a whole kernel. Bytes decide what they ask, and when they die.

use crate::target::{Features, Target, Trouble};
use explore::coverage::Coverage;
use sim::{Ended, hostile};

/// Bytes of an input.
const MOST: usize = 1024;

/// The target.
pub struct MachMessages;

impl Target for MachMessages {
    fn name(&self) -> &'static str {
        "mach_messages"
    }

    fn about(&self) -> &'static str {
        "two hostile tasks: traps, messages, rights, memory, IOKit's ports, and the moments of their deaths"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        super::machine::noise(&[48, 200, 800])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let mut coverage = Coverage::default();
        coverage.begin();
        let report = hostile::task_told(&input[..input.len().min(MOST)], &mut |event| coverage.event(event));
        coverage.take_fresh().into_iter().for_each(|state| features.note(state));
        let report = match report {
            Ok(report) => report,
            Err(error) => return Some(Trouble::new("no-start", error.to_string())),
        };
        let rule = match &report.outcome.ended {
            _ if report.is_sound() => return None,
            Ended::Done | Ended::Stopped => "leak",
            Ended::Fatal { .. } => "panic",
            Ended::Deadlock | Ended::Stuck { .. } => "hang",
        };
        Some(Trouble::new(rule, format!("{report:#?}")))
    }

    fn describe(&self, input: &[u8]) -> String {
        // There is no other form: a byte is an act or a part of one, as the act before it wants.
        format!("# hostile tasks of {} bytes: {input:02x?}\n", input.len().min(MOST))
    }
}
