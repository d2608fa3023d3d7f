//! `explore`, `shrink` and `replay` as their users call them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn scenario(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("tests/scenarios").join(name).display().to_string()
}

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of this test's own, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-find-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("a writable folder");
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SHORT: &str = "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=200us\n";

#[test]
fn a_bug_is_found_made_small_kept_and_replayed() {
    let folder = Folder::new("story");
    let findings = folder.file("findings");
    let found = workgate(&["explore", &scenario("close-early.plan"), "--out", &findings]);
    assert_eq!(found.status.code(), Some(1), "{}{}", out(&found), err(&found));
    assert!(out(&found).contains("FOUND close-before-return"), "{}", out(&found));
    let capsule = folder.file("findings/close-before-return.capsule");
    let text = std::fs::read_to_string(&capsule).expect("the capsule is there");
    assert!(
        text.len() < 4096 && text.starts_with("workgate-capsule 1\nrule close-before-return\n"),
        "{text}"
    );
    let lines = std::fs::read_to_string(folder.file("findings/findings.jsonl")).expect("it is there");
    let line: serde_json::Value = serde_json::from_str(lines.trim()).expect("one JSON line");
    assert_eq!((&line["rule"], &line["verified"]), (&"close-before-return".into(), &100.into()));
    for _ in 0..2 {
        let again = workgate(&["replay", &capsule]);
        assert_eq!(again.status.code(), Some(1), "{}", err(&again));
        assert!(out(&again).contains("the same as in the capsule"), "{}", out(&again));
    }
}

#[test]
fn a_bug_that_cannot_be_written_is_told_all_the_same() {
    let folder = Folder::new("unwritable");
    let nowhere = "/dev/null/nowhere";
    let findings = folder.file("findings");
    let (plan, capsule) =
        (scenario("close-early.plan"), folder.0.join("findings/close-before-return.capsule"));
    for (out_option, more, is_kept) in [
        (&*findings, ["--lcov", nowhere], true),
        (&findings, ["--report", nowhere], true),
        (nowhere, ["--schedules", "5"], false),
    ] {
        let arguments = ["explore", &plan, "--no-shrink", "--out", out_option, more[0], more[1]];
        let output = workgate(&arguments);
        let text = out(&output);
        assert_eq!(output.status.code(), Some(2), "{text}{}", err(&output));
        assert!(text.contains("FOUND close-before-return"), "{text}");
        assert!(err(&output).contains("cannot write"), "{}", err(&output));
        assert_eq!(capsule.exists(), is_kept);
        let _ = std::fs::remove_file(&capsule);
    }
}

