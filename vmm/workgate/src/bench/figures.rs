//! The figures and their limits: what SPECIFICATION.md says, as data.

use std::fmt;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Told for information.
    None,
}

impl Bound {
    /// Whether `value` is within; `None` if there is no bound.
    pub fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(value <= limit),
            Self::AtLeast(limit) => Some(value >= limit),
            Self::None => None,
        }
    }
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name in SPECIFICATION.md and in reports.
    pub id: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Unit of its value and its bound; `×` = a ratio to the peer.
    pub unit: &'static str,
    /// Its limit.
    pub bound: Bound,
}

impl fmt::Display for Figure {
    /// The limit with its unit, as SPECIFICATION.md has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::AtMost(limit) => write!(f, "≤ {} {}", number(limit), self.unit),
            Bound::AtLeast(limit) => write!(f, "≥ {} {}", number(limit), self.unit),
            Bound::None => f.write_str("none"),
        }
    }
}

/// Every figure that `workgate bench` measures.
pub const FIGURES: &[Figure] = &[
    Figure {
        id: "start-to-verdict",
        what: "start of the process to the verdict of the smallest plan, simulator",
        unit: "ms",
        bound: Bound::AtMost(100.0),
    },
    Figure {
        id: "start-to-guest",
        what: "start of the process to the guest's first instruction, to QEMU q35's",
        unit: "×",
        bound: Bound::AtMost(0.333),
    },
    Figure {
        id: "guest-to-thread",
        what: "the guest's first instruction to its first kernel thread, to QEMU q35's",
        unit: "×",
        bound: Bound::AtMost(1.0),
    },
    Figure {
        id: "boot-instructions",
        what: "guest instructions up to the first kernel thread",
        unit: "instructions",
        bound: Bound::AtMost(1_000_000.0),
    },
    Figure {
        id: "mmio-exit",
        what: "a register exit through our bus, to a raw KVM_RUN loop's",
        unit: "×",
        bound: Bound::AtMost(1.2),
    },
    Figure {
        id: "snapshot",
        what: "a fresh boot to its first event behind boot.ready, to the same from a snapshot",
        unit: "×",
        bound: Bound::AtLeast(5.0),
    },
    Figure {
        id: "interrupt-kvm",
        what: "interrupt to action on KVM, machine time, median",
        unit: "us",
        bound: Bound::None,
    },
    Figure {
        id: "interrupt-sim",
        what: "interrupt to action in the simulator, machine time, median",
        unit: "us",
        bound: Bound::None,
    },
    Figure {
        id: "trace-cost",
        what: "requests that a guest on KVM carries through without the trace, to those with it",
        unit: "×",
        bound: Bound::AtMost(1.05),
    },
    Figure {
        id: "trace-cost-guest",
        what: "processor time of the guest's own thread for a request with the trace, to without it",
        unit: "×",
        bound: Bound::AtMost(1.05),
    },
    Figure {
        id: "run-action",
        what: "uncontended runAction of a command gate, to a re-entrant mutex's lock and unlock",
        unit: "×",
        bound: Bound::AtMost(2.0),
    },
    Figure {
        id: "pick",
        what: "a pick of the dispatcher: of 10,000 runnable threads to of 10",
        unit: "×",
        bound: Bound::AtMost(2.0),
    },
    Figure {
        id: "terminate",
        what: "termination of a tree, time a service: of 10,000 services to of 1,000",
        unit: "×",
        bound: Bound::AtMost(2.0),
    },
    Figure {
        id: "cycles",
        what: "plug, I/O, unplug, finalize in the simulator on one core",
        unit: "cycles/s",
        bound: Bound::AtLeast(20_000.0),
    },
    Figure {
        id: "usb-byte",
        what: "reads of 64 KiB from a USB stick by xHCI in the simulator, host time, to virtio-blk's",
        unit: "×",
        bound: Bound::AtMost(2.0),
    },
    Figure {
        id: "usb-rate",
        what: "reads of 64 KiB from a USB stick at SuperSpeed in the simulator, machine time, to virtio-blk's",
        unit: "×",
        bound: Bound::AtMost(2.0),
    },
    Figure {
        id: "usb-doorbells",
        what: "doorbells that xHCI's driver rings for a bulk transfer",
        unit: "doorbells",
        bound: Bound::AtMost(0.75),
    },
    Figure {
        id: "usb-interrupts",
        what: "interrupts of xHCI for a bulk transfer",
        unit: "interrupts",
        bound: Bound::AtMost(0.5),
    },
    Figure {
        id: "qmp-answer",
        what: "a command of the control socket and its answer, in a storm, simulator, median",
        unit: "ms",
        bound: Bound::AtMost(1.0),
    },
    Figure {
        id: "core",
        what: "a core of a guest of 64 MiB that works, on KVM, median",
        unit: "ms",
        bound: Bound::AtMost(500.0),
    },
    Figure {
        id: "find-all",
        what: "bugs of the zoo that a method finds within 60 s",
        unit: "%",
        bound: Bound::AtLeast(100.0),
    },
    Figure {
        id: "find-slowest",
        what: "host time of the quickest method, for the bug that takes longest",
        unit: "s",
        bound: Bound::AtMost(60.0),
    },
    Figure { id: "find-median", what: "the same, median of all bugs", unit: "s", bound: Bound::AtMost(5.0) },
    Figure {
        id: "find-alarms",
        what: "fixed twins that are accused by a method",
        unit: "alarms",
        bound: Bound::AtMost(0.0),
    },
    Figure {
        id: "resident",
        what: "resident memory of the VMM beyond guest RAM",
        unit: "MiB",
        bound: Bound::AtMost(16.0),
    },
];

/// The figure called `id`.
///
/// # Panics
/// There is none: the names are constants of this program.
pub fn figure(id: &str) -> &'static Figure {
    FIGURES.iter().find(|figure| figure.id == id).unwrap_or_else(|| panic!("no figure is called {id}"))
}

/// A number with as many digits as people want to read: thousands are grouped, small ones have three significant digits.
pub fn number(value: f64) -> String {
    if value >= 1000.0 {
        return grouped(value.round() as u64);
    }
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table's rows as (name, limit).
    fn specification() -> Vec<(String, String)> {
        let text = include_str!("../../../../SPECIFICATION.md");
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let id = cells.next().unwrap_or_default().trim_end_matches('`').to_owned();
            (id, cells.nth(1).unwrap_or_default().to_owned())
        })
        .collect()
    }

    #[test]
    fn specification_and_program_have_the_same_figures_and_limits() {
        let program: Vec<_> = FIGURES.iter().map(|f| (f.id.to_owned(), f.to_string())).collect();
        assert_eq!(specification(), program);
    }

    #[test]
    fn bounds_include_their_limit() {
        assert_eq!(Bound::AtMost(2.0).holds(2.0), Some(true));
        assert_eq!(Bound::AtMost(2.0).holds(2.1), Some(false));
        assert_eq!(Bound::AtLeast(2.0).holds(2.0), Some(true));
        assert_eq!(Bound::AtLeast(2.0).holds(1.9), Some(false));
        assert_eq!(Bound::None.holds(1.0), None);
    }

    #[test]
    fn numbers_are_readable() {
        let texts = [0.0, 0.333, 1.0, 1.2, 12.34, 100.0, 999.4, 20_000.0, 1_234_567.0].map(number);
        assert_eq!(texts, ["0", "0.333", "1", "1.2", "12.3", "100", "999", "20,000", "1,234,567"]);
    }
}
