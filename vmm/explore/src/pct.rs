//! Probabilistic concurrency testing (Burckhardt and others, 2010), on virtual CPUs.
//!
//! The CPU with the highest rank runs whenever it can. At `depth` random moments something unexpected happens: the running CPU falls to the
//! lowest rank, the next interrupts come late, or time passes. A bug that needs `depth` such events in the right order is found with a
//! probability that does not depend on the rest of the run. Between the moments nothing is random, so the schedules differ where it
//! matters.

use sim::chooser::{Decision, Kind, POINT};
use sim::{Chooser, Rng};

/// CPUs that a machine may have.
const CPUS: usize = sim::MAX_CPUS;
/// Longest sleep.
const LONGEST: u64 = 1024 * POINT;
/// Interrupts that are late after a change of that kind.
const LATE: u32 = 3;

/// What happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Change {
    Demote,
    Late,
    Elapse,
}

/// The chooser.
pub struct Pct {
    rng: Rng,
    /// Higher runs first; indexed by CPU.
    ranks: [i64; CPUS],
    lowest: i64,
    /// Moments to come, latest first.
    changes: Vec<(u64, Change)>,
    late: u32,
    elapse: bool,
    /// Whoever has the highest rank is looked for at every blocking lock.
    strict: bool,
}

impl Pct {
    /// The chooser of `seed`: `depth` moments within `horizon` ns.
    pub fn new(seed: u64, depth: u32, horizon: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut order: Vec<i64> = (0..CPUS as i64).collect();
        for n in (1..order.len()).rev() {
            order.swap(n, rng.below(n as u32 + 1) as usize);
        }
        let mut ranks = [0; CPUS];
        ranks.copy_from_slice(&order);
        let centre = rng.next_u64() % horizon.max(1);
        let mut changes: Vec<_> =
            (0..depth).map(|_| (moment(&mut rng, centre, horizon), change(&mut rng))).collect();
        changes.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        Self { rng, ranks, lowest: 0, changes, late: 0, elapse: false, strict: false }
    }

    /// The chooser with the ranks of `seed` whose running CPU falls to the lowest rank at the first blocking lock at or after each of `times`, ns of
    /// machine time: as in PCT, but where the caller knows that it may matter. Between two locks nobody takes another one's turn.
    pub fn demoting(seed: u64, times: &[u64]) -> Self {
        let mut pct = Self::new(seed, 0, 0);
        pct.strict = true;
        pct.changes = times.iter().map(|time| (*time, Change::Demote)).collect();
        pct.changes.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        pct
    }

    fn pass(&mut self, now: u64, cpu: u8) {
        while self.changes.last().is_some_and(|(time, _)| *time <= now) {
            match self.changes.pop() {
                Some((_, Change::Demote)) => {
                    self.lowest -= 1;
                    self.ranks[usize::from(cpu) % CPUS] = self.lowest;
                }
                Some((_, Change::Late)) => self.late = LATE,
                Some((_, Change::Elapse)) => self.elapse = true,
                None => {}
            }
        }
    }

    /// The alternative of [`Kind::Cpu`] that makes the candidate with the highest rank run.
    fn highest(&self, decision: Decision) -> u32 {
        let candidates = (0..CPUS).filter(|cpu| decision.cpus >> cpu & 1 != 0);
        candidates.max_by_key(|cpu| self.ranks[*cpu]).map_or(0, |best| alternative(decision, best))
    }
}

/// The alternative of a decision of [`Kind::Cpu`] that makes `best`, a candidate, run.
pub(crate) fn alternative(decision: Decision, best: usize) -> u32 {
    let own = usize::from(decision.cpu);
    if best == own {
        return 0;
    }
    let below = (decision.cpus & ((1 << best) - 1)).count_ones();
    match decision.cpus >> own & 1 != 0 {
        // The running CPU is alternative 0, wherever it stands; the others follow in order.
        true => below + u32::from(best < own),
        false => below,
    }
}

/// Machine time within which moments crowd, in nanoseconds: the length of a request or a teardown.
const CROWD: u32 = 100_000;

/// Half of the moments are anywhere, the others crowd behind one random time: races want events close together.
fn moment(rng: &mut Rng, centre: u64, horizon: u64) -> u64 {
    match rng.below(2) {
        0 => rng.next_u64() % horizon.max(1),
        _ => centre.saturating_add(u64::from(rng.below(CROWD))),
    }
}

fn change(rng: &mut Rng) -> Change {
    match rng.below(4) {
        0 => Change::Late,
        1 => Change::Elapse,
        _ => Change::Demote,
    }
}

impl Chooser for Pct {
    fn pause(&mut self, now: u64) -> u64 {
        let next = self.changes.last().map_or(LONGEST, |(time, _)| time.saturating_sub(now));
        next.clamp(POINT, LONGEST)
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        self.pass(decision.now, decision.cpu);
        match decision.kind {
            Kind::Cpu => self.highest(decision),
            Kind::Latency if self.late > 0 => {
                self.late -= 1;
                self.rng.below(decision.alternatives)
            }
            Kind::Elapse if self.elapse => {
                self.elapse = false;
                1 + self.rng.below(decision.alternatives - 1)
            }
            Kind::Vector | Kind::Latency | Kind::Elapse => 0,
        }
    }

    fn at_locks(&self) -> bool {
        self.strict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_name_the_cpu_that_is_meant() {
        let mut pct = Pct::new(1, 0, 1000);
        for best in 0..4 {
            pct.ranks = [0; CPUS];
            pct.ranks[best] = 9;
            for own in 0..4_u8 {
                let cpus = 0b1111;
                let decision = Decision { now: 0, kind: Kind::Cpu, alternatives: 4, cpus, cpu: own };
                let mut order = vec![own];
                order.extend((0..4).filter(|cpu| *cpu != own));
                assert_eq!(usize::from(order[pct.highest(decision) as usize]), best);
                let others = Decision { cpus: cpus & !(1 << own), alternatives: 3, ..decision };
                if usize::from(own) != best {
                    let order: Vec<u8> = (0..4).filter(|cpu| *cpu != own).collect();
                    assert_eq!(usize::from(order[pct.highest(others) as usize]), best);
                }
            }
        }
    }

    #[test]
    fn it_changes_its_mind_where_asked() {
        let mut pct = Pct::demoting(7, &[100, 300, 200]);
        let ranks = pct.ranks;
        assert_eq!(ranks, Pct::new(7, 0, 0).ranks);
        let times: Vec<u64> = pct.changes.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [300, 200, 100], "the next one last");
        pct.pass(150, 2);
        assert!(pct.ranks[2] < *ranks.iter().min().expect("some") && pct.changes.len() == 2);
    }

    #[test]
    fn it_changes_its_mind_as_often_as_asked() {
        let mut pct = Pct::new(7, 5, 1_000_000);
        assert_eq!(pct.changes.len(), 5);
        pct.pass(1_000_000, 0);
        assert!(pct.changes.is_empty());
    }
}