#[test]
fn a_correct_driver_shows_nothing() {
    let folder = Folder::new("correct");
    let plan = folder.write("p.plan", SHORT);
    for chooser in ["random", "pct", "pos"] {
        let findings = folder.file("findings");
        let arguments =
            ["explore", &plan, "--chooser", chooser, "--schedules", "30", "--json", "--out", &findings];
        let output = workgate(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
        let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("a JSON document");
        assert_eq!((&json["runs"], &json["findings"]), (&30.into(), &serde_json::json!([])));
        assert!(!Path::new(&findings).exists(), "nothing was found, so nothing is written");
    }
}

/// Ranked CPUs starve whoever waits for somebody that only waits for time: the hot-plug thread must not do so when its port goes.
#[test]
fn a_port_that_goes_while_its_button_blinks_keeps_no_thread_busy() {
    let folder = Folder::new("eject-at-the-end");
    let (plan, findings) = (scenario("eject-at-the-end.plan"), folder.file("findings"));
    let arguments = ["--chooser", "pct", "--depth", "2", "--schedules", "20", "--out", &findings];
    let output = workgate(&[&["explore", plan.as_str()], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("20 runs"), "{}", out(&output));
}

#[test]
fn removals_are_shown_by_site_and_state() {
    let folder = Folder::new("matrix");
    let (plan, page) = (folder.write("p.plan", SHORT), folder.file("m.html"));
    let arguments =
        ["explore", &plan, "--removal", "all", "--horizon", "100us", "--schedules", "60", "--html", &page];
    let output = workgate(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    for part in ["edu0: removals by site and state", "removed at", "gate.close", "60 runs"] {
        assert!(out(&output).contains(part), "no {part} in {}", out(&output));
    }
    assert!(std::fs::read_to_string(page).expect("a page").contains("class=\"held\""));
}

#[test]
fn a_replay_stops_at_an_event() {
    let folder = Folder::new("stop");
    let plan = folder.write("p.plan", SHORT);
    let output = workgate(&["replay", &plan, "--stop-at", "io.issue#2"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", err(&output));
    let last = text.lines().rfind(|line| line.contains(" ns  cpu"));
    assert!(last.is_some_and(|line| line.contains("io.issue")), "{text}");
    assert!(text.contains("edu0: in flight, 1 requests in flight"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("client#") && line.contains("runs on cpu")), "{text}");
    let output = workgate(&["replay", &plan, "--stop-at", "willTerminate#99"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("the run has no such event"), "{}", err(&output));
}

#[test]
fn a_replay_stops_at_an_alarm_a_removal_and_a_site() {
    let plan = scenario("close-early.plan");
    let view = |stop: &str| -> serde_json::Value {
        let output = workgate(&["replay", &plan, "--stop-at", stop, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{stop}: {}", err(&output));
        serde_json::from_str(&out(&output)).expect("a JSON document")
    };
    let last = |view: &serde_json::Value| view["events"].as_array().expect("a list").last().cloned();
    let told = |stop: &str| last(&view(stop)).expect("an event").as_str().expect("a line").to_owned();
    assert!(told("alarm").contains("oracle.violation close-before-return"));
    let removal = view("removal");
    assert!(last(&removal).expect("an event").as_str().expect("a line").contains("fault unplug"));
    for same in ["edu0.removal", "unplug", "edu0.unplug#1", "edu0.mmio.write#40"] {
        assert_eq!(view(same), removal, "{same}");
    }
    let gates = removal["gates"].as_array().expect("a list");
    assert!(
        gates.iter().any(|gate| gate["gate"] == "EduDriver@7" && gate["waiters"] != serde_json::json!([]))
    );
    let number = removal["number"].as_u64().expect("a number").to_string();
    assert_eq!(view(&number)["hash"], removal["hash"]);
    for (stop, expected) in [
        ("99999999", "it ends after "),
        ("edu1.mmio.write", "`edu1.mmio.write` is none of them; expected the number of an event"),
        ("removal#2", "1 of them removal"),
        ("storm", "there are: "),
    ] {
        let output = workgate(&["replay", &plan, "--stop-at", stop]);
        assert_eq!(output.status.code(), Some(2), "{stop}");
        assert!(err(&output).contains(expected), "{stop}: {}", err(&output));
    }
}

#[test]
fn wrong_requests_say_what_was_expected() {
    let folder = Folder::new("wrong");
    let plan = folder.write("p.plan", SHORT);
    let damaged = folder.write("d.capsule", "workgate-capsule 1\nrule x\nhash 12\nschedule dice\n");
    let other = folder.write("o.capsule", "workgate-capsule 7\n");
    let bad_plan =
        folder.write("b.capsule", "workgate-capsule 1\nrule x\nhash 12\nschedule plain\nplan p\nplugg a\n");
    let cases: [(&[&str], &str); 9] = [
        (&["replay", &damaged], "line 4: dice; expected `plain`, `seed N`"),
        (&["replay", &other], "capsules of other versions"),
        (&["replay", &bad_plan], "plug"),
        (&["replay", &plan, "--stop-at", "nonsense"], "such as willTerminate#2"),
        (&["explore", &plan, "--time", "3"], "30s, 5m or 2h"),
        (&["explore", &plan, "--shard", "4/4"], "I below N"),
        (&["explore", &plan, "--removal", "all", "--horizon", "1"], "500us or 2ms"),
        (&["explore", &plan, "--chooser", "exhaustive", "--depth", "2"], "bound them with --schedules"),
        (&["shrink", &plan, "--seed", "3"], "shows no bug"),
    ];
    for (arguments, expected) in cases {
        let output = workgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
    }
    let empty = folder.write("e.plan", "run for=1ms\n");
    let output = workgate(&["explore", &empty, "--removal", "all"]);
    assert!(
        output.status.code() == Some(2) && err(&output).contains("plugs no device in"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_capsule_that_gives_another_trace_is_told() {
    let folder = Folder::new("other");
    let capsule = format!("workgate-capsule 1\nrule io-lost\nhash 12\nschedule plain\nplan p.plan\n{SHORT}");
    let output = workgate(&["replay", &folder.write("c.capsule", &capsule)]);
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(out(&output).contains("NOT that of the capsule"), "{}", out(&output));
    let output = workgate(&["replay", &folder.file("c.capsule"), "--stop-at", "5"]);
    assert_eq!(output.status.code(), Some(3), "its numbers would be those of another run");
    assert!(err(&output).contains("not the run that the capsule was made of"), "{}", err(&output));
}

#[test]
fn the_trace_of_a_capsule_is_that_of_its_schedule() {
    let folder = Folder::new("traced");
    let capsule = |schedule: &str| {
        let name = format!("{}.capsule", schedule.replace(' ', "-"));
        folder.write(
            &name,
            &format!("workgate-capsule 1\nrule none\nhash 0\nschedule {schedule}\nplan p.plan\n{SHORT}"),
        )
    };
    let plan = folder.write("p.plan", SHORT);
    let events = |arguments: &[&str]| {
        let output = workgate(&[&["trace"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        out(&output)
    };
    let seventh = events(&[&plan, "--seed", "7"]);
    assert!(seventh.lines().count() > 100, "{seventh}");
    assert_eq!(events(&[&capsule("seed 7")]), seventh);
    assert_ne!(events(&[&capsule("plain")]), seventh);
}

#[test]
fn what_was_exercised_is_told_and_written_as_lcov() {
    let folder = Folder::new("lcov");
    let (plan, file) = (folder.write("p.plan", SHORT), folder.file("cover.lcov"));
    let explored = workgate(&["explore", &plan, "--schedules", "3", "--lcov", &file]);
    assert_eq!(explored.status.code(), Some(0), "{}{}", out(&explored), err(&explored));
    for group in ["steps ", "sites ", "checks "] {
        let line = out(&explored).lines().find(|line| line.starts_with(group)).map(str::to_owned);
        assert!(line.is_some_and(|line| line.contains(" exercised, ")), "{}", out(&explored));
    }
    let text = std::fs::read_to_string(&file).expect("the tracefile is there");
    assert!(text.contains("SF:cover.sites.txt\n") && text.contains("edu0.mmio.write\n"), "{text}");
    let sites = std::fs::read_to_string(folder.file("cover.sites.txt")).expect("its lists are there");
    let lines = text.lines().skip_while(|line| *line != "SF:cover.sites.txt");
    let last = lines.take_while(|line| *line != "end_of_record").filter(|line| line.starts_with("DA:"));
    assert_eq!(last.count(), sites.lines().count());
    let ran = workgate(&["run", &plan, "--machine", "sim", "--lcov", &file, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&out(&ran)).expect("a JSON document");
    let exercised = document["exercised"].as_array().expect("a list");
    let hits = |name: &str| exercised.iter().find(|item| item["name"] == name).map(|item| &item["hits"]);
    assert!(hits("starting → started").and_then(serde_json::Value::as_u64).is_some_and(|hits| hits > 0));
    assert_eq!(hits("io-lost").and_then(serde_json::Value::as_u64), Some(1));
}

#[test]
fn the_benchmark_of_finding_is_asked_for_by_name() {
    let arguments = ["bench", "find", "close-early", "--executions", "4", "--twins", "2", "--json"];
    let output = workgate(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let document: serde_json::Value = serde_json::from_str(&out(&output)).expect("a JSON document");
    let bug = &document["bugs"][0];
    assert_eq!((&bug["bug"], &bug["rule"]), (&"close-early".into(), &"close-before-return".into()));
    let cells = bug["cells"].as_array().expect("a list");
    let random = cells.iter().find(|cell| cell["method"] == "random").expect("a method");
    assert_eq!((&random["end"], &random["alarm"]), (&"found".into(), &serde_json::Value::Null));
    let unknown = workgate(&["bench", "find", "unicorn"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("\"unicorn\" is not in the zoo; expected some of: "), "{}", err(&unknown));
}
