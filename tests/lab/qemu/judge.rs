//! The guest's account of the qemu leg, and what is demanded of it.

use super::units::{UNITS, Unit};
use crate::console::{self, Counts};
use crate::exercised;

/// Checks it after `rounds` rounds: the guest survived; each device worked before, between and after its removals, and went while requests were in flight; nothing
/// is lost or wrong. A table of what was exercised.
///
/// # Errors
/// What is wrong.
pub fn judge(text: &str, rounds: usize) -> Result<Vec<String>, String> {
    if let Some(line) = console::trouble(text) {
        return Err(format!("the guest is in trouble: {line}"));
    }
    let mut rows = Vec::new();
    for unit in UNITS.iter().filter(|unit| unit.load.is_some()) {
        let ended = console::ended(text, unit.name);
        accounts(unit, unit.removals() * rounds, &ended)
            .map_err(|why| format!("{}: {why}: {ended:?}", unit.name))?;
        rows.push(exercised::row(unit.name, unit.driver, &ended));
    }
    Ok(exercised::table(&exercised::DRIVEN, &rows))
}

/// The accounts of one device: one for each of its `removals`, and one of the run's end.
fn accounts(unit: &Unit, removals: usize, ended: &[Counts]) -> Result<(), &'static str> {
    if ended.len() != removals + 1 {
        return Err("one account for each removal, and one more, were expected");
    }
    let (last, removed) = ended.split_last().ok_or("no account")?;
    for counts in ended {
        if counts.issued != counts.done + counts.offline + counts.wrong {
            return Err("requests are lost");
        }
        if counts.wrong != 0 {
            return Err("requests came back wrong");
        }
    }
    if removed.iter().any(|counts| counts.offline == 0) {
        return Err("it went with nothing in flight");
    }
    // The lab has seen its medium used before it took it away. Of the others nobody outside can tell.
    if unit.node.is_some() && removed.iter().any(|counts| counts.done == 0) {
        return Err("nothing was done before it went");
    }
    if last.done == 0 {
        return Err("nothing was done after it came back");
    }
    if last.offline != 0 {
        return Err("requests came back Offline although it was there");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(done: u64, offline: u64, wrong: u64) -> Counts {
        Counts { issued: done + offline + wrong, done, offline, wrong }
    }

    #[test]
    fn accounts_are_judged() {
        let disk = UNITS.iter().find(|unit| unit.name == "disk0").expect("a disk");
        let good = [counts(9, 2, 0), counts(9, 0, 0)];
        assert_eq!(accounts(disk, 1, &good), Ok(()));
        for (bad, word) in [
            (vec![counts(9, 2, 0)], "account"),
            (vec![counts(9, 0, 0), counts(9, 0, 0)], "nothing in flight"),
            (vec![counts(0, 2, 0), counts(9, 0, 0)], "before it went"),
            (vec![counts(9, 2, 0), counts(0, 0, 0)], "after it came back"),
            (vec![counts(9, 2, 1), counts(9, 0, 0)], "wrong"),
            (vec![Counts { issued: 12, ..counts(9, 2, 0) }, counts(9, 0, 0)], "lost"),
            (vec![counts(9, 2, 0), counts(9, 1, 0)], "although"),
        ] {
            assert!(accounts(disk, 1, &bad).is_err_and(|why| why.contains(word)), "{bad:?}");
        }
    }
}
