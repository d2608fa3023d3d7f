//! `workgate cycle` as its users call it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of this test's own, removed with the value.
struct Draft(PathBuf);

impl Draft {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-cycle-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a writable temporary folder");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A file left behind in the temporary folder does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

const EDU: &str = "machine cpus=2 memory=64M\nplug edu0 edu slot=1\nload edu0 clients=2 depth=4\nat 5ms unplug edu0\nrun for=20ms\n";

/// The words of a cycle of `plan` in the simulator.
fn cycle(plan: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["cycle", plan, "--machine", "sim"];
    arguments.extend(more);
    workgate(&arguments)
}

/// The document of a cycle, and its exit status.
fn document(plan: &str, more: &[&str]) -> (Value, Option<i32>) {
    let mut arguments = more.to_vec();
    arguments.push("--json");
    let output = cycle(plan, &arguments);
    let json = serde_json::from_slice(&output.stdout);
    (json.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr))), output.status.code())
}

fn trend<'a>(document: &'a Value, figure: &str) -> &'a Value {
    let trends = document["trends"].as_array().expect("trends");
    trends
        .iter()
        .find(|trend| trend["figure"] == figure)
        .unwrap_or_else(|| panic!("no {figure} in {trends:?}"))
}

#[test]
fn the_zoos_leak_is_named_and_its_twin_passes() {
    let plan = Draft::new("leak.plan", EDU);
    let (leaks, status) = document(plan.path(), &["--passes", "20", "--driver", "edu=zoo-instance-leak"]);
    assert_eq!((status, &leaks["verdict"]), (Some(1), &Value::from("FAIL")));
    let requests = trend(&leaks, "class ZooRequest");
    assert_eq!(requests["grows"], true);
    // Eight requests are in flight when the card goes; now and then one is not.
    let per_pass = requests["per_pass"].as_f64().expect("a number");
    assert!((7.0..=8.0).contains(&per_pass), "{requests}");
    let problems = leaks["problems"].to_string();
    assert!(problems.contains("class ZooRequest grows by 7."), "{problems}");
    assert!(!problems.contains("latency"), "{problems}");

    let (fixed, status) =
        document(plan.path(), &["--passes", "20", "--driver", "edu=zoo-instance-leak-fixed"]);
    assert_eq!((status, &fixed["verdict"], &fixed["done"]), (Some(0), &"PASS".into(), &20.into()));
    assert_eq!(trend(&fixed, "class ZooRequest")["most"], 0, "nothing is left behind any pass");
}

#[test]
fn a_card_with_one_request_at_a_time_goes_while_that_is_in_flight() {
    let plan = Draft::new("single.plan", "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\n");
    for what in ["plug", "eject"] {
        let (leaks, status) =
            document(plan.path(), &["--passes", "20", "--what", what, "--driver", "edu=zoo-instance-leak"]);
        assert_eq!(status, Some(1), "{what}");
        let problems = leaks["problems"].to_string();
        assert!(problems.contains("class ZooRequest grows by"), "{what}: {problems}");
        let (fixed, status) = document(plan.path(), &["--passes", "20", "--what", what]);
        assert_eq!((status, &fixed["done"]), (Some(0), &20.into()), "{what}: {}", fixed["problems"]);
    }
}

#[test]
fn a_driver_that_never_closes_and_one_that_releases_too_much_are_found_in_their_first_pass() {
    let plan = Draft::new("never.plan", EDU);
    let (stays, status) = document(plan.path(), &["--driver", "edu=zoo-never-closes"]);
    assert_eq!((status, &stays["done"]), (Some(1), &0.into()));
    let problems = stays["problems"].to_string();
    assert!(problems.contains("pass 1: edu0 is not gone 2s after unplug: IOPCIDevice#"), "{problems}");
    assert!(problems.contains("never-quiet on edu0"), "{problems}");
    let (panics, status) = document(plan.path(), &["--driver", "edu=zoo-over-release"]);
    assert_eq!(status, Some(1));
    let problems = panics["problems"].to_string();
    assert!(problems.contains("O1: release of a freed object: ZooRequest"), "{problems}");
    assert!(problems.contains("the machine ended in pass 1 (unplug)"), "{problems}");
}

#[test]
fn right_drivers_pass_whatever_comes_and_goes() {
    let plans = [
        ("edu0", EDU),
        ("disk0", "plug disk0 virtio-blk slot=2 size=16M\nload disk0 clients=2 depth=4\n"),
        ("daq0", "plug daq0 daq slot=2\nload daq0 clients=1 depth=2\n"),
        (
            "stick0",
            "plug usb0 xhci slot=3\nplug stick0 usb-storage on=usb0 port=1 size=16M\nload stick0 clients=1 depth=2\n",
        ),
        (
            "fire0",
            "plug fw0 ohci slot=4\nplug fire0 firewire-disk on=fw0 port=1 size=16M\nload fire0 clients=1 depth=2\n",
        ),
    ];
    for (device, text) in plans {
        let plan = Draft::new(&format!("{device}.plan"), text);
        for what in ["plug", "open", "load"] {
            let (passed, status) = document(plan.path(), &["--passes", "12", "--what", what]);
            let told = format!("{what} {device}: {}", passed["problems"]);
            assert_eq!(
                (status, &passed["verdict"], &passed["done"]),
                (Some(0), &"PASS".into(), &12.into()),
                "{told}"
            );
            assert_eq!(passed["device"], device);
        }
    }
    let plan = Draft::new("eject.plan", EDU);
    assert_eq!(document(plan.path(), &["--passes", "12", "--what", "eject"]).1, Some(0));
    // A controller, with what is behind it; and a card that is not there at first.
    let usb = Draft::new("usb.plan", plans[3].1);
    assert_eq!(document(usb.path(), &["--passes", "6", "--device", "usb0"]).1, Some(0));
    let late = Draft::new(
        "late.plan",
        &EDU.replace("slot=1", "slot=1 absent=yes").replace("at 5ms", "at 5ms plug edu0\nat 6ms"),
    );
    assert_eq!(document(late.path(), &["--passes", "6"]).1, Some(0));
}

