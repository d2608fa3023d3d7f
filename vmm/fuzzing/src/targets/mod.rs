//! The targets.

mod mach_messages;
mod machine;
mod ohci;
mod pci;
mod pci_config;
mod plan_text;
mod runs;
mod schedules;
mod steps;
mod teardown;
mod user_client;
mod virtqueues;
mod xhci;

use crate::plans::tempo::Onset;
use crate::target::Target;
use devices::catalogue;
use devices::fault::plan::{Plan, Plug};

/// What the user says about a target, beyond its name.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The plan that inputs vary, instead of what they make up themselves.
    pub plan: Option<Plan>,
    /// Drivers in place of the right ones: the name of a device or a model, and the driver's word.
    pub drivers: Vec<(String, String)>,
}

impl Setting {
    /// Gives the devices of `plan` their drivers.
    ///
    /// A device that a driver cannot drive keeps its own: an input decides what there is.
    pub fn apply(&self, plan: &mut Plan) {
        for plug in &mut plan.plugs {
            let wanted = self.drivers.iter().find(|(whose, _)| *whose == plug.name || *whose == plug.model);
            if let Some((_, driver)) = wanted.filter(|(_, driver)| takes(plug, driver)) {
                plug.options.insert("driver".to_owned(), driver.clone());
            }
        }
    }
}

impl Setting {
    /// Of `plans`, those that have a device whose driver is asked for; all of them if none has, or nothing is asked for.
    pub fn about(&self, plans: Vec<Plan>) -> Vec<Plan> {
        let asked =
            |plug: &Plug| self.drivers.iter().any(|(whose, _)| *whose == plug.name || *whose == plug.model);
        match plans.iter().any(|plan| plan.plugs.iter().any(asked)) {
            true => plans.into_iter().filter(|plan| plan.plugs.iter().any(asked)).collect(),
            false => plans,
        }
    }
}

fn takes(plug: &Plug, driver: &str) -> bool {
    let option = catalogue::model(&plug.model).and_then(|model| model.option("driver"));
    option.is_some_and(|option| option.accepts.takes(driver))
}

type Make = fn(Setting) -> Result<Box<dyn Target>, String>;

/// Every target, and whether it takes a plan and drivers.
const TARGETS: [(&str, bool, Make); 11] = [
    ("teardown", true, |setting| Ok(Box::new(teardown::Teardown::new(setting, Onset::Boot)))),
    ("steady", true, |setting| Ok(Box::new(teardown::Teardown::new(setting, Onset::AtWork)))),
    ("schedules", true, |setting| Ok(Box::new(schedules::Schedules::new(setting)))),
    ("user_client", false, |_| Ok(Box::new(user_client::UserClient))),
    ("mach_messages", false, |_| Ok(Box::new(mach_messages::MachMessages))),
    ("plan_text", false, |_| Ok(Box::new(plan_text::PlanText))),
    ("pci", false, |_| Ok(Box::new(pci::Pci))),
    ("pci_config", false, |_| Ok(Box::new(pci_config::PciConfig))),
    ("virtqueues", false, |_| Ok(Box::new(virtqueues::Virtqueues))),
    ("xhci", false, |_| Ok(Box::new(xhci::Xhci))),
    ("ohci", false, |_| Ok(Box::new(ohci::Ohci))),
];

/// The names of all targets.
pub fn names() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _, _)| *name)
}

/// The target called `name`.
///
/// # Errors
/// There is none, or it has no use for what `setting` says: what there is, and what would do.
pub fn of(name: &str, setting: Setting) -> Result<Box<dyn Target>, String> {
    let Some((_, takes, make)) = TARGETS.iter().find(|(target, _, _)| *target == name) else {
        let names: Vec<_> = names().collect();
        return Err(format!("there is no target `{name}`; expected one of {}", names.join(", ")));
    };
    if !takes && (setting.plan.is_some() || !setting.drivers.is_empty()) {
        let with: Vec<_> = TARGETS.iter().filter(|(_, takes, _)| *takes).map(|(name, _, _)| *name).collect();
        return Err(format!(
            "`{name}` runs no plan of yours; --plan and --driver go with {}",
            with.join(" or ")
        ));
    }
    make(setting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Features;

    #[test]
    fn every_target_bears_its_seeds_and_some_noise() {
        for name in names() {
            let target = of(name, Setting::default()).expect("it is there");
            assert_eq!(target.name(), name);
            let mut rng = sim::Rng::new(3);
            let noise =
                (0..8).map(|_| (0..rng.below(200)).map(|_| rng.next_u64() as u8).collect::<Vec<u8>>());
            let mut reached = 0;
            // A run of this one takes as long as a hundred of another.
            let few = if name == "steady" { 3 } else { 12 };
            for input in target.seeds().into_iter().take(few).chain(noise.take(few)) {
                let mut features = Features::default();
                let trouble = target.run(&input, &mut features);
                assert_eq!(trouble, None, "{name}: {}", target.describe(&input));
                assert!(!target.describe(&input).is_empty());
                reached += features.into_sorted().len();
            }
            assert!(reached > 10, "{name} tells nothing of what it reaches");
        }
    }

    #[test]
    fn wrong_requests_say_what_would_do() {
        let error = |name: &str, setting| of(name, setting).err().expect("wrong");
        assert!(error("tear-down", Setting::default()).contains("teardown, steady, schedules"));
        let setting = Setting { drivers: vec![("edu".into(), "close-early".into())], ..Setting::default() };
        assert!(error("pci", setting).contains("go with teardown or steady or schedules"));
    }
}
