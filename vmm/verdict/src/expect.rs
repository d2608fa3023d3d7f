//! Whether each `expect` of the plan held.

use crate::removal::Removal;
use crate::turns::Turns;
use devices::fault::plan::{Expect, Nanos, Plan};
use serde::Serialize;

/// One expectation and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The expectation, as the plan says it.
    pub expect: String,
    /// Whether it held.
    pub held: bool,
    /// The figure behind the answer.
    pub detail: String,
}

/// Everything that the run showed.
pub struct Shown<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// What followed each removal.
    pub removals: &'a [Removal],
    /// The turns of the plan's threads.
    pub turns: &'a Turns,
    /// Instances left, by class.
    pub leaks: &'a [(String, u64)],
    /// The guest came to its own end.
    pub finished: bool,
}

/// Judges one expectation.
pub fn judge(expect: &Expect, shown: &Shown<'_>) -> Held {
    let Shown { removals, leaks, finished, .. } = *shown;
    match expect {
        Expect::Turn { thread, within, .. } => shown.turns.judge(shown.plan, thread, *within),
        Expect::Offline(within, _) => {
            let text = format!("offline within={}", time(*within));
            each_removal(text, *within, removals, |r| r.offline_after, "requests never came back")
        }
        Expect::Quiet(within, _) => {
            let text = format!("quiet within={}", time(*within));
            each_removal(text, *within, removals, |r| r.quiet_after, "the stack was never torn down")
        }
        Expect::NoLeaks(_) => no_leaks(leaks, finished),
    }
}

fn each_removal(
    expect: String,
    within: Nanos,
    removals: &[Removal],
    took: impl Fn(&Removal) -> Option<u64>,
    never: &str,
) -> Held {
    if removals.is_empty() {
        let detail = "no device was removed, so nothing was shown".to_owned();
        return Held { expect, held: false, detail };
    }
    let mut worst = 0;
    for removal in removals {
        match took(removal) {
            None => {
                let detail =
                    format!("{}, {} at {}: {never}", removal.device, removal.action, time(removal.time));
                return Held { expect, held: false, detail };
            }
            Some(took) => worst = worst.max(took),
        }
    }
    Held {
        expect,
        held: worst <= within,
        detail: format!("worst {} of {} removal(s)", time(worst), removals.len()),
    }
}

fn no_leaks(leaks: &[(String, u64)], finished: bool) -> Held {
    let expect = "no-leaks".to_owned();
    if !finished {
        return Held { expect, held: false, detail: "the run ended before classes were counted".to_owned() };
    }
    let left: Vec<String> =
        leaks.iter().filter(|(_, n)| *n > 0).map(|(class, n)| format!("{class}: {n}")).collect();
    let detail = match left.is_empty() {
        true => format!("{} classes, 0 instances left", leaks.len()),
        false => left.join(", "),
    };
    Held { expect, held: left.is_empty(), detail }
}

/// A time as people write it: the largest unit that keeps three digits before the point.
pub fn time(nanos: Nanos) -> String {
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let fraction = format!("{:03}", nanos % unit * 1000 / unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{}{name}", nanos / unit),
        digits => format!("{}.{digits}{name}", nanos / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::fault::plan::Span;
    use std::collections::BTreeSet;
    use trace::{Event, Kind};

    fn removal(offline: Option<u64>) -> Removal {
        let event = Event::new(Kind::Fault).slot(1).text("unplug");
        let mut removal = Removal::new(&event, 0, "edu0".to_owned(), (1, 1), BTreeSet::new());
        removal.offline_after = offline;
        removal
    }

    fn judged(expect: &Expect, removals: &[Removal], leaks: &[(String, u64)], finished: bool) -> Held {
        let (plan, turns) = (Plan::default(), Turns::default());
        judge(expect, &Shown { plan: &plan, removals, turns: &turns, leaks, finished })
    }

    #[test]
    fn a_time_reads_as_people_write_it() {
        for (nanos, text) in
            [(0, "0ns"), (999, "999ns"), (1_500, "1.5us"), (5_000_000, "5ms"), (1_000_000_001, "1s")]
        {
            assert_eq!(time(nanos), text);
        }
        assert_eq!(time(12_034_000), "12.034ms");
    }

    #[test]
    fn without_a_removal_nothing_is_shown() {
        let held = judged(&Expect::Offline(1, Span::default()), &[], &[], true);
        assert!(!held.held);
    }

    #[test]
    fn the_worst_removal_decides() {
        let expect = Expect::Offline(1000, Span::default());
        assert!(judged(&expect, &[removal(Some(10)), removal(Some(1000))], &[], true).held);
        assert!(!judged(&expect, &[removal(Some(10)), removal(Some(1001))], &[], true).held);
        assert!(!judged(&expect, &[removal(Some(10)), removal(None)], &[], true).held);
    }

    #[test]
    fn leaks_need_a_finished_run() {
        let expect = Expect::NoLeaks(Span::default());
        assert!(!judged(&expect, &[], &[], false).held);
        assert!(judged(&expect, &[], &[("EduDriver".to_owned(), 0)], true).held);
        assert!(!judged(&expect, &[], &[("EduDriver".to_owned(), 1)], true).held);
    }
}
