//! Disks that the guest makes one of (`driver=mirror`): a plan with one of them, or with a load on the wrong one, would quietly show nothing.

use crate::fault::plan::{Plan, PlanError, Plug};

/// Disks of a mirror.
const DISKS: usize = 2;

/// Every mistake in `plan` about mirrors.
pub fn check(plan: &Plan, errors: &mut Vec<PlanError>) {
    let is_mirrored = |plug: &&Plug| plug.options.get("driver").is_some_and(|word| word == "mirror");
    let mut disks: Vec<&Plug> = plan.plugs.iter().filter(is_mirrored).collect();
    disks.sort_by_key(|plug| plug.slot);
    let Some(last) = disks.last() else { return };
    if disks.len() != DISKS {
        let message = format!("a mirror has two disks, and here are {}", disks.len());
        let error = PlanError::new(last.span_of("driver"), message);
        errors.push(error.expected("`driver=mirror` for two disks or none"));
        return;
    }
    let first = disks[0];
    for load in plan.loads.iter().filter(|load| load.device == first.name) {
        let message = format!("this load never begins: `{}` belongs to a mirror", first.name);
        let error = PlanError::new(load.span_of("device"), message);
        errors.push(error.expected(format!("`load {}`, which is that of the mirror", last.name)));
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::check;
    use crate::fault::plan::Plan;

    fn messages(text: &str) -> Vec<String> {
        let plan = Plan::parse("t", text).expect("the parser has nothing against it");
        check(&plan).iter().map(ToString::to_string).collect()
    }

    fn disk(name: &str, slot: u32) -> String {
        format!("plug {name} virtio-blk slot={slot} driver=mirror\n")
    }

    #[test]
    fn two_disks_and_a_load_on_the_second() {
        let both = disk("a", 5) + &disk("b", 2);
        assert_eq!(messages(&format!("{both}load a clients=1 depth=1\n")), Vec::<String>::new());
        let wrong = messages(&format!("{both}load b clients=1 depth=1\n"));
        assert!(wrong.len() == 1 && wrong[0].contains("expected `load a`"), "{wrong:?}");
    }

    #[test]
    fn one_disk_or_three_are_no_mirror() {
        for text in [disk("a", 1), disk("a", 1) + &disk("b", 2) + &disk("c", 3)] {
            let wrong = messages(&text);
            assert!(wrong.len() == 1 && wrong[0].contains("a mirror has two disks"), "{wrong:?}");
        }
    }
}
