//! The control socket of real runs, over a raw socket.

mod client;

use client::{Run, scenario};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const REMOVAL: &str = "surprise-removal.plan";

/// Lets the run end, and gives what it printed: status and document.
fn let_go(run: Run) -> (Option<i32>, Value) {
    let (status, out, err) = run.finish();
    let document = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}\n{err}"));
    (status, document)
}

/// Stops a run at 500 us of plan time, takes the disk away there, and lets it end: status, document, what a plan would say for it.
fn removed_by_hand(name: &str) -> (Option<i32>, Value, String) {
    let mut run = Run::start(name, &["run", &scenario(REMOVAL), "--machine", "sim", "--json"], true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"time": "500us"})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let status = client.ask("query-status", json!({})).expect("a status");
    assert_eq!((&status["status"], &status["running"]), (&json!("paused"), &json!(false)));
    let time = status["x-workgate-plan-time"].as_u64().expect("a time");
    // The first point at or behind it: points are tens of nanoseconds apart.
    assert!((500_000..600_000).contains(&time), "{time}");
    let again = client.ask("query-status", json!({})).expect("a status");
    assert_eq!(again["x-workgate-time"], status["x-workgate-time"], "time stands still");

    let (class, what) =
        client.ask("x-workgate-fault", json!({"statement": "unplg disk0"})).expect_err("a typo");
    assert!(class == "GenericError" && what.contains("did you mean `unplug`?"), "{what}");
    let said = client.ask("x-workgate-fault", json!({"statement": "unplug disk0"})).expect("it is done");
    assert_eq!(said["plan-time"], time);
    assert_eq!(client.event("DEVICE_DELETED")["data"]["device"], "disk0");
    views(client);
    client.ask("cont", json!({})).expect("it goes on");
    client.event("RESUME");
    assert_eq!(client.event("SHUTDOWN")["data"], json!({"guest": true, "reason": "guest-shutdown"}));
    let verdict = client.event("X_WORKGATE_VERDICT");
    assert_eq!(verdict["data"], json!({"passed": true, "verdict": "PASS", "findings": 0}));
    assert!(client.read().is_none(), "then it is over");
    let (status, document) = let_go(run);
    (status, document, said["statement"].as_str().expect("a statement").to_owned())
}

