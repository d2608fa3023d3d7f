//! What is known when a machine has ended.

use crate::ending::{CpuReport, Ending};
use inspect::core::Written;
use std::fmt::Write;

/// What a run has to tell when it is over.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ending: Ending,
    /// Processors at the end.
    pub cpus: Vec<CpuReport>,
    /// The last console lines.
    pub console: Vec<String>,
    /// The core that was written, or why it could not be; `None`: none was wanted, or none was called for.
    pub core: Option<Result<Written, String>>,
    /// Host seconds to a machine second.
    pub slow_down: u64,
    /// Machine time at the end, ns.
    pub machine_time: u64,
    /// Records in the guest's trace ring that were garbled.
    pub garbled: u64,
    /// How often each site of each card was passed: number of the slot, and counts in the order of
    /// [`Site::ALL`](devices::fault::plane::Site::ALL).
    pub sites: Vec<(u32, [u64; devices::fault::plane::SITES])>,
}

impl Outcome {
    /// Everything for people: the ending, each processor with registers, code and function, and the last console lines.
    pub fn describe(&self) -> String {
        let mut text = format!("{}\n", self.ending);
        if self.garbled > 0 {
            // Writing into a string cannot fail.
            _ = writeln!(text, "{} records of the guest's trace were garbled", self.garbled);
        }
        for cpu in &self.cpus {
            _ = writeln!(text, "{cpu}");
        }
        match self.console.is_empty() {
            true => text.push_str("nothing on the console\n"),
            false => text.push_str("last console lines:\n"),
        }
        for line in &self.console {
            _ = writeln!(text, "  | {line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_description_has_all_that_is_known() {
        let outcome = Outcome {
            ending: Ending::TripleFault { cpu: 1 },
            cpus: vec![CpuReport {
                cpu: 1,
                registers: vec![("rip", 0x10_0000)],
                code: vec![0x0f, 0x0b],
                symbol: Some("start+0x10".to_owned()),
                callers: vec![(0x20_0000, Some("main+0x5".to_owned())), (0x30_0000, None)],
                halted: true,
                worked: Duration::ZERO,
            }],
            console: vec!["hello".to_owned()],
            core: None,
            slow_down: 17,
            machine_time: 1_000_002_000,
            garbled: 3,
            sites: Vec::new(),
        };
        let text = outcome.describe();
        let parts = [
            "triple fault on cpu1",
            "3 records",
            "0000000000100000",
            "0f 0b",
            "start+0x10",
            "from   main+0x5",
            "0000000000300000",
            "halted",
            "  | hello",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
