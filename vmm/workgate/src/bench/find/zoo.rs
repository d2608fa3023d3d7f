//! The zoo's bugs, each with the plan of its scenario and the same plan with its fixed twin.

use crate::exit::hint;
use devices::fault::plan::Plan;
use iokit::driver::zoo::{SPECIMENS, Specimen};

/// The option of a plan that names a driver.
const DRIVER: &str = "driver";

/// The scenarios, by specimen.
macro_rules! plans {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../../tests/scenarios/zoo/", $name, ".plan")))),*]
    };
}

const PLANS: &[(&str, &str)] = plans! {
    "close-early" "dma-after-free" "double-completion" "filter-lock" "instance-leak" "interrupt-twice" "late-timer"
    "lock-order" "lost-on-error" "lost-wakeup" "never-closes" "over-release" "overstay" "reentry"
    "registry-in-place" "request-list" "sleep-mode" "sleep-off-gate" "timer-outlives"
    "usb-asks-again" "usb-halt-kept" "usb-hold-lost" "usb-late-abort" "usb-orphans" "usb-unheard" "usb-unwired"
    "usb-waits-in-gate" "fire-old-number"
};

/// A bug to be found.
pub struct Bug {
    /// Name and rule.
    pub specimen: &'static Specimen,
    /// The plan that shows it.
    pub plan: Plan,
    /// The same with the driver that has it fixed.
    pub twin: Plan,
}

/// The bugs with these names, in the zoo's order; all if there are no names.
///
/// # Errors
/// A name is not in the zoo, with those that are.
pub fn bugs(names: &[String]) -> Result<Vec<Bug>, String> {
    if let Some(unknown) = names.iter().find(|name| SPECIMENS.iter().all(|s| s.name != name.as_str())) {
        let known: Vec<&str> = SPECIMENS.iter().map(|specimen| specimen.name).collect();
        let (expected, hint) = (known.join(", "), hint(unknown, known));
        return Err(format!("{unknown:?} is not in the zoo; expected some of: {expected}{hint}"));
    }
    let wanted = |s: &&Specimen| names.is_empty() || names.iter().any(|name| name == s.name);
    SPECIMENS.iter().filter(wanted).map(bug).collect()
}

fn bug(specimen: &'static Specimen) -> Result<Bug, String> {
    let text = PLANS.iter().find(|(name, _)| *name == specimen.name).map(|(_, text)| *text);
    let text = text.ok_or_else(|| format!("{} has no scenario", specimen.name))?;
    let name = format!("{}.plan", specimen.name);
    let plan = crate::load::parse(&name, text).map_err(|failure| failure.message)?;
    let mut twin = plan.clone();
    twin.lines.clear();
    let drivers = twin.plugs.iter_mut().filter_map(|plug| plug.options.get_mut(DRIVER));
    drivers.for_each(|driver| driver.push_str("-fixed"));
    Ok(Bug { specimen, plan, twin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specimen_has_its_scenario_and_a_twin_that_can_run() {
        let bugs = bugs(&[]).expect("all of them");
        assert_eq!((bugs.len(), PLANS.len()), (SPECIMENS.len(), SPECIMENS.len()));
        for Bug { specimen, plan, twin } in bugs {
            let drivers = |plan: &Plan| -> Vec<String> {
                plan.plugs.iter().filter_map(|plug| plug.options.get(DRIVER).cloned()).collect()
            };
            assert_eq!(drivers(&plan), [format!("zoo-{}", specimen.name)]);
            assert_eq!(drivers(&twin), [format!("zoo-{}-fixed", specimen.name)]);
            assert!(devices::catalogue::check(&twin).is_empty(), "{}", specimen.name);
        }
    }

    #[test]
    fn names_choose_and_a_wrong_one_is_told() {
        let names = ["reentry".to_owned(), "close-early".to_owned()];
        let some: Vec<_> = bugs(&names).expect("known").iter().map(|bug| bug.specimen.name).collect();
        assert_eq!(some, ["close-early", "reentry"]);
        let error = bugs(&["unicorn".to_owned()]).err().expect("unknown");
        assert!(error.contains("\"unicorn\" is not in the zoo") && error.contains("lock-order"), "{error}");
        let error = bugs(&["lost-wakup".to_owned()]).err().expect("unknown");
        assert!(error.ends_with("; did you mean `lost-wakeup`?"), "{error}");
    }
}
