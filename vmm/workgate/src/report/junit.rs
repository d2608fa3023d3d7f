//! `junit.xml`: a run or a campaign as a test suite, for systems that read such files.

use super::campaign::Campaign;
use crate::find::bug::Bug;
use crate::run::Report;
use std::collections::BTreeMap;
use std::fmt::Write;
use verdict::{Ended, Finding};

/// Findings of one rule that are told in full.
const TOLD: usize = 8;

/// One test: its name, and in one line and in full why it failed.
struct Case {
    name: String,
    failure: Option<(String, String)>,
}

impl Case {
    fn new(name: impl Into<String>, failure: Option<(String, String)>) -> Self {
        Self { name: name.into(), failure }
    }
}

/// A run: a case for its end, for each expectation, and for each rule that was broken.
pub fn of_run(report: &Report) -> String {
    let verdict = &report.verdict;
    let mut cases = vec![Case::new("the run ends in order", ended(&verdict.ended))];
    cases.extend(verdict.expectations.iter().map(|held| {
        let failure = (!held.held).then(|| (held.detail.clone(), held.detail.clone()));
        Case::new(format!("expect {}", held.expect), failure)
    }));
    let mut rules: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &verdict.findings {
        rules.entry(&finding.rule).or_default().push(finding);
    }
    cases.extend(
        rules.iter().map(|(rule, findings)| Case::new(format!("rule {rule}"), Some(broken(findings)))),
    );
    document(&report.plan, &seconds(report.machine_time), &cases)
}

/// A campaign: a case for what it found in all, for the removals of each device, and for each rule that was broken.
pub fn of_campaign(campaign: &Campaign<'_>) -> String {
    let nothing = "no run breaks a rule";
    let mut cases = Vec::new();
    if campaign.bugs.is_empty() {
        cases.push(Case::new(nothing, None));
    }
    cases.extend(campaign.matrices.iter().map(|(device, matrix)| {
        let (tried, broke) = matrix.total();
        let told = format!("{broke} of {tried} broke a rule");
        Case::new(format!("removals of {device}"), (broke > 0).then(|| (told, matrix.text())))
    }));
    let rule = |bug: &Bug| {
        let told = format!("{}\n{}\nagain: {}\n", bug.story(), bug.plan, campaign.again(bug));
        Case::new(format!("rule {}", bug.rule), Some((bug.message(), told)))
    };
    cases.extend(campaign.bugs.iter().map(rule));
    let took = campaign.took.map_or(0, |took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    document(&campaign.what, &seconds(took), &cases)
}

fn document(name: &str, took: &str, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let (name, tests) = (xml(name), cases.len());
    let counts =
        format!("name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{took}\"");
    let cases: String = cases.iter().map(|case| element(&name, case)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite {counts} skipped=\"0\">\n{cases}</testsuite>\n</testsuites>\n"
    )
}

fn element(suite: &str, case: &Case) -> String {
    let head = format!("<testcase classname=\"{suite}\" name=\"{}\" time=\"0\"", xml(&case.name));
    match &case.failure {
        None => format!("{head}/>\n"),
        Some((message, told)) => {
            format!("{head}><failure message=\"{}\">{}</failure></testcase>\n", xml(message), xml(told))
        }
    }
}

fn ended(ended: &Ended) -> Option<(String, String)> {
    let (how, what) = match ended {
        Ended::Done => return None,
        Ended::Quit => ("it was ended from outside, before the plan was over", &String::new()),
        Ended::Panic(what) => ("the kernel panicked", what),
        Ended::Hang(what) => ("the guest hung", what),
        Ended::Bad(what) => ("it ended badly", what),
        Ended::HostDefect(what) => ("the host's processor is defective", what),
    };
    Some((how.to_owned(), what.clone()))
}

fn broken(findings: &[&Finding]) -> (String, String) {
    let mut told = String::new();
    for finding in findings.iter().take(TOLD) {
        let device = finding.device.as_deref().unwrap_or("the machine");
        // Writing into a string cannot fail.
        _ = writeln!(told, "on {device} at {}: {}", verdict::time(finding.time), finding.message);
        finding.events.iter().for_each(|line| _ = writeln!(told, "    {line}"));
    }
    (findings.first().map_or_else(String::new, |finding| finding.message.clone()), told)
}

/// Nanoseconds as seconds with a fraction.
fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// Text for XML 1.0: what is markup becomes entities, what no document may contain (section 2.2) the replacement character.
fn xml(text: &str) -> String {
    let allowed = |c: char| match c {
        '\u{9}' | '\u{a}' | '\u{d}' => c,
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        c => c,
    };
    explore::matrix::escaped(&text.chars().map(allowed).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(
            xml("<a b=\"c\">&\u{0}\u{1b}[0m\n"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}\u{fffd}[0m\n"
        );
        assert_eq!(seconds(1_000_000_001), "1.000000001");
        let bad = element("s", &Case::new("x\" y=\"z", Some(("<m>".to_owned(), "]]></failure>".to_owned()))));
        let tree = roxmltree::Document::parse(&bad).expect("well-formed");
        let element = tree.root_element();
        assert_eq!(element.attribute("name"), Some("x\" y=\"z"));
        assert_eq!(element.first_element_child().and_then(|e| e.text()), Some("]]></failure>"));
    }
}
