//! The plans of `tests/scenarios` and of its zoo, and how each must end.

use crate::error::LabError;
use crate::process;

/// How a comment begins that says which broken rule the plan shows.
const FINDS: &str = "# finds: ";

/// Machine time, ms, beyond which a plan is a long one. Of these the leg runs few: a machine millisecond takes a tenth of a second there.
const LONG: u64 = 140;
/// Long ones that run all the same.
const ALWAYS: [&str; 1] = ["usb-storage-removal"];

/// Those that want a machine which is quick in its own time.
const DELICATE: [&str; 4] = ["daq-overrun", "tasks-block", "tasks-kill", "timer-era-modern"];
/// Those that show what they show by chance only where nobody chooses the schedule: a timer or a removal has to come in between. They run like long ones.
const CHANCE: [&str; 6] = [
    "timer-era-10-3",
    "zoo/dma-after-free",
    "zoo/double-completion",
    "zoo/lock-order",
    "zoo/lost-on-error",
    "zoo/usb-asks-again",
];

/// One plan.
pub struct Scenario {
    /// Its file's name, without the end.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The rule that breaks, if the plan is there to show that.
    pub finds: Option<String>,
    /// It runs only if it is asked for, alone or with `--long`.
    pub long: bool,
    /// It shows its bug by chance.
    pub chance: bool,
    /// It wants a machine that is quick in its own time.
    pub delicate: bool,
    /// How long it runs, in ms of machine time.
    pub machine_time: u64,
}

/// Where nobody chooses the schedule it shows nothing in five runs: its timer has to fire within a few instructions.
const FOR_THE_SIMULATOR: &str = "zoo/late-timer";
/// What the names of the zoo's plans begin with.
const ZOO: &str = "zoo/";
/// Where they are: what is before their names, and the folder.
const FOLDERS: [(&str, &str); 2] = [("", "tests/scenarios"), (ZOO, "tests/scenarios/zoo")];

/// All of them, by name; those of the zoo are called `zoo/NAME`.
///
/// # Errors
/// A folder or a file cannot be read.
pub fn all() -> Result<Vec<Scenario>, LabError> {
    let mut found = Vec::new();
    for (before, folder) in FOLDERS {
        let folder = process::root().join(folder);
        let told = || LabError::io(folder.display().to_string());
        for entry in std::fs::read_dir(&folder).map_err(told())? {
            let file = entry.map_err(told())?.path();
            if file.extension().is_some_and(|end| end == "plan") {
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                let text =
                    std::fs::read_to_string(&file).map_err(LabError::io(file.display().to_string()))?;
                found.push(Scenario::new(format!("{before}{name}"), text));
            }
        }
    }
    found.retain(|scenario| scenario.name != FOR_THE_SIMULATOR);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Scenario {
    fn new(name: String, text: String) -> Self {
        let machine_time = machine_time(&text);
        let is_one_of = |names: &[&str]| names.contains(&name.as_str());
        let chance = is_one_of(&CHANCE);
        // What the zoo's drivers break, the simulator shows in seconds; here it takes minutes, for all of them.
        let short = machine_time <= LONG && !chance && !name.starts_with(ZOO);
        Self {
            long: !short && !is_one_of(&ALWAYS),
            delicate: is_one_of(&DELICATE),
            finds: text.lines().find_map(|line| line.strip_prefix(FINDS)).map(str::to_owned),
            chance,
            machine_time,
            name,
            text,
        }
    }
}

/// Machine time of a plan, ms, rounded up: what its `run` says. A plan without that is for the plan's own reader to refuse.
fn machine_time(text: &str) -> u64 {
    let time = text.lines().find_map(|line| line.strip_prefix("run for=")).unwrap_or_default();
    let time = time.split_whitespace().next().unwrap_or_default();
    let digits = time.trim_end_matches(char::is_alphabetic);
    let number = digits.parse::<u64>().unwrap_or(0);
    match &time[digits.len()..] {
        "s" => number.saturating_mul(1_000),
        "ms" => number,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_time_is_read_from_the_plan() {
        assert_eq!(
            [
                machine_time("a\nrun for=2s\n"),
                machine_time("run for=350ms # x"),
                machine_time("run for=800us")
            ],
            [2_000, 350, 1]
        );
    }

    #[test]
    fn every_plan_is_there_with_the_rule_that_its_comment_names() {
        let all = all().expect("the scenarios");
        let finds = |name: &str| {
            let found = all.iter().find(|scenario| scenario.name == name);
            found.map(|found| found.finds.as_deref().unwrap_or("nothing"))
        };
        assert_eq!(finds("surprise-removal"), Some("nothing"));
        assert_eq!(finds("close-early"), Some("close-before-return"));
        assert_eq!(finds("zoo/usb-unheard"), Some("io-late"));
        assert_eq!(finds("no-such"), None);
        let long = |name: &str| all.iter().any(|scenario| scenario.name == name && scenario.long);
        assert!(long("fault-freeze") && !long("surprise-removal") && !long("usb-storage-removal"));
    }
}
