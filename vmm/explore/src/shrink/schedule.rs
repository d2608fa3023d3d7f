//! Fewer deviations: delta debugging (Zeller and Hildebrandt, 2002) over a recorded list.

use super::{Budget, Failing, breaks};
use crate::execute;
use crate::schedule::{Deviation, Schedule};

/// The schedule with the fewest deviations found.
pub fn shrink(failing: &Failing, budget: &mut Budget<'_>) -> Schedule {
    let mut fails =
        |list: &[Deviation]| breaks(&failing.plan, &Schedule::List(list.to_vec()), &failing.cause, budget);
    if fails(&[]) {
        return Schedule::List(Vec::new());
    }
    let recorded = execute::recorded(&failing.plan, &failing.schedule, &mut |_| {});
    let Ok((_, Some(list))) = recorded else { return failing.schedule.clone() };
    if !fails(&list) {
        return failing.schedule.clone();
    }
    let list = fewer(list, &mut fails);
    Schedule::List(smaller(list, &mut fails))
}

/// Takes chunks away, from halves down to single ones, until none can go.
fn fewer(mut list: Vec<Deviation>, fails: &mut dyn FnMut(&[Deviation]) -> bool) -> Vec<Deviation> {
    let mut chunk = list.len().div_ceil(2);
    while chunk > 0 {
        let before = list.len();
        let mut end = list.len();
        // From the end: what comes after the bug goes first, and without shifting what comes before it.
        while end > 0 {
            let start = end.saturating_sub(chunk);
            let mut rest = list[..start].to_vec();
            rest.extend_from_slice(&list[end..]);
            if fails(&rest) {
                list = rest;
            }
            end = start.min(list.len());
        }
        chunk = match list.len() < before && chunk == 1 {
            true => 1,
            false => chunk / 2,
        };
    }
    list
}

/// The first other alternative, where that is enough.
fn smaller(mut list: Vec<Deviation>, fails: &mut dyn FnMut(&[Deviation]) -> bool) -> Vec<Deviation> {
    for index in 0..list.len() {
        let answer = std::mem::replace(&mut list[index].answer, 1);
        if answer != 1 && !fails(&list) {
            list[index].answer = answer;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::chooser::{Decision, Kind};

    #[test]
    fn what_matters_stays() {
        let one = |now: u64| Deviation {
            decision: Decision { now, kind: Kind::Latency, alternatives: 8, cpus: 1, cpu: 0 },
            skip: 0,
            answer: 4,
        };
        let list: Vec<_> = (0..1000).map(one).collect();
        let mut runs = 0;
        let mut fails = |list: &[Deviation]| {
            runs += 1;
            let at = |now: u64| list.iter().find(|d| d.decision.now == now);
            at(17).is_some() && at(801).is_some_and(|d| d.answer > 2)
        };
        let list = smaller(fewer(list, &mut fails), &mut fails);
        let told: Vec<_> = list.iter().map(|d| (d.decision.now, d.answer)).collect();
        assert_eq!(told, [(17, 1), (801, 4)]);
        assert!(runs < 200, "{runs}");
    }
}