/// What can be seen of a machine that stands still with requests in flight.
fn views(client: &mut client::Client) {
    let threads = client.ask("x-workgate-threads", json!({})).expect("threads");
    let threads = threads.as_array().expect("a list");
    assert!(
        threads.iter().any(|thread| thread["state"].as_str().is_some_and(|s| s.starts_with("runs on cpu")))
    );
    let registry = client.ask("x-workgate-registry", json!({})).expect("a tree").to_string();
    assert!(registry.contains("edu0") && registry.contains("disk0"), "{registry}");
    let classes = client.ask("x-workgate-classcount", json!({})).expect("classes");
    assert!(classes["IOPCIDevice"].as_u64().is_some_and(|n| n >= 2), "{classes}");
    let ledger = client.ask("x-workgate-ledger", json!({})).expect("a ledger");
    assert!(ledger["edu0"]["issued"].as_u64().is_some_and(|n| n > 0), "{ledger}");
    let sites = client.ask("x-workgate-sites", json!({})).expect("sites");
    assert!(sites["edu0"]["mmio.write"].as_u64().is_some_and(|n| n > 0), "{sites}");
    let buses = client.ask("query-pci", json!({})).expect("buses");
    let devices = buses[0]["devices"].as_array().expect("devices");
    let below: Vec<&Value> =
        devices.iter().flat_map(|d| d["pci_bridge"]["devices"].as_array().into_iter().flatten()).collect();
    assert!(below.len() == 1 && below[0]["qdev_id"] == "edu0", "{buses:#}");
    let cpus = client.ask("query-cpus-fast", json!({})).expect("processors");
    assert_eq!(cpus.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_run_is_stopped_a_disk_taken_away_and_the_verdict_is_heard() {
    let (status, document, statement) = removed_by_hand("by-hand");
    assert_eq!(status, Some(0), "{document:#}");
    let removals = document["verdict"]["removals"].as_array().expect("removals");
    assert!(removals.iter().any(|removal| removal["device"] == "disk0"), "{removals:?}");
    let plan = document["plan_text"].as_str().expect("a plan");
    assert!(statement.ends_with(" unplug disk0") && plan.lines().any(|line| line == statement), "{plan}");
    // The same plan, seed, stop and statement: the same run.
    let (_, again, _) = removed_by_hand("by-hand-again");
    assert_eq!(again["trace_hash"], document["trace_hash"]);
}

#[test]
fn a_run_that_is_only_looked_at_is_the_run_that_is_not() {
    let arguments = ["run", &scenario(REMOVAL), "--machine", "sim", "--json"];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output();
    let plain: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("a document");
    let mut run = Run::start("looked-at", &arguments, true);
    let client = run.client();
    for word in ["iothread", "willTerminate"] {
        let asked = client.ask("x-workgate-until", json!({"event": word, "count": 2}));
        assert_eq!(asked.is_ok(), word == "willTerminate");
    }
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let threads = client.ask("x-workgate-threads", json!({})).expect("threads").to_string();
    assert!(threads.contains(".willTerminate("), "somebody is in it: {threads}");
    client.ask("cont", json!({})).expect("it goes on");
    let (status, document) = let_go(run);
    assert_eq!((status, &document["trace_hash"]), (Some(0), &plain["trace_hash"]));
}

#[test]
fn an_orderly_ejection_ends_with_its_event() {
    let mut run = Run::start("eject", &["run", &scenario(REMOVAL), "--machine", "sim", "--json"], true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"time": "500us"})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    client.ask("device_del", json!({"id": "disk0"})).expect("the guest is asked");
    let devices = client.ask("x-workgate-devices", json!({})).expect("devices");
    assert_eq!(devices[1]["state"], "leaving");
    client.ask("cont", json!({})).expect("it goes on");
    // The plan takes edu0 away meanwhile.
    while client.event("DEVICE_DELETED")["data"]["device"] != "disk0" {}
    client.event("SHUTDOWN");
    let (status, document) = let_go(run);
    assert_eq!(status, Some(0), "{document:#}");
}

#[test]
fn the_end_can_be_asked_for_in_order_or_at_once() {
    let arguments = ["run", &scenario("smallest.plan"), "--machine", "sim", "--json"];
    let mut run = Run::start("power-down", &arguments, true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"event": "io.done", "count": 5})).expect("it is to come");
    client.ask("system_powerdown", json!({})).expect_err("its time has not begun");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    client.ask("system_powerdown", json!({})).expect("the guest is asked");
    client.event("POWERDOWN");
    client.ask("cont", json!({})).expect("it goes on");
    client.event("SHUTDOWN");
    let (status, document) = let_go(run);
    assert_eq!(status, Some(0), "{document:#}");

    let mut run = Run::start("quit", &arguments, true);
    let client = run.client();
    let mode = std::fs::metadata(client.path()).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    client.ask("quit", json!({})).expect("it ends");
    assert_eq!(client.event("SHUTDOWN")["data"], json!({"guest": false, "reason": "host-qmp-quit"}));
    assert_eq!(client.event("X_WORKGATE_VERDICT")["data"]["verdict"], "NONE");
    let path = client.path().to_owned();
    let (status, document) = let_go(run);
    assert_eq!((status, &document["verdict"]["ended"]["how"]), (Some(3), &json!("quit")), "{document:#}");
    assert!(!path.exists());
}

#[test]
fn a_fault_that_was_said_explains_what_it_spoils() {
    let mut run = Run::start("explained", &["run", &scenario(REMOVAL), "--machine", "sim", "--json"], true);
    let client = run.client();
    for statement in ["on edu0.mmio.write #20 corrupt edu0 count=3", "at 2ms stall cpu=0 for=1ms"] {
        client.ask("x-workgate-fault", json!({"statement": statement})).expect(statement);
    }
    client.ask("cont", json!({})).expect("it begins");
    let (status, document) = let_go(run);
    assert_eq!(status, Some(0), "a correct driver must not be accused: {document:#}");
    let faults = document["verdict"]["faults"].to_string();
    assert!(faults.contains("\"corrupt\"") && faults.contains("\"stall\""), "{faults}");
}

