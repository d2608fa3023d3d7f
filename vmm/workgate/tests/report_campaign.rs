//! The reports of `explore`, `fuzz` and `merge`. Campaigns are bounded by runs, never by time.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-campaign-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Self(path)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("a writable folder");
        self.path(name)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.read(file)).expect("JSON")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the temporary one does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The cases of a test suite: names, and the messages of those that failed. The suite's own counts must agree.
fn cases(junit: &str) -> Vec<(String, Option<String>)> {
    let tree = roxmltree::Document::parse(junit).expect("well-formed XML");
    let suite = tree.root_element().first_element_child().expect("a suite");
    let case = |node: roxmltree::Node<'_, '_>| {
        let failure = node.children().find(|child| child.has_tag_name("failure"));
        let message = failure.map(|failure| failure.attribute("message").unwrap_or_default().to_owned());
        (node.attribute("name").expect("a name").to_owned(), message)
    };
    let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).map(case).collect();
    let failed = cases.iter().filter(|(_, failure)| failure.is_some()).count();
    assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
    assert_eq!(suite.attribute("failures"), Some(failed.to_string().as_str()));
    cases
}

fn asks_for_nothing(page: &str) {
    assert!(page.contains("default-src 'none'") && !page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains(" src=") && !page.contains("<script"), "the page of a campaign needs no script");
}

const SHORT: &str = "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=200us\n";

/// A driver that closes its provider too early, found by its first runs.
const BROKEN: &str = "plug edu0 edu slot=1 driver=close-early\nload edu0 clients=1 depth=1\non edu0.mmio.write #20 unplug edu0\nrun for=2ms\n";

#[test]
fn a_bug_is_told_with_its_story_and_shown_again_from_the_folder_of_the_report() {
    let folder = Folder::new("bug");
    let plan = folder.write("p.plan", BROKEN);
    let (report, out) = (folder.path("report"), folder.path("findings"));
    let output = workgate(&["explore", &plan, "--schedules", "4", "--report", &report, "--out", &out]);
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    let page = folder.read("report/report.html");
    asks_for_nothing(&page);
    for part in [
        "FAIL",
        "Broken rules: 1",
        "<b class=\"broke\">close-before-return</b> on edu0 at ",
        "workgate replay close-before-return.capsule",
        "100 of 100 runs again the same",
        "oracle.violation close-before-return",
        "random schedules, 4 runs",
        "Steps of a service's life",
    ] {
        assert!(page.contains(part), "no `{part}`");
    }
    let json = folder.json("report/report.json");
    assert_eq!((&json["format"], &json["kind"]), (&1.into(), &"explore".into()));
    assert!(json["command"].as_str().is_some_and(|command| command.contains("--schedules 4")), "{json}");
    let bug = &json["campaign"]["findings"][0];
    assert_eq!(bug["finding"]["rule"], "close-before-return");
    assert!(bug["finding"]["threads"].as_array().is_some_and(|threads| !threads.is_empty()), "{bug}");
    let cases = cases(&folder.read("report/junit.xml"));
    assert_eq!(cases.len(), 1);
    assert!(
        cases[0].0 == "rule close-before-return"
            && cases[0].1.as_deref() == bug["finding"]["message"].as_str()
    );
    let again = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["replay", "close-before-return.capsule"])
        .current_dir(&report)
        .output()
        .expect("the command starts");
    assert!(text(&again.stdout).contains("the same as in the capsule"), "{}", text(&again.stderr));
    // What joins the shards of a campaign tells the same story.
    let merged = workgate(&["merge", &out, "--out", &folder.path("all"), "--report", &folder.path("merged")]);
    assert_eq!(merged.status.code(), Some(1), "{}", text(&merged.stderr));
    let page = folder.read("merged/report.html");
    asks_for_nothing(&page);
    assert!(page.contains("</b> on edu0 at ") && page.contains("oracle.violation close-before-return"));
    assert!(Path::new(&folder.path("merged/close-before-return.capsule")).exists());
    assert_eq!(folder.json("merged/report.json")["campaign"]["findings"][0]["finding"], bug["finding"]);
}

#[test]
fn removals_are_a_matrix_and_a_case_for_each_device() {
    let folder = Folder::new("matrix");
    let (plan, report) = (folder.write("p.plan", SHORT), folder.path("report"));
    let bounds = ["--horizon", "100us", "--schedules", "40", "--report", &report];
    let output = workgate(&[&["explore", &plan, "--removal", "all"][..], &bounds].concat());
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let page = folder.read("report/report.html");
    asks_for_nothing(&page);
    assert!(page.contains("NOTHING FOUND") && page.contains("<h2>Removals of edu0</h2>"));
    assert!(page.contains("<p>40 tried, 0 of them broke a rule") && page.contains("<th>gate.close</th>"));
    let cells = &folder.json("report/report.json")["campaign"]["matrices"]["edu0"];
    let tried = cells.as_array().expect("cells").iter().map(|cell| cell["tried"].as_u64().expect("a count"));
    assert_eq!(tried.sum::<u64>(), 40);
    let passed = |name: &str| (name.to_owned(), None);
    assert_eq!(
        cases(&folder.read("report/junit.xml")),
        [passed("no run breaks a rule"), passed("removals of edu0")]
    );
    assert!(workgate(&["run", &folder.path("report/run.plan"), "--machine", "sim"]).status.success());
}

#[test]
fn a_fuzz_campaign_has_a_report() {
    let folder = Folder::new("fuzz");
    let (report, out, plan) =
        (folder.path("report"), folder.path("findings"), folder.write("p.plan", BROKEN));
    let bounds = ["--runs", "40", "--no-shrink", "--report", &report, "--out", &out];
    let output = workgate(&[&["fuzz", "schedules", "--plan", &plan][..], &bounds].concat());
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    let page = folder.read("report/report.html");
    asks_for_nothing(&page);
    for part in
        ["FAIL", "features reached", "<tr><th>seed</th>", "workgate replay close-before-return.capsule"]
    {
        assert!(page.contains(part), "no `{part}`");
    }
    let json = folder.json("report/report.json");
    assert_eq!((&json["kind"], &json["campaign"]["runs"]), (&"fuzz".into(), &40.into()));
    let names: Vec<String> =
        cases(&folder.read("report/junit.xml")).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"rule close-before-return".to_owned()), "{names:?}");
    let clean = workgate(&["fuzz", "pci", "--runs", "32", "--report", &folder.path("clean")]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean.stderr));
    assert_eq!(cases(&folder.read("clean/junit.xml")), [("no run breaks a rule".to_owned(), None)]);
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let folder = Folder::new("unwritable");
    let plan = folder.write("p.plan", SHORT);
    let file = folder.write("a-file", "");
    let output = workgate(&["explore", &plan, "--schedules", "1", "--report", &format!("{file}/report")]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("cannot write into"), "{}", text(&output.stderr));
}
