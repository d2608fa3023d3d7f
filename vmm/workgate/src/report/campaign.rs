//! The report of a campaign: an exploration, a fuzz campaign, or the shards of one joined.

use super::html::{block, document, heading, table};
use super::{FORMAT, coverage, findings, junit};
use crate::exit::Failure;
use crate::find::bug::{self, Bug};
use explore::matrix::{Matrix, escaped};
use explore::teardown::Item;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Bugs shown.
const BUGS: usize = 64;

/// What there is to tell of a campaign.
pub struct Campaign<'a> {
    /// The command: `explore`, `fuzz`, `merge`.
    pub kind: &'static str,
    /// The plan, or the target.
    pub what: String,
    /// How it was looked for.
    pub how: String,
    /// Figures: what, and how many.
    pub facts: Vec<(&'static str, String)>,
    /// The host's time for the runs, without making small what they found.
    pub took: Option<Duration>,
    /// What was found.
    pub bugs: &'a [Bug],
    /// Removals by site and state, by device.
    pub matrices: BTreeMap<String, Matrix>,
    /// What was exercised.
    pub exercised: &'a [Item],
    /// The plan's text; empty without one.
    pub plan: String,
    /// Options that give an input the same meaning again.
    pub options: String,
    /// The files of the bugs lie beside the page.
    pub has_files: bool,
}

/// `report.json`.
#[derive(Serialize)]
struct Document<'a, T> {
    format: u32,
    kind: &'static str,
    command: &'a str,
    /// Milliseconds of the host.
    took_ms: Option<u64>,
    campaign: &'a T,
}

impl Campaign<'_> {
    /// Writes the page, the documents for programs, the plan, and the files of the bugs. `told` is the command's own JSON document.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn write(&self, folder: &Path, told: &impl Serialize) -> Result<(), Failure> {
        let unwritable =
            |error| Failure::request(format_args!("cannot write into {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let took_ms = self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let command = command();
        let json = Document { format: FORMAT, kind: self.kind, command: &command, took_ms, campaign: told };
        let put = |name: &str, bytes: &[u8]| bug::write_whole(&folder.join(name), bytes);
        put("report.html", self.page().as_bytes())?;
        put("report.json", crate::run::to_json(&json)?.as_bytes())?;
        put("junit.xml", junit::of_campaign(self).as_bytes())?;
        if !self.plan.is_empty() {
            put("run.plan", self.plan.as_bytes())?;
        }
        for path in self.bugs.iter().filter_map(Bug::file) {
            let bytes = std::fs::read(path)
                .map_err(|error| Failure::host(format_args!("cannot read {}: {error}", path.display())))?;
            if let Some(name) = path.file_name() {
                bug::write_whole(&folder.join(name), &bytes)?;
            }
        }
        Ok(())
    }

    /// The page.
    pub fn page(&self) -> String {
        let word = if self.bugs.is_empty() { ("held", "NOTHING FOUND") } else { ("broke", "FAIL") };
        let sections = [
            heading(word, &self.what),
            format!("<p>{}</p>\n<p>Command: <code>{}</code></p>\n", escaped(&self.how), escaped(&command())),
            self.figures(),
            self.found(),
            self.removals(),
            coverage::section(self.exercised),
            if self.plan.is_empty() { String::new() } else { block("Plan", &self.plan) },
        ];
        document(&self.what, &sections.concat())
    }

    /// The command that shows the bug again.
    pub fn again(&self, bug: &Bug) -> String {
        let path = bug.file().map_or_else(String::new, |path| match path.file_name() {
            Some(name) if self.has_files => name.to_string_lossy().into_owned(),
            _ => path.display().to_string(),
        });
        match (&bug.capsule, &bug.target) {
            (None, Some(target)) => {
                format!("workgate fuzz {target} --input {}{}", quoted(&path), self.options)
            }
            _ => format!("workgate replay {}", quoted(&path)),
        }
    }

    fn figures(&self) -> String {
        let row = |(what, how_many): &(&str, String)| {
            format!("<tr><th>{}</th><td class=\"left\">{}</td></tr>\n", escaped(what), escaped(how_many))
        };
        table("Figures", "", &self.facts.iter().map(row).collect::<String>())
    }

    fn found(&self) -> String {
        if self.bugs.is_empty() {
            return String::new();
        }
        let all: String = self.bugs.iter().take(BUGS).map(|bug| self.one(bug)).collect();
        format!("<h2>Broken rules: {}</h2>\n{all}", self.bugs.len())
    }

    fn one(&self, bug: &Bug) -> String {
        let (line, told) = match &bug.finding {
            Some(finding) => (findings::line(finding), findings::told(finding)),
            None => (escaped(&bug.message()), format!("<pre>{}</pre>", escaped(&bug.told))),
        };
        let (Bug { first, runs, .. }, small) = (bug, bug.size());
        format!(
            "<details open><summary><b class=\"broke\">{}</b> {line}</summary>\n<p>First in run {first}, in {runs} run(s); {small}.</p>\n\
             <p>Again{}: <code>{}</code></p>\n<pre>{}</pre>\n{told}</details>\n",
            escaped(&bug.rule),
            if self.has_files { ", in the folder of this page" } else { "" },
            escaped(&self.again(bug)),
            escaped(&bug.plan),
        )
    }

    fn removals(&self) -> String {
        let one = |(device, matrix): (&String, &Matrix)| {
            let (tried, broke) = matrix.total();
            format!(
                "<h2>Removals of {}</h2>\n<p>{tried} tried, {broke} of them broke a rule; by the site at which it went, and the state of its stack.</p>\n\
                 <div class=\"wide\">{}</div>\n",
                escaped(device),
                matrix.html()
            )
        };
        self.matrices.iter().map(one).collect()
    }
}

