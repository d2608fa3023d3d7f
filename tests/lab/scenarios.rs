//! The plans of `tests/scenarios`, and how each must end.

use crate::error::LabError;
use crate::process;

/// How a comment begins that says which broken rule the plan shows.
const FINDS: &str = "# finds: ";

/// One plan.
pub struct Scenario {
    /// Its file's name, without the end.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The exit status that `workgate run` must end with.
    pub status: i32,
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
        found.push(Scenario { name, text, status });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// 1 for a plan that shows a broken rule, else 0.
fn status(text: &str) -> i32 {
    i32::from(text.lines().any(|line| line.contains(FINDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_there_with_the_status_that_its_comment_says() {
        let all = all().expect("the scenarios");
        let status = |name: &str| all.iter().find(|scenario| scenario.name == name).map(|found| found.status);
        assert_eq!(status("surprise-removal"), Some(0));
        assert_eq!(status("close-early"), Some(1));
        assert_eq!(status("no-such"), None);
    }
}
