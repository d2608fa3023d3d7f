//! Whole conversations with a machine behind a real socket.

mod common;

use common::Running;
use serde_json::json;

fn class<T>(answer: Result<T, (String, String)>) -> (String, String) {
    answer.err().expect("an error")
}

#[test]
fn a_machine_is_held_changed_and_let_go() {
    let running = Running::start("held");
    let mut client = running.client();
    let status = client.ask("query-status", json!({})).expect("a status");
    assert_eq!((&status["status"], &status["running"]), (&json!("prelaunch"), &json!(false)));
    client.ask("cont", json!({})).expect("it begins");
    client.ask("stop", json!({})).expect("it stands");
    client.ask("stop", json!({})).expect("twice is once");
    assert_eq!(client.heard(), ["RESUME", "STOP"]);
    let said = client.ask("x-workgate-fault", json!({"statement": "unplug edu0"})).expect("it is done");
    assert_eq!(said, json!({"plan-time": 2_000_000, "statement": "at 2ms unplug edu0"}));
    let devices = client.ask("x-workgate-devices", json!({})).expect("devices");
    assert_eq!((&devices[0]["id"], &devices[0]["state"]), (&json!("edu0"), &json!("out")));
    client.ask("device_add", json!({"driver": "edu", "id": "edu0"})).expect("it comes back");
    client.ask("query-pci", json!({})).expect("a list");
    assert_eq!(client.events.last().expect("an event")["data"]["device"], "edu0");
    client.ask("quit", json!({})).expect("it ends");
    while let Some(event) = client.read() {
        client.events.push(event);
    }
    assert_eq!(client.heard(), ["RESUME", "STOP", "DEVICE_DELETED", "SHUTDOWN", "X_WORKGATE_VERDICT"]);
    assert_eq!(client.events[3]["data"], json!({"guest": false, "reason": "host-qmp-quit"}));
    let path = running.path.clone();
    assert_eq!(running.join(), ["at 2ms unplug edu0", "at 2ms replug edu0"]);
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_done_is_an_error_of_its_class() {
    let running = Running::start("errors");
    let mut client = running.client();
    let mut error = |command: &str, arguments| class(client.ask(command, arguments));
    let cases = [
        (error("device_del", json!({"id": "edu1"})), "DeviceNotFound", "did you mean 'edu0'?"),
        (error("device_del", json!({"id": "disk0"})), "DeviceNotFound", "it is out"),
        (
            error("device_add", json!({"driver": "edu", "id": "edu0"})),
            "GenericError",
            "Duplicate device ID 'edu0'",
        ),
        (
            error("device_add", json!({"driver": "daq", "id": "disk0"})),
            "GenericError",
            "of the model 'virtio-blk'",
        ),
        (error("device_add", json!({"driver": "edu", "id": "edu7"})), "GenericError", "out now: disk0"),
        (
            error("x-workgate-fault", json!({"statement": "unplgu edu0"})),
            "GenericError",
            "did you mean `unplug`?",
        ),
        (
            error("x-workgate-fault", json!({"statement": "at 1ms unplug edu0"})),
            "GenericError",
            "plan time is 2ms already",
        ),
        (
            error("x-workgate-fault", json!({"statement": "unplug disk0"})),
            "DeviceNotActive",
            "`disk0` is out already",
        ),
        (
            error("x-workgate-until", json!({"event": "wilTerminate"})),
            "GenericError",
            "did you mean 'willTerminate'?",
        ),
        (error("x-workgate-until", json!({"time": "soon"})), "GenericError", "such as 5ms"),
        (error("x-workgate-until", json!({"time": "1ms"})), "GenericError", "plan time is 2ms already"),
        (error("x-workgate-registry", json!({})), "GenericError", "no bench"),
        (error("inject-nmi", json!({})), "GenericError", "no NMI"),
        (error("system_reset", json!({})), "GenericError", "no reset line"),
        (
            error("human-monitor-command", json!({"command-line": "info all"})),
            "GenericError",
            "`help` lists them",
        ),
        (error("blockdev-add", json!({})), "CommandNotFound", "blockdev-add"),
    ];
    for ((found, what), class, part) in cases {
        assert!(found == class && what.contains(part), "{found}: {what}; expected {class}: {part}");
    }
    client.ask("device_del", json!({"id": "edu0"})).expect("the guest is asked");
    let twice = class(client.ask("device_del", json!({"id": "edu0"})));
    assert!(twice.1.contains("already in the process of unplug"), "{twice:?}");
    let rule = client.ask("x-workgate-fault", json!({"statement": "on edu0.irq.raise #3 unplug edu0"}));
    assert_eq!(rule.expect("a rule")["statement"], "on edu0.irq.raise #3 unplug edu0");
    client.ask("quit", json!({})).expect("it ends");
    running.join();
}

#[test]
fn people_get_text() {
    let running = Running::start("people");
    let mut client = running.client();
    let mut line = |line: &str| {
        let answer = client.ask("human-monitor-command", json!({"command-line": line}));
        answer.expect(line).as_str().expect("text").to_owned()
    };
    assert_eq!(line("info status"), "VM status: prelaunch\r\n");
    assert!(line("info pci").contains("1234:11e8 edu0"), "{}", line("info pci"));
    assert!(line("help").contains("device_del"));
    assert_eq!(line("c"), "");
    assert_eq!(line("q"), "");
    running.join();
}

#[test]
fn all_clients_hear_events_and_who_asks_is_answered() {
    let running = Running::start("several");
    let mut clients: Vec<_> = (0..5).map(|_| running.client()).collect();
    // One that has not ended the negotiation hears nothing.
    let silent = std::os::unix::net::UnixStream::connect(&running.path).expect("somebody listens");
    clients[3].ask("cont", json!({})).expect("it begins");
    for client in &mut clients {
        client.ask("query-status", json!({})).expect("a status");
        assert_eq!(client.heard(), ["RESUME"]);
    }
    clients[0].ask("quit", json!({})).expect("it ends");
    let text = std::io::read_to_string(silent).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    running.join();
}

#[test]
fn who_has_said_all_still_gets_the_answers() {
    let running = Running::start("half");
    let stream = std::os::unix::net::UnixStream::connect(&running.path).expect("somebody listens");
    let words = r#"{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":"query-cpus-fast"}"#;
    std::io::Write::write_all(&mut &stream, words.as_bytes()).expect("the server reads");
    stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    let text = std::io::read_to_string(stream).expect("text");
    assert_eq!(text.matches("\"return\"").count(), 3, "{text}");
    running.client().ask("quit", json!({})).expect("it ends");
    running.join();
}