fn workgate(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output();
    let output = output.expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_registry_of_a_machine_that_stands_is_printed() {
    let mut run = Run::start("ioreg", &["run", &scenario(REMOVAL), "--machine", "sim", "--json"], true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"time": "500us"})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let path = client.path().to_str().expect("UTF-8").to_owned();
    let (status, tree, err) = workgate(&["ioreg", &path]);
    assert_eq!(status, Some(0), "{err}");
    let user_clients = tree.lines().filter(|line| line.contains("<class EduUserClient, ")).count();
    assert_eq!(user_clients, 4, "{tree}");
    let (status, counts, err) = workgate(&["classcount", &path, "EduUserClient", "NoSuchClass"]);
    assert_eq!((status, counts.as_str()), (Some(0), "EduUserClient = 4\nNoSuchClass = 0\n"), "{err}");
    let (_, document, _) = workgate(&["classcount", &path, "--json"]);
    let document: Value = serde_json::from_str(&document).expect("a document");
    assert_eq!(document["EduUserClient"], 4);
    client.ask("quit", json!({})).expect("it ends");
    run.finish();
    let (status, _, err) = workgate(&["ioreg", &path]);
    assert!(status == Some(2) && err.contains("no machine listens at"), "{err}");
}

#[test]
fn wrong_requests_exit_2_with_a_sentence() {
    let plan = scenario("smallest.plan");
    let cases: [(&[&str], &str); 3] = [
        (&["run", &plan, "--machine", "sim", "--paused"], "--control"),
        (&["run", &plan, "--machine", "sim", "--control", "/nonexistent/socket"], "/nonexistent/socket"),
        (&["run", &plan, "--machine", "sim", "--control", &plan], "is no socket"),
    ];
    for (arguments, hint) in cases {
        let (status, _, err) = workgate(arguments);
        assert!(status == Some(2) && err.contains(hint), "{arguments:?}: {err}");
    }
}

