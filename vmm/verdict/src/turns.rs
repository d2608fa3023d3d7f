//! The turns of the plan's own threads: how late each was done.

use crate::expect::{Held, time};
use devices::fault::plan::{Nanos, Plan};
use std::collections::BTreeMap;
use trace::Event;

/// Threads that are remembered; a plan has fewer.
const MAX_THREADS: usize = 64;

/// One thread's turns.
#[derive(Clone, Copy, Default)]
struct Turn {
    count: u64,
    worst: Nanos,
    /// Plan time at which the last one that was done had been due.
    last_due: Nanos,
}

/// The turns of all threads of the plan, by name.
#[derive(Default)]
pub struct Turns(BTreeMap<String, Turn>);

impl Turns {
    /// A turn was done, at plan time `now`.
    pub fn event(&mut self, event: &Event, now: Nanos) {
        let name = event.text_str();
        if !self.0.contains_key(name) && self.0.len() >= MAX_THREADS {
            return;
        }
        let turn = self.0.entry(name.to_owned()).or_default();
        turn.count += 1;
        turn.worst = turn.worst.max(event.arg);
        turn.last_due = now.saturating_sub(event.arg);
    }

    /// Whether each turn of the thread called `name` in `plan` was done `within` the time, and there was one.
    pub fn judge(&self, plan: &Plan, name: &str, within: Nanos) -> Held {
        let expect = format!("turn {name} within={}", time(within));
        let (turn, every) = match (self.0.get(name), plan.threads.iter().find(|thread| thread.name == name)) {
            (Some(turn), Some(thread)) => (turn, thread.every),
            _ => return Held { expect, held: false, detail: "it never had a turn".to_owned() },
        };
        // One that was never done is not in the trace.
        let next = turn.last_due.saturating_add(every);
        let overdue = plan.run_for.saturating_sub(next);
        if overdue > within {
            let detail = format!("the turn that was due at {} was not done by the end", time(next));
            return Held { expect, held: false, detail };
        }
        let detail = format!("worst {} of {} turn(s)", time(turn.worst), turn.count);
        Held { expect, held: turn.worst <= within, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace::Kind;

    /// A thread `high` whose turns come every 100 ns, in a plan of 250 ns.
    fn plan() -> Plan {
        let text = "thread high priority=97 run=1us every=1us\n";
        let mut plan = Plan::parse("p", text).expect("a plan");
        plan.threads[0].every = 100;
        plan.run_for = 250;
        plan
    }

    fn turns(late: &[(u64, u64)]) -> Turns {
        let mut turns = Turns::default();
        late.iter().for_each(|&(now, late)| turns.event(&Event::new(Kind::Turn).text("high").arg(late), now));
        turns
    }

    #[test]
    fn the_worst_turn_decides_and_there_must_be_one() {
        let plan = plan();
        assert!(!turns(&[]).judge(&plan, "high", 60).held);
        let turns = turns(&[(103, 3), (260, 60)]);
        assert!(turns.judge(&plan, "high", 60).held && !turns.judge(&plan, "high", 59).held);
        assert!(!turns.judge(&plan, "low", 60).held);
    }

    #[test]
    fn a_turn_that_is_never_done_does_not_hold() {
        // Due at 0 and done; the one due at 100 is 150 late when the plan ends.
        let turns = turns(&[(3, 3)]);
        assert!(turns.judge(&plan(), "high", 150).held && !turns.judge(&plan(), "high", 149).held);
    }
}
