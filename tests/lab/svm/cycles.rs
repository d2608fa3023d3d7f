//! Devices, drivers and clients that come and go in a machine on KVM (`workgate cycle`): right drivers leave nothing behind, the one that forgets is named.

use crate::campaign::Case;

/// Each plan: its name, and its text.
pub const PLANS: [(&str, &str); 2] = [
    ("edu", "machine cpus=2 memory=64M\nplug edu0 edu slot=1\nload edu0 clients=2 depth=4\n"),
    (
        "disk",
        "machine cpus=2 memory=64M\nplug disk0 virtio-blk slot=2 size=16M\nload disk0 clients=2 depth=4\n",
    ),
];
/// What comes and goes.
const WHAT: [&str; 4] = ["plug", "eject", "load", "open"];
/// The name of the case whose driver forgets a reference when its card goes, and what must be said of it.
const LEAK: &str = "cycle-leak";
const LEAKS: &str = "class ZooRequest grows by";
const PASSED: &str = "\"verdict\": \"PASS\"";
/// Passes: of the kernel's heap, too, a trend can be told.
const PASSES: &str = "20";
/// What one takes, in seconds.
const SECONDS: u32 = 12;

/// Whether a case of this name is for the long leg: what holds for one card holds for the other, as a rule.
pub fn is_long(name: &str) -> bool {
    name.starts_with("cycle-disk-")
}

/// Where the plan of this name is in the lab's file system.
pub fn place(name: &str) -> String {
    format!("/cycles/{name}.plan")
}

/// The cases.
pub fn cases(limit: u32, slow_down: u32) -> Vec<Case> {
    let case = |name: String, plan: &str, further: &[&str]| {
        let begin = [
            "cycle",
            &place(plan),
            "--machine",
            "kvm",
            "--passes",
            PASSES,
            "--slow-down",
            &slow_down.to_string(),
            "--json",
        ];
        let arguments = begin.iter().chain(further).map(|&word| word.to_owned()).collect();
        Case { name, arguments, tells: Some(PASSED.into()), seconds: SECONDS, limit, ..Case::default() }
    };
    let right = PLANS.iter().flat_map(|(plan, _)| {
        WHAT.iter().map(move |what| case(format!("cycle-{plan}-{what}"), plan, &["--what", what]))
    });
    let leak = case(LEAK.into(), PLANS[0].0, &["--driver", "edu=zoo-instance-leak"]);
    let leak = Case { status: 1, tells: Some(LEAKS.into()), ..leak };
    right.chain([leak]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::catalogue;
    use devices::fault::plan::Plan;

    #[test]
    fn the_plans_are_good_and_each_case_has_a_name_of_its_own() {
        for (name, text) in PLANS {
            let plan = Plan::parse(name, text).expect("a good plan");
            assert_eq!(catalogue::check(&plan), [], "{name}");
        }
        let cases = cases(9, 120);
        assert_eq!(cases.len(), PLANS.len() * WHAT.len() + 1);
        assert_eq!(cases[1].name, "cycle-edu-eject");
        assert_eq!(cases.iter().filter(|case| is_long(&case.name)).count(), WHAT.len());
        assert!(
            cases
                .iter()
                .filter(|case| case.status == 1)
                .all(|case| case.name == LEAK && case.tells.as_deref() == Some(LEAKS))
        );
    }
}