#[test]
fn the_same_seed_tells_the_same_and_a_thousand_passes_have_a_few_dozen_lines() {
    let plan = Draft::new("same.plan", EDU);
    let run = |seed| text(&cycle(plan.path(), &["--passes", "40", "--seed", seed, "--json"]).stdout);
    let first = run("5");
    assert_eq!(first, run("5"));
    assert_ne!(first, run("6"));
    let output = cycle(plan.path(), &["--passes", "1000", "--requests", "1"]);
    let log = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.lines().count() < 70 && log.contains("1000 of 1000 passes"), "{log}");
}

#[test]
fn a_period_is_kept_and_one_that_is_too_short_says_what_was_reached() {
    let plan = Draft::new("period.plan", EDU);
    let (kept, status) = document(plan.path(), &["--passes", "10", "--period", "5ms"]);
    assert_eq!(status, Some(0));
    let reached = kept["reached"].as_u64().expect("a time");
    assert!((5_000_000..5_100_000).contains(&reached), "{reached}");
    let output = cycle(plan.path(), &["--passes", "10", "--period", "1us"]);
    let log = text(&output.stdout);
    assert!(log.contains(": 1us was asked for, but a pass takes longer"), "{log}");
}

#[test]
fn every_figure_of_every_pass_goes_into_a_file() {
    let plan = Draft::new("out.plan", EDU);
    let out = Draft::new("passes.csv", "");
    assert_eq!(cycle(plan.path(), &["--passes", "9", "--out", out.path()]).status.code(), Some(0));
    let csv = std::fs::read_to_string(out.path()).expect("it was written");
    let columns = |line: &str| line.matches(',').count();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[0].starts_with("pass,") && lines[0].contains("\"class EduDriver\""), "{csv}");
    assert!(lines.iter().all(|line| columns(line) >= 10 && !line.is_empty()), "{csv}");
    let nowhere = Path::new("/nowhere/passes.csv");
    let failed = cycle(plan.path(), &["--passes", "1", "--out", nowhere.to_str().expect("UTF-8")]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(text(&failed.stderr).contains("cannot write /nowhere/passes.csv"));
}

#[test]
fn requests_that_are_wrong_say_what_was_expected() {
    let plan = Draft::new("wrong.plan", EDU);
    let two = Draft::new(
        "two.plan",
        "plug usb0 xhci slot=3\nplug stick0 usb-storage on=usb0 port=1 size=16M\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nload stick0 clients=1 depth=1\n",
    );
    let idle = Draft::new("idle.plan", "plug edu0 edu slot=1\n");
    let none = Draft::new("none.plan", "run for=1ms\n");
    for (plan, arguments, expected) in [
        (
            &plan,
            &["--device", "edu1"][..],
            "there is no `edu1` in the plan; expected one of edu0; did you mean `edu0`?",
        ),
        (&plan, &["--passes", "0"], "0 is not in 1..=100000"),
        (&plan, &["--period", "0ns"], "expected a time such as 500us or 2ms"),
        (&plan, &["--what", "melt"], "possible values: plug, eject, load, open"),
        (&plan, &["--driver", "disk=zoo-nothing"], "there is no device or model `disk`"),
        (&plan, &["--driver", "usb-storage=zoo-usb-halt-kept"], "the plan has no usb-storage"),
        (&two, &[], "several devices: say which one with --device; expected one of usb0, stick0, edu0"),
        (&two, &["--device", "stick0", "--what", "eject"], "stick0 has no attention button"),
        (&idle, &["--what", "open"], "edu0 has no clients"),
        (&none, &[], "the plan has no device that could come and go"),
    ] {
        let output = cycle(plan.path(), arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    // A device that nobody uses can come and go all the same.
    assert_eq!(cycle(idle.path(), &["--passes", "6"]).status.code(), Some(0));
}

#[test]
fn ctrl_c_tells_what_was_seen_so_far_and_leaves_a_whole_file() {
    use std::io::{BufRead, BufReader, Read};
    let plan = Draft::new("stop.plan", EDU);
    let out = Draft::new("stop.csv", "");
    let mut child = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["cycle", plan.path(), "--machine", "sim", "--passes", "100000", "--out", out.path()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut log = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.trim_start().starts_with("5 ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it ended by itself");
    }
    let killed =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{rest}");
    assert!(rest.contains("verdict: INTERRUPTED") && rest.contains(" of 100000 passes"), "{rest}");
    let csv = std::fs::read_to_string(out.path()).expect("it was written");
    let columns: Vec<usize> = csv.lines().map(|line| line.matches(',').count()).collect();
    assert!(columns.len() > 5 && columns.iter().all(|n| *n == columns[0]), "whole lines");
}
