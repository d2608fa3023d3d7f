//! The command as its users call it: output, exit statuses, messages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn scenario(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("tests/scenarios").join(name)
}

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn run(plan: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["run", plan.to_str().expect("a path in UTF-8")];
    arguments.extend(more);
    workgate(&arguments)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A plan of this test's own, in a file that is removed with the value.
struct Draft(PathBuf);

impl Draft {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a writable temporary folder");
        Self(path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A file left behind in the temporary folder does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn surprise_removal_shows_ledger_order_and_verdict() {
    let output = run(&scenario("surprise-removal.plan"), &["--machine", "sim"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", err(&output));
    for part in ["unplug of edu0", "issued = completed + offline", ".willTerminate(edu0@", "verdict: PASS"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn the_same_seed_prints_the_same_document_and_another_seed_another_hash() {
    let plan = scenario("surprise-removal.plan");
    let document = |seed| out(&run(&plan, &["--machine", "sim", "--seed", seed, "--json"]));
    let seven = document("7");
    assert_eq!(seven, document("7"));
    let hash = |text: &str| -> String {
        let json: serde_json::Value = serde_json::from_str(text).expect("a JSON document");
        json["trace_hash"].as_str().expect("a hash").to_owned()
    };
    assert_ne!(hash(&seven), hash(&document("8")));
}

#[test]
fn a_broken_driver_exits_1_and_its_rule_is_named() {
    let output = run(&scenario("close-early.plan"), &["--machine", "sim"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("BROKEN close-before-return on edu0"), "{}", out(&output));
    assert!(out(&output).contains("verdict: FAIL"));
}

/// The words of a run of several plans, on the simulator.
fn several<'a>(plans: &[&'a Path], more: &[&'a str]) -> Output {
    let mut arguments = vec!["run", "--machine", "sim"];
    arguments.extend(plans.iter().map(|plan| plan.to_str().expect("a path in UTF-8")));
    arguments.extend(more);
    workgate(&arguments)
}

#[test]
fn several_plans_have_a_line_each_and_one_that_shows_a_bug_is_good_if_it_does() {
    let (smallest, shows) = (scenario("smallest.plan"), scenario("close-early.plan"));
    let output = several(&[&smallest, &shows], &[]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", err(&output));
    assert!(text.lines().any(|line| line.starts_with("held ") && line.contains("smallest.plan")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("found ") && line.contains("close-before-return")));
    assert!(text.ends_with("2 plans: 1 held, 1 found what they are there to show, 0 failed\n"), "{text}");
}

#[test]
fn one_bad_plan_among_several_stops_none_of_the_others() {
    let text = std::fs::read_to_string(scenario("close-early.plan")).expect("the plan");
    let broken = Draft::new("not-said.plan", &text.replace("# finds: ", "# shows: "));
    let fixed = Draft::new("not-found.plan", &text.replace(" driver=close-early", ""));
    let smallest = scenario("smallest.plan");
    let output = several(&[&broken.0, &fixed.0, &smallest], &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("a JSON document");
    let outcomes: Vec<_> = json["plans"].as_array().expect("plans").iter().map(|p| &p["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "failed", "held"]);
    assert_eq!(
        (&json["good"], &json["plans"][1]["why"]),
        (&1.into(), &"close-before-return was not found".into())
    );
    assert_eq!(json["plans"][2]["report"]["verdict"]["passed"], true);
}

#[test]
fn what_is_wrong_with_one_of_several_is_said_before_any_runs() {
    let (smallest, shows) = (scenario("smallest.plan"), scenario("close-early.plan"));
    let mistake = Draft::new("mistake.plan", "machin cpus=2\n");
    let twice = scenario("zoo/close-early.plan");
    let folder = std::env::temp_dir().join(format!("workgate-{}-several", std::process::id()));
    let folder = folder.to_str().expect("a path in UTF-8");
    let cases: [(&[&Path], &[&str], &str); 4] = [
        (&[&smallest, &mistake.0], &[], "did you mean `machine`?"),
        (&[&smallest, &shows], &["--control", "/nonexistent/socket"], "`--control` goes with one plan"),
        (&[&smallest, &shows], &["--lcov", "/nonexistent/file"], "`--lcov` goes with one plan"),
        (&[&twice, &shows], &["--report", folder], "two of the plans are called close-early"),
    ];
    for (plans, more, said) in cases {
        let output = several(plans, more);
        assert_eq!(output.status.code(), Some(2), "{said}: {}", err(&output));
        assert!(err(&output).contains(said) && out(&output).is_empty(), "{said}: {}", err(&output));
    }
}

#[test]
fn several_plans_have_a_folder_each_in_the_report() {
    let folder = std::env::temp_dir().join(format!("workgate-{}-folders", std::process::id()));
    let (smallest, shows) = (scenario("smallest.plan"), scenario("close-early.plan"));
    let output = several(&[&smallest, &shows], &["--report", folder.to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for name in ["smallest", "close-early"] {
        assert!(folder.join(name).join("result.json").is_file(), "{name}");
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

#[test]
fn mistakes_in_a_plan_exit_2_with_line_column_and_what_was_expected() {
    let cases = [
        ("machin cpus=2\n", ":1:1", "did you mean `machine`?"),
        ("plug edu0 edu slot=1\nat 5parsecs unplug edu0\n", ":2:4", "expected a number with ns, us, ms or s"),
        ("plug edu0 nosuch slot=1\n", ":1:11", "virtio-blk"),
        ("plug edu0 edu slot=1\nplug edu1 edu slot=1\n", ":2:", "slot"),
        ("plug edu0 edu slot=32\n", ":1:", "31"),
        ("at 5ms unplug edu0\n", ":1:", "edu0"),
        ("plug edu0 edu slot=1\non edu0.mmio.wrte #3 unplug edu0\n", ":2:", "mmio.write"),
        ("plug edu0 edu slot=1\nat 5ms unplug edu0\nrun for=1ms\n", ":2:", ""),
        ("plug edu0 edu slot=1 nosuch=1\n", ":1:", "nosuch"),
        ("plug edu0 edu slot=1 driver=close-erly\n", ":1:22", "expected close-early"),
        ("machine cpus=9\n", ":1:", "8"),
    ];
    for (n, (text, place, hint)) in cases.iter().enumerate() {
        let draft = Draft::new(&format!("mistake-{n}.plan"), text);
        let output = run(&draft.0, &["--machine", "sim"]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(place) && err(&output).contains(hint), "{text}: {}", err(&output));
    }
}

#[test]
fn wrong_requests_exit_2_with_a_sentence() {
    let smallest = scenario("smallest.plan");
    let smallest = smallest.to_str().expect("a path in UTF-8");
    let cases: [(&[&str], &str); 9] = [
        (&["run", "/nonexistent.plan"], "cannot read /nonexistent.plan"),
        (&["run"], "PLAN"),
        (&["rnu", smallest], "unrecognized subcommand"),
        (&["run", smallest, "--machine", "vax"], "kvm"),
        (&["run", smallest, "--seed", "many"], "many"),
        (&["run", smallest, "--machine", "sim", "--image", smallest], "--machine kvm"),
        (&["boot", "/nonexistent"], "cannot read image"),
        (&["boot", smallest, "--memory", "many"], "many"),
        (&["boot", smallest, "--plug", "edu"], "SLOT=DEVICE"),
    ];
    for (arguments, hint) in cases {
        let output = workgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(hint), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn an_image_that_is_none_is_refused_before_the_host_is_asked() {
    let image = Draft::new("not-an-image", "#!/bin/sh\n");
    let image = image.0.to_str().expect("a path in UTF-8").to_owned();
    let output = workgate(&["boot", &image]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[test]
fn devices_and_doctor_tell_people_and_programs() {
    let listing = workgate(&["devices"]);
    assert_eq!(listing.status.code(), Some(0));
    assert!(out(&listing).contains("virtio-blk") && out(&listing).contains("mmio.write"));
    let json: serde_json::Value =
        serde_json::from_str(&out(&workgate(&["devices", "--json"]))).expect("JSON");
    assert!(json["models"].as_array().is_some_and(|models| models.len() >= 2));
    let doctor = workgate(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(0));
    assert!(out(&doctor).contains("auto") && out(&doctor).contains("simulator"));
    let json: serde_json::Value = serde_json::from_str(&out(&workgate(&["doctor", "--json"]))).expect("JSON");
    assert!(json["auto"].is_string());
}

/// In the spirit of `kextload -tn`.
#[test]
fn bundles_are_listed_and_checked() {
    let listing = workgate(&["bundles"]);
    assert_eq!(listing.status.code(), Some(0), "{}", err(&listing));
    for part in [
        "org.workgate.driver.edu 0.1\n  needs    org.workgate.kernel.iokit 0.1\n",
        "  class    EduDriver: IOService\n",
        "  matches  edu: EduDriver on IOPCIDevice, score 0\n  can be loaded\n",
    ] {
        assert!(out(&listing).contains(part), "no `{part}` in\n{}", out(&listing));
    }
    let json: serde_json::Value =
        serde_json::from_str(&out(&workgate(&["bundles", "storage", "--json"]))).expect("JSON");
    assert_eq!(json[0]["identifier"], "org.workgate.family.storage");
    assert_eq!((&json[0]["loads"], &json[0]["complaints"]), (&true.into(), &serde_json::json!([])));
    let wrong = workgate(&["bundles", "edo"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("no bundle \"edo\": expected one of") && err(&wrong).contains("driver.edu"));
}

/// Ping-pong and class counts are there for people and programs.
#[test]
fn a_run_tells_what_its_threads_did_and_which_classes_are_left() {
    let plan = scenario("surprise-removal.plan");
    let text = out(&run(&plan, &["--machine", "sim"]));
    assert!(text.contains("wake-ups, ") && text.contains("to another CPU than before"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&out(&run(&plan, &["--machine", "sim", "--json"]))).expect("JSON");
    let threads = json["scheduling"]["threads"].as_array().expect("threads");
    let work_loop =
        threads.iter().find(|thread| thread["name"] == "IOWorkLoop").expect("a work loop's thread");
    assert_eq!((&work_loop["priority"], &work_loop["band"]), (&81.into(), &"kernel".into()));
    assert!(work_loop["wakeups"].as_u64() > Some(0) && work_loop["running"].as_u64() > Some(0));
    let sum: u64 = threads.iter().filter_map(|thread| thread["moves"].as_u64()).sum();
    assert_eq!(json["scheduling"]["moves"].as_u64(), Some(sum));
    let classes = json["verdict"]["classes"].as_array().expect("classes");
    assert!(classes.iter().any(|class| class[0] == "EduDriver" && class[1] == 0), "{classes:?}");
}

#[test]
fn a_report_folder_has_result_trace_and_plan() {
    let folder = std::env::temp_dir().join(format!("workgate-report-{}", std::process::id()));
    let to = folder.to_str().expect("a path in UTF-8");
    let output = run(&scenario("smallest.plan"), &["--machine", "sim", "--report", to]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let result = std::fs::read_to_string(folder.join("result.json")).expect("the result");
    let json: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    let trace = std::fs::metadata(folder.join("trace.bin")).expect("the trace").len();
    assert_eq!(Some(trace / 64), json["events"].as_u64());
    // The plan in the folder runs again.
    let again = run(&folder.join("run.plan"), &["--machine", "sim"]);
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// More requests than there is memory for threads, on a disk of one block: what there is must still end in order.
#[test]
fn a_crowd_of_requests_on_a_tiny_disk_ends_in_order() {
    let text = "plug disk0 virtio-blk slot=1 size=512\nload disk0 clients=64 depth=256\nexpect no-leaks\nrun for=2ms\n";
    let draft = Draft::new("crowd.plan", text);
    let output = run(&draft.0, &["--machine", "sim"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
}

#[test]
fn a_full_disk_behind_the_output_is_told() {
    let plan = scenario("smallest.plan");
    let plan = plan.to_str().expect("a path in UTF-8");
    for arguments in [&["run", plan, "--machine", "sim", "--json"][..], &["devices"], &["devices", "--json"]]
    {
        // Other systems have no such file.
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let output = Command::new(env!("CARGO_BIN_EXE_workgate"))
            .args(arguments)
            .stdout(full)
            .output()
            .expect("the command starts");
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(err(&output).contains("cannot write to the standard output"), "{}", err(&output));
    }
}

#[test]
fn a_reader_that_has_gone_is_no_crash() {
    use std::process::Stdio;
    let plan = scenario("surprise-removal.plan");
    let mut child = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["run", plan.to_str().expect("a path in UTF-8"), "--machine", "sim"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
}

#[test]
fn a_collection_has_a_folder_and_a_line_for_each_machine() {
    let collection = std::env::temp_dir().join(format!("workgate-{}-collection", std::process::id()));
    let (smallest, directory) = (scenario("smallest.plan"), collection.to_str().expect("a path in UTF-8"));
    for (machine, name) in ["smallest-1", "smallest-2"].into_iter().enumerate() {
        let output = run(&smallest, &["--machine", "sim", "--collect", directory]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(out(&output).contains(&format!("{directory}/{name}\n")), "{}", out(&output));
        let console = std::fs::read_to_string(collection.join(name).join("console.log")).expect("a console");
        assert!(console.contains("load edu0: issued="), "{console}");
        assert!(collection.join(name).join("trace.bin").is_file());
        let index = std::fs::read_to_string(collection.join("index.jsonl")).expect("a list");
        let line: serde_json::Value =
            serde_json::from_str(index.lines().last().expect("a line")).expect("JSON");
        assert_eq!((index.lines().count(), &line["folder"]), (machine + 1, &serde_json::json!(name)));
        assert_eq!(
            (&line["verdict"], &line["machine"]),
            (&serde_json::json!("PASS"), &serde_json::json!("sim"))
        );
    }
    std::fs::remove_dir_all(&collection).expect("ours");
}

#[test]
fn a_console_that_cannot_be_is_told_and_one_that_fills_up_hides_no_verdict() {
    let smallest = scenario("smallest.plan");
    for (place, what) in [
        ("pty:", "expected a file, file:PATH, pty"),
        ("tcp:nowhere", "`nowhere` is no address and port"),
        ("unix:/nonexistent/socket", "cannot make the socket /nonexistent/socket"),
    ] {
        let output = run(&smallest, &["--machine", "sim", "--console", place]);
        assert_eq!(output.status.code(), Some(2), "{place}");
        assert!(err(&output).contains(what), "{place}: {}", err(&output));
    }
    let output = run(&smallest, &["--machine", "sim", "--console", "/dev/full"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        out(&output).contains("verdict: PASS")
            && err(&output).contains("cannot write the console to /dev/full")
    );
}

/// A folder whose trace goes to a full disk.
fn full(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("workgate-full-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable temporary folder");
    std::os::unix::fs::symlink("/dev/full", folder.join("trace.bin")).expect("a link");
    folder
}

#[test]
fn a_report_that_cannot_be_written_hides_no_verdict() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let (smallest, folder) = (scenario("smallest.plan"), full("report"));
    let lcov = "/dev/null/x.info";
    for (options, what) in [
        (["--report", folder.to_str().expect("a path in UTF-8")], "trace.bin: No space left"),
        (["--lcov", lcov], "cannot write /dev/null/x"),
    ] {
        let output = run(&smallest, &[&["--machine", "sim"], &options[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(out(&output).contains("verdict: PASS") && err(&output).contains(what), "{}", err(&output));
    }
    for file in ["result.json", "report.html", "junit.xml"] {
        assert!(folder.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    std::fs::remove_dir_all(folder).expect("ours");
}

#[test]
fn the_report_of_one_plan_that_cannot_be_written_keeps_no_other_from_running() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let reports = std::env::temp_dir().join(format!("workgate-full-{}-many", std::process::id()));
    let folder = full("first");
    std::fs::create_dir_all(&reports).expect("a writable temporary folder");
    std::fs::rename(&folder, reports.join("smallest")).expect("ours");
    let plans = ["smallest.plan", "eject.plan"].map(|name| scenario(name).display().to_string());
    let report = reports.to_str().expect("a path in UTF-8");
    let output = workgate(&["run", &plans[0], &plans[1], "--machine", "sim", "--report", report]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("2 plans: 2 held"), "{text}");
    assert!(err(&output).contains("trace.bin: No space left"), "{}", err(&output));
    assert!(reports.join("eject/result.json").exists());
    std::fs::remove_dir_all(reports).expect("ours");
}
