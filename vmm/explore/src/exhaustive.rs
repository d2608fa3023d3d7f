//! Bounded exhaustive exploration: every schedule with at most so many deviations from the one without any (Musuvathi and Qadeer, 2007).
//!
//! Partial-order reduction: between two events of the trace a CPU does nothing that another could see, so of all the places between them at which it
//! could lose its turn, the first stands for all.

use crate::campaign::{Task, Tasks};
use crate::execute;
use crate::list::Fine;
use crate::schedule::{Deviation, Schedule};
use devices::fault::plan::Plan;
use sim::chooser::Kind;
use std::collections::HashSet;

/// Most deviations of a schedule.
pub const MAX_DEPTH: u32 = 3;

/// The schedules.
#[derive(Clone, Debug)]
pub struct Exhaustive {
    plan: Plan,
    depth: u32,
    singles: Vec<Deviation>,
}

impl Exhaustive {
    /// All schedules of `plan` with at most `depth` deviations (1 to [`MAX_DEPTH`]).
    ///
    /// # Errors
    /// The plan cannot run.
    pub fn new(plan: &Plan, depth: u32) -> Result<Self, String> {
        let mut times = Vec::new();
        let ran = execute::with_decisions(plan, Box::new(Fine), &mut |event| times.push(event.time));
        let (_, decisions) = ran.map_err(|error| error.to_string())?;
        let mut seen = HashSet::new();
        let mut singles = Vec::new();
        for (decision, skip) in decisions {
            let interval = times.partition_point(|time| *time <= decision.now);
            let turn = matches!(decision.kind, Kind::Cpu | Kind::Elapse);
            if turn && !seen.insert((interval, decision.kind, decision.cpu, decision.cpus)) {
                continue;
            }
            singles.extend((1..decision.alternatives).map(|answer| Deviation { decision, skip, answer }));
        }
        Ok(Self { plan: plan.clone(), depth: depth.clamp(1, MAX_DEPTH), singles })
    }

    /// Single deviations.
    pub fn singles(&self) -> u64 {
        self.singles.len() as u64
    }

    fn deviations(&self, number: u64) -> Vec<Deviation> {
        let n = self.singles();
        let mut left = number;
        // Number 0 has none, then come all with one, all with two …
        for size in 0..=u64::from(self.depth) {
            let count = choose(n, size);
            if left < count {
                return combination(left, n, size)
                    .iter()
                    .map(|&index| self.singles[index as usize])
                    .collect();
            }
            left -= count;
        }
        Vec::new()
    }
}

impl Tasks for Exhaustive {
    fn count(&self) -> Option<u64> {
        let sizes = 0..=u64::from(self.depth);
        Some(sizes.fold(0, |sum: u64, size| sum.saturating_add(choose(self.singles(), size))))
    }

    fn task(&self, number: u64) -> Task {
        Task { plan: self.plan.clone(), schedule: Schedule::List(self.deviations(number)) }
    }
}

/// How many ways to choose `size` of `n`; saturating.
fn choose(n: u64, size: u64) -> u64 {
    let product = (0..size).fold(1_u128, |product, k| {
        product.saturating_mul(u128::from(n.saturating_sub(k))) / u128::from(k + 1)
    });
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The combination with this number, of `size` of `n`, in ascending order.
fn combination(number: u64, n: u64, size: u64) -> Vec<u64> {
    let mut left = number;
    let mut chosen = Vec::new();
    let mut next = 0;
    for remaining in (0..size).rev() {
        while next < n {
            let with_next = choose(n - next - 1, remaining);
            if left < with_next {
                break;
            }
            left -= with_next;
            next += 1;
        }
        chosen.push(next.min(n - 1));
        next += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_all_there_once() {
        for size in 0..4 {
            let all: HashSet<Vec<u64>> = (0..choose(6, size)).map(|n| combination(n, 6, size)).collect();
            assert_eq!(all.len() as u64, choose(6, size));
            assert!(all.iter().all(|c| c.is_sorted() && c.iter().all(|&n| n < 6)));
        }
        assert_eq!((choose(5, 0), choose(5, 2), choose(1, 2)), (1, 10, 0));
        assert_eq!(choose(u64::MAX, 3), u64::MAX);
    }

    #[test]
    fn every_single_deviation_happens() {
        let text = "machine cpus=2\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=20us\n";
        let plan = Plan::parse("t.plan", text).expect("a good plan");
        let all = Exhaustive::new(&plan, 1).expect("it runs");
        assert!(all.singles() > 100 && all.count() == Some(all.singles() + 1));
        for number in (1..=all.singles()).step_by(97) {
            let task = all.task(number);
            let Schedule::List(list) = &task.schedule else { panic!("a list") };
            let (run, taken) = execute::recorded(&task.plan, &task.schedule, &mut |_| {}).expect("it starts");
            assert_eq!(run.cause, None);
            assert_eq!(taken.as_ref(), Some(list), "the deviation is taken where it was recorded");
        }
    }
}
