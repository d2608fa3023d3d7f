//! What the targets of cargo-fuzz do with their bytes.
//!
//! libFuzzer starts the targets, and gives them no words of ours; what a user says about one comes in the environment.

use crate::target::{Features, Target};
use crate::targets::{self, Setting};
use devices::fault::plan::Plan;
use std::cell::OnceCell;
use std::env::VarError;

/// The variable with the text of the plan that inputs vary ([`Setting::plan`]).
pub const PLAN: &str = "WORKGATE_FUZZ_PLAN";
/// The variable with the drivers in place of the right ones ([`Setting::drivers`]): `DEVICE=DRIVER`, separated by commas.
pub const DRIVERS: &str = "WORKGATE_FUZZ_DRIVERS";

/// The variables that say `setting` to a target; those that are not needed are left out.
pub fn variables(setting: &Setting) -> Vec<(&'static str, String)> {
    let plan = setting.plan.as_ref().map(|plan| (PLAN, plan.to_string()));
    let drivers: Vec<_> =
        setting.drivers.iter().map(|(device, driver)| format!("{device}={driver}")).collect();
    let drivers = (!drivers.is_empty()).then(|| (DRIVERS, drivers.join(",")));
    plan.into_iter().chain(drivers).collect()
}

/// What the variables say, as `get` has them.
///
/// # Errors
/// A variable that is no text, a plan with mistakes, a word that names no driver.
fn setting(get: impl Fn(&str) -> Result<String, VarError>) -> Result<Setting, String> {
    let value = |name| match get(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    };
    let plan = value(PLAN)?.map(|text| Plan::parse(PLAN, &text)).transpose();
    let plan = plan.map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })?;
    let drivers = value(DRIVERS)?.unwrap_or_default();
    let pair = |word: &str| {
        let pair = word.split_once('=').map(|(device, driver)| (device.to_owned(), driver.to_owned()));
        pair.ok_or_else(|| format!("{DRIVERS}: `{word}`; expected DEVICE=DRIVER, separated by commas"))
    };
    let drivers = drivers.split(',').filter(|word| !word.is_empty()).map(pair).collect::<Result<_, _>>()?;
    Ok(Setting { plan, drivers })
}

/// Runs `input` in the target called `name`.
///
/// # Panics
/// If something broke: libFuzzer then keeps the input. The story is printed before. Also if the environment says nonsense about the target.
pub fn check(name: &str, input: &[u8]) {
    thread_local! {
        static TARGET: OnceCell<Box<dyn Target>> = const { OnceCell::new() };
    }
    TARGET.with(|cell| {
        let target = cell.get_or_init(|| {
            let made = setting(|name| std::env::var(name)).and_then(|setting| targets::of(name, setting));
            made.unwrap_or_else(|error| panic!("{error}"))
        });
        if let Some(trouble) = target.run(input, &mut Features::default()) {
            eprintln!("--- input\n{}\n--- trouble\n{}", target.describe(input), trouble.told);
            panic!("{}: {}", target.name(), trouble.cause);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The setting that a target gets of `variables`.
    fn told(variables: &[(&str, String)]) -> Result<Setting, String> {
        setting(|name| {
            let value = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            value.ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn a_target_hears_what_the_user_says() {
        assert!(variables(&Setting::default()).is_empty());
        let text = "# a card\nplug edu0 edu slot=1\nload edu0 clients=1 depth=2\nrun for=4ms\n";
        let plan = Plan::parse("p", text).expect("a good plan");
        let pairs = [("edu", "zoo-close-early"), ("disk0", "mirror")];
        let drivers: Vec<_> = pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        let said = Setting { plan: Some(plan.clone()), drivers: drivers.clone() };
        let heard = told(&variables(&said)).expect("it is understood");
        assert_eq!(heard.drivers, drivers);
        assert_eq!(heard.plan.map(|plan| plan.to_string()), Some(plan.to_string()));
        let nothing = told(&[]).expect("nothing is said");
        assert!(nothing.plan.is_none() && nothing.drivers.is_empty());
    }

    #[test]
    fn nonsense_is_told() {
        let error = |name, value: &str| told(&[(name, value.to_owned())]).expect_err(value);
        assert!(error(DRIVERS, "edu").contains("expected DEVICE=DRIVER"));
        assert!(error(PLAN, "plug edu0\n").contains(PLAN));
    }
}
