//! Plans on the KVM machine of this host, whatever kind it is.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Runs a scenario; `None`, with a line that says so, where this host has no KVM to use.
fn run(scenario: &str, machine: &str) -> Option<(Option<i32>, Value)> {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(scenario);
    let output = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["run", plan.to_str().expect("a path in UTF-8"), "--machine", machine, "--json"])
        .output()
        .expect("the command starts");
    if output.status.code() == Some(3) {
        eprintln!("SKIPPED {scenario} on KVM: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error} in {text}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    Some((output.status.code(), document))
}

/// The life-cycle calls after each removal, without entry ids: those depend on what else was registered when.
fn orders(document: &Value) -> Vec<Vec<String>> {
    let strings = |lines: &Value| -> Vec<String> {
        let lines = lines.as_array().expect("lines").iter();
        lines.map(|line| without_ids(line.as_str().expect("a line"))).collect()
    };
    let removals = document["verdict"]["removals"].as_array().expect("removals");
    removals.iter().map(|removal| strings(&removal["order"])).collect()
}

fn without_ids(line: &str) -> String {
    let mut text = String::new();
    let mut in_id = false;
    for c in line.chars() {
        in_id = c == '@' || in_id && c.is_ascii_digit();
        if !in_id {
            text.push(c);
        }
    }
    text
}

#[test]
fn the_smallest_plan_runs_on_kvm() {
    let Some((status, document)) = run("smallest.plan", "kvm") else { return };
    assert_eq!(status, Some(0), "{document:#}");
    assert_eq!(document["machine"], "kvm");
    let counts = &document["verdict"]["io"]["edu0"];
    assert!(counts["issued"].as_u64().is_some_and(|n| n > 0), "{counts}");
    assert_eq!(counts["issued"], counts["completed"]);
}

#[test]
fn both_machines_tear_down_in_the_same_order() {
    let Some((status, on_kvm)) = run("both-machines.plan", "kvm") else { return };
    assert_eq!(status, Some(0), "{on_kvm:#}");
    let (status, in_simulator) = run("both-machines.plan", "sim").expect("the simulator runs everywhere");
    assert_eq!(status, Some(0), "{in_simulator:#}");
    let orders = (orders(&on_kvm), orders(&in_simulator));
    assert_eq!(orders.0.len(), 1);
    assert!(orders.0[0].len() > 10, "{orders:?}");
    assert_eq!(orders.0, orders.1);
}

/// Tasks in ring 3 with address spaces of their own there, native programs here: the same plan, and both bear it. On KVM a request that comes back
/// has gone through traps, ports, copy-on-write memory and the driver.
#[test]
fn user_tasks_do_their_work_on_both_machines() {
    for (scenario, device) in
        [("tasks-block.plan", "disk0"), ("tasks-daq.plan", "daq0"), ("tasks-kill.plan", "disk0")]
    {
        for machine in ["kvm", "sim"] {
            let Some((status, document)) = run(scenario, machine) else { continue };
            assert_eq!(status, Some(0), "{scenario} on {machine}: {document:#}");
            assert_eq!(document["machine"], machine);
            let counts = &document["verdict"]["io"][device];
            // A reader of a shared queue makes no call that would be counted.
            let expected = if device == "disk0" { 1 } else { 0 };
            assert!(
                counts["completed"].as_u64().unwrap_or(0) >= expected,
                "{scenario} on {machine}: {counts}"
            );
        }
    }
}
