//! The plans of `tests/scenarios`, and how each must end.

use crate::error::LabError;
use crate::process;

/// How a comment begins that says which broken rule the plan shows.
const FINDS: &str = "# finds: ";

/// Machine time, ms, beyond which a plan is a long one. Of these the leg runs few: a machine millisecond takes a tenth of a second there.
const LONG: u64 = 200;
/// Long ones that run all the same.
const ALWAYS: [&str; 1] = ["usb-storage-removal"];

/// Those that want a machine which is quick in its own time.
const DELICATE: [&str; 4] = ["daq-overrun", "tasks-block", "tasks-kill", "timer-era-modern"];
/// Those that show what they show by chance only where nobody chooses the schedule: a timer has to come in between. They run like long ones.
const CHANCE: [&str; 1] = ["timer-era-10-3"];

/// One plan.
pub struct Scenario {
    /// Its file's name, without the end.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The exit status that `workgate run` must end with.
    pub status: i32,
    /// It runs only if it is asked for, alone or with `--long`.
    pub long: bool,
    /// It shows its bug by chance.
    pub chance: bool,
    /// It wants a machine that is quick in its own time.
    pub delicate: bool,
    /// How long it runs, in ms of machine time.
    pub machine_time: u64,
}

/// All of them, by name.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn all() -> Result<Vec<Scenario>, LabError> {
    let folder = process::root().join("tests/scenarios");
    let told = || LabError::io(folder.display().to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(told())? {
        let file = entry.map_err(told())?.path();
        if file.extension().is_none_or(|end| end != "plan") {
            continue;
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).map_err(LabError::io(file.display().to_string()))?;
        let status = status(&text);
        let machine_time = machine_time(&text);
        let chance = CHANCE.contains(&name.as_str());
        let short = machine_time <= LONG && !chance;
        let long = !short && !ALWAYS.contains(&name.as_str());
        let delicate = DELICATE.contains(&name.as_str());
        found.push(Scenario { name, text, status, long, chance, delicate, machine_time });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// 1 for a plan that shows a broken rule, else 0.
fn status(text: &str) -> i32 {
    i32::from(text.lines().any(|line| line.contains(FINDS)))
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
    fn every_plan_is_there_with_the_status_that_its_comment_says() {
        let all = all().expect("the scenarios");
        let status = |name: &str| all.iter().find(|scenario| scenario.name == name).map(|found| found.status);
        assert_eq!(status("surprise-removal"), Some(0));
        assert_eq!(status("close-early"), Some(1));
        assert_eq!(status("no-such"), None);
        let long = |name: &str| all.iter().any(|scenario| scenario.name == name && scenario.long);
        assert!(long("fault-freeze") && !long("surprise-removal") && !long("usb-storage-removal"));
    }
}
