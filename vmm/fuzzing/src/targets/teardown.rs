//! Small plans of plugs, loads, removals and faults, under a pseudo-random schedule: correct drivers bear them all.
//!
//! Two targets: in `teardown` all of it begins when the guest boots, in `steady` when everything is at work.

use super::{Setting, runs};
use crate::plans::case::{CASE_BYTES, Case};
use crate::plans::scenarios;
use crate::plans::tempo::Onset;
use crate::target::{Features, Target, Trouble};
use devices::fault::plan::Plan;
use explore::Schedule;

/// Schedules for each scenario among the seeds.
const SCHEDULES: u64 = 2;
/// Of how many scenarios one is a seed of `steady`: a run takes a good part of a second there.
const SPARSE: usize = 8;

/// The target.
pub struct Teardown {
    setting: Setting,
    onset: Onset,
}

impl Teardown {
    /// With a plan, inputs add rules to that one.
    pub fn new(setting: Setting, onset: Onset) -> Self {
        Self { setting, onset }
    }

    fn task(&self, input: &[u8]) -> (Plan, Schedule) {
        let case = Case::from_bytes(input);
        let mut plan = match &self.setting.plan {
            Some(base) => case.plan_on(base, self.onset),
            None => case.plan(self.onset),
        };
        self.setting.apply(&mut plan);
        // What runs is what a person can run again: the plan as printed.
        let printed = Plan::parse(&plan.name, &plan.to_string());
        (printed.unwrap_or(plan), Schedule::Seed(case.seed))
    }
}

impl Target for Teardown {
    fn name(&self) -> &'static str {
        match self.onset {
            Onset::Boot => "teardown",
            Onset::AtWork => "steady",
        }
    }

    fn about(&self) -> &'static str {
        match self.onset {
            Onset::Boot => {
                "a few bytes mean a plan of plugs, loads, removals and faults; the whole kernel runs it in the simulator"
            }
            Onset::AtWork => {
                "as teardown, but removals and faults come when everything is at work, and last longer than drivers wait"
            }
        }
    }

    fn most(&self) -> usize {
        CASE_BYTES
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let plans: Vec<Plan> = match &self.setting.plan {
            Some(plan) => vec![plan.clone()],
            None => self.setting.about(scenarios::plans()),
        };
        let (schedules, step) = match self.onset {
            Onset::Boot => (SCHEDULES, 1),
            Onset::AtWork => (1, SPARSE.min(plans.len().max(1))),
        };
        let cases =
            plans.iter().step_by(step).flat_map(|plan| (0..schedules).map(|seed| Case::like(plan, seed)));
        cases.map(|case| case.to_bytes()).collect()
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let (plan, schedule) = self.task(input);
        runs::run(&plan, &schedule, features)
    }

    fn plan(&self, input: &[u8]) -> Option<(Plan, Schedule)> {
        Some(self.task(input))
    }

    fn describe(&self, input: &[u8]) -> String {
        let (plan, schedule) = self.task(input);
        runs::describe(&plan, &schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenarios of what is behind controllers become inputs, too, and those find what is broken there.
    #[test]
    fn a_broken_driver_of_a_usb_device_is_noticed() {
        let drivers = vec![("usb-storage".to_owned(), "zoo-usb-halt-kept".to_owned())];
        let target = Teardown::new(Setting { drivers, plan: None }, Onset::Boot);
        let plan =
            scenarios::plans().into_iter().find(|plan| plan.name == "usb-stalls.plan").expect("it is there");
        let input = Case::like(&plan, 1).to_bytes();
        let trouble = target.run(&input, &mut Features::default()).expect("it breaks a rule");
        assert_eq!(trouble.cause.rule, "endpoint-halted", "{}", trouble.told);
    }

    #[test]
    fn a_broken_driver_is_noticed() {
        let drivers = vec![("edu".to_owned(), "close-early".to_owned())];
        let target = Teardown::new(Setting { drivers, plan: None }, Onset::Boot);
        let text = "plug edu0 edu slot=1\nload edu0 clients=3 depth=4\non edu0.mmio.write #20 unplug edu0\nrun for=4ms\n";
        let plan = Plan::parse("t", text).expect("it parses");
        let input = Case::like(&plan, 1).to_bytes();
        let trouble = target.run(&input, &mut Features::default()).expect("it breaks a rule");
        assert_eq!(trouble.cause.rule, "close-before-return", "{}", trouble.told);
        assert!(target.describe(&input).contains("driver=close-early"));
    }
}