/// Runs a second, as a figure.
pub fn rate(runs: u64, took: Duration) -> String {
    format!("{:.1}", runs as f64 / took.as_secs_f64().max(1e-6))
}

/// A time of the host, as a figure.
pub fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// The command line that this process was given, as a shell takes it.
fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    ["workgate".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// A word for a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use explore::Cause;
    use explore::phase::Phase;
    use std::path::PathBuf;

    fn bug(rule: &str) -> Bug {
        let plan = devices::fault::plan::Plan::parse("p.plan", "run for=1ms\n").expect("a plan");
        Bug::new(&Cause { rule: rule.to_owned() }, (3, 7), &plan)
    }

    fn campaign(bugs: &[Bug], matrices: BTreeMap<String, Matrix>) -> Campaign<'_> {
        Campaign {
            kind: "explore",
            what: "<p>.plan".to_owned(),
            how: "by chance & luck".to_owned(),
            facts: vec![("runs", "60".to_owned())],
            took: Some(Duration::from_millis(1_500)),
            bugs,
            matrices,
            exercised: &[],
            plan: "run for=1ms\n".to_owned(),
            options: " --plan run.plan".to_owned(),
            has_files: true,
        }
    }

    #[test]
    fn a_bug_is_told_with_the_command_that_shows_it_again() {
        let mut bugs = [bug("io-lost"), bug("hang")];
        bugs[0].capsule = Some(PathBuf::from("some where/io-lost.capsule"));
        (bugs[1].input, bugs[1].target) = (Some(PathBuf::from("out/a b.input")), Some("pci".to_owned()));
        bugs[1].told = "<b>no end</b>\nmore".to_owned();
        let mut told = campaign(&bugs, BTreeMap::new());
        assert_eq!(told.again(&bugs[0]), "workgate replay io-lost.capsule");
        assert_eq!(told.again(&bugs[1]), "workgate fuzz pci --input 'a b.input' --plan run.plan");
        let page = told.page();
        assert!(
            page.contains("FAIL") && page.contains("&lt;p&gt;.plan") && !page.contains("<b>no end"),
            "{page}"
        );
        assert!(
            page.contains("workgate replay io-lost.capsule") && page.contains("First in run 3, in 7 run(s)")
        );
        told.has_files = false;
        assert_eq!(told.again(&bugs[0]), "workgate replay 'some where/io-lost.capsule'");
        let junit = junit::of_campaign(&told);
        let tree = roxmltree::Document::parse(&junit).expect("well-formed");
        assert_eq!(tree.root_element().attribute("failures"), Some("2"));
        assert_eq!(tree.root_element().attribute("time"), Some("1.500000000"));
    }

    #[test]
    fn a_matrix_that_broke_is_a_case_that_failed() {
        let mut matrix = Matrix::default();
        matrix.add(Phase::Idle, "gate.close", true);
        matrix.add(Phase::Idle, "gate.close", false);
        let matrices = BTreeMap::from([("edu0".to_owned(), matrix)]);
        let told = campaign(&[], matrices);
        assert!(
            told.page().contains("2 tried, 1 of them broke a rule") && told.page().contains("NOTHING FOUND")
        );
        let junit = junit::of_campaign(&told);
        assert!(
            junit.contains("name=\"no run breaks a rule\"")
                && junit.contains("message=\"1 of 2 broke a rule\"")
        );
    }
}
