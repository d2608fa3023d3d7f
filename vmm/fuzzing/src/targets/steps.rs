//! What the targets of devices have in common: an input is a row of steps, and the steps begin on a platform that firmware has just left.

use arbitrary::{Arbitrary, Unstructured};
use devices::fault::plan::Plan;
use devices::platform::Platform;
use std::fmt::Debug;
use std::sync::OnceLock;

/// The bytes of an input that count: the first `most`.
pub fn bytes(input: &[u8], most: usize) -> Unstructured<'_> {
    Unstructured::new(&input[..input.len().min(most)])
}

/// The steps that the rest of an input means, `most` of them at the most.
pub fn steps<Op: for<'a> Arbitrary<'a>>(bytes: &mut Unstructured<'_>, most: usize) -> Vec<Op> {
    let mut steps = Vec::new();
    while steps.len() < most && !bytes.is_empty() {
        steps.extend(Op::arbitrary(bytes).ok());
    }
    steps
}

/// The steps for a person, a line each.
pub fn lines(steps: &[impl Debug]) -> String {
    steps.iter().map(|step| format!("{step:?}\n")).collect()
}

/// A platform with the hardware of a target's own plan, which begins. `kept` is where the plan is kept from then on.
///
/// # Panics
/// The plan is wrong: it is part of the target.
pub fn platform(kept: &'static OnceLock<Plan>, name: &str, plan: &str) -> (Platform, &'static Plan) {
    let plan = kept.get_or_init(|| {
        Plan::parse(name, plan).unwrap_or_else(|errors| panic!("the target's own plan: {errors:?}"))
    });
    let mut platform = Platform::new(plan).unwrap_or_else(|error| panic!("the target's own plan: {error}"));
    platform.firmware();
    platform.start_plan(0);
    (platform, plan)
}