#[test]
fn two_machines_do_not_share_a_socket() {
    let arguments = ["run", &scenario("smallest.plan"), "--machine", "sim", "--json"];
    let mut run = Run::start("shared", &arguments, true);
    let path = run.client().path().to_owned();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(arguments)
        .args(["--control", path.to_str().expect("UTF-8")])
        .output()
        .expect("the command starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && err.contains("is in use"), "{err}");
    run.client().ask("cont", json!({})).expect("the first is still there");
    assert_eq!(let_go(run).0, Some(0));
}

#[test]
fn the_kvm_machine_stands_still_and_goes_on() {
    let arguments = ["run", &scenario("smallest.plan"), "--machine", "kvm", "--json"];
    let mut run = Run::start("kvm", &arguments, true);
    let Some(client) = run.try_client() else {
        let (status, _, err) = run.finish();
        assert_eq!(status, Some(3), "{err}");
        eprintln!("SKIPPED the control socket on KVM: {}", err.trim());
        return;
    };
    let time = |client: &mut client::Client| {
        client.ask("query-status", json!({})).expect("a status")["x-workgate-time"].as_u64().expect("a time")
    };
    let before = time(client);
    assert_eq!(time(client), before, "it has not begun");
    client.ask("x-workgate-until", json!({"event": "io.done", "count": 1})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let stopped = time(client);
    let ledger = client.ask("x-workgate-ledger", json!({})).expect("a ledger");
    assert!(stopped > before && ledger["edu0"]["completed"].as_u64().is_some_and(|n| n >= 1), "{ledger}");
    let threads = client.ask("query-cpus-fast", json!({})).expect("processors");
    assert!(threads[0]["thread-id"].as_u64().is_some_and(|id| id > 0), "{threads}");
    assert_eq!(time(client), stopped, "time stands still");
    client.ask("inject-nmi", json!({})).expect("our kernel bears one");
    client.ask("cont", json!({})).expect("it goes on");
    client.event("RESUME");
    client.event("SHUTDOWN");
    let (status, document) = let_go(run);
    assert_eq!((status, &document["machine"]), (Some(0), &json!("kvm")), "{document:#}");
}

#[test]
fn top_prints_one_sample_where_there_is_no_terminal() {
    let mut run = Run::start("top", &["run", &scenario(REMOVAL), "--machine", "sim", "--json"], true);
    let client = run.client();
    let path = client.path().to_str().expect("UTF-8").to_owned();
    client.ask("x-workgate-until", json!({"time": "500us"})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let (status, wide, err) = workgate(&["top", &path]);
    assert_eq!(status, Some(0), "{err}");
    for part in [" of 200%", "interrupts/s", "real time", "IOWorkLoop#", "wake/s"] {
        assert!(wide.contains(part), "no `{part}` in\n{wide}");
    }
    assert_eq!(workgate(&["top", &path]).1, wide, "a machine that stands still does nothing more");
    let (status, narrow, _) = workgate(&["top", &path, "--once", "--columns", "20"]);
    assert_eq!(status, Some(0));
    assert!(narrow.lines().all(|line| line.chars().count() <= 20) && narrow.contains('%'), "{narrow}");
    client.ask("cont", json!({})).expect("it goes on");
    assert_eq!(let_go(run).0, Some(0));
    let (status, _, err) = workgate(&["top", &path]);
    assert!(status == Some(2) && err.contains("no machine listens"), "{err}");
}

/// Adds what is new of a batch; nothing may be lost.
fn take(batch: &Value, records: &mut Vec<String>) {
    let first = batch["first"].as_u64().expect("a number");
    let skip = (records.len() as u64 + 1).checked_sub(first).expect("nothing is lost");
    let events = batch["events"].as_array().expect("a list").iter().skip(skip as usize);
    records.extend(events.map(|event| event.as_str().expect("a record").to_owned()));
}

#[test]
fn a_trace_that_is_followed_is_the_trace_that_is_written() {
    let folder = std::env::temp_dir().join(format!("wg-followed-{}", std::process::id()));
    let report = folder.to_str().expect("a path in UTF-8");
    let arguments = ["run", &scenario("smallest.plan"), "--machine", "sim", "--json", "--report", report];
    let mut run = Run::start("followed", &arguments, true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"event": "io.done", "count": 10})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let mut records = Vec::new();
    loop {
        let since = records.len() + 1;
        let batch = client.ask("x-workgate-trace", json!({"since": since})).expect("events");
        take(&batch, &mut records);
        if batch["waiting"] == 0 {
            break;
        }
    }
    let until_there = records.len();
    client.ask("cont", json!({})).expect("it goes on");
    client.event("RESUME");
    // What was not asked for comes at the end, in as many events as it takes.
    loop {
        let message = client.read().expect("the end is told");
        match message["event"].as_str() {
            Some("X_WORKGATE_TRACE") => take(&message["data"], &mut records),
            Some("SHUTDOWN") => break,
            _ => {}
        }
    }
    let (status, _) = let_go(run);
    let written = std::fs::read(folder.join("trace.bin")).expect("the trace");
    let hex = |record: &[u8]| record.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written: Vec<String> = written.chunks(64).map(hex).collect();
    assert_eq!((status, records.len()), (Some(0), written.len()));
    assert!(until_there > 100 && records.len() > until_there && records == written);
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn who_follows_from_the_midst_of_a_run_sees_names_and_the_end() {
    let mut run =
        Run::start("midst", &["run", &scenario("smallest.plan"), "--machine", "sim", "--json"], true);
    let client = run.client();
    client.ask("x-workgate-until", json!({"event": "io.done", "count": 5})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    let socket = std::env::temp_dir().join(format!("wg-{}-midst", std::process::id()));
    let file = socket.with_extension("jsonl");
    let mut follower = std::process::Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["trace", "--follow", "--format", "json"])
        .arg(&socket)
        .arg("--out")
        .arg(&file)
        .spawn()
        .expect("the command starts");
    // The file is there once the follower knows where it begins.
    while !file.exists() && follower.try_wait().expect("a child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run.client().ask("cont", json!({})).expect("it goes on");
    let (status, _) = let_go(run);
    assert_eq!((status, follower.wait().expect("it ends").code()), (Some(0), Some(0)));
    let text = std::fs::read_to_string(&file).expect("what was followed");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let number = |line: &Value| line["number"].as_u64().expect("a number");
    assert!(number(&lines[0]) > 100 && lines.windows(2).all(|two| number(&two[0]) + 1 == number(&two[1])));
    let told =
        |kind: &str| lines.iter().find(|line| line["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(told("io.done")["line"].as_str().is_some_and(|line| line.contains("EduUserClient@")));
    assert!(told("io.done")["plan_time"].as_u64().is_some_and(|time| time < 5_000_000));
    told("run.done");
    std::fs::remove_file(&file).expect("it is ours");
}
