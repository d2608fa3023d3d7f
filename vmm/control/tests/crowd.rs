//! Clients that vanish, and clients that never read: nothing is leaked, and nobody else notices.

mod common;

use common::Running;
use serde_json::json;
use std::io::Write;
use std::os::unix::net::UnixStream;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the process's descriptors").count()
}

/// What clients do before they vanish; each is cut off somewhere.
const WORDS: [&str; 6] = [
    "",
    "{\"execute\":\"qmp_capab",
    "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}",
    "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"stop\"}{\"execute\":\"cont\"}{\"execute\":\"query-pci\"}{\"exec",
    "nonsense ]} \n[[[[",
    "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"x-workgate-fault\",\"arguments\":{\"statement\":\"spurious edu0\"}}",
];

// One test: it counts the process's descriptors.
#[test]
fn a_hundred_clients_vanish_and_one_never_reads() {
    let running = Running::start("crowd");
    let mut witness = running.client();
    let before = descriptors();
    for round in 0..4 {
        let crowd: Vec<UnixStream> = (0..100)
            .map(|n| {
                let mut stream = UnixStream::connect(&running.path).expect("somebody listens");
                let words = WORDS[(n + round) % WORDS.len()];
                let part = &words.as_bytes()[..words.len() - (n / 7) % (words.len() + 1).min(9)];
                stream.write_all(part).expect("the server reads");
                stream
            })
            .collect();
        witness.ask("query-status", json!({})).expect("a status");
        drop(crowd);
    }
    greedy(&running);
    // The server hears of each of them before it hears of what comes later.
    let mut left = descriptors();
    for _ in 0..10_000 {
        witness.ask("query-status", json!({})).expect("a status");
        left = descriptors();
        if left <= before {
            break;
        }
    }
    assert!(left <= before, "{left} descriptors, {before} before");
    witness.ask("quit", json!({})).expect("it ends");
    running.join();
}

/// Asks for the longest answer until the server has enough of it.
fn greedy(running: &Running) {
    let mut stream = UnixStream::connect(&running.path).expect("somebody listens");
    stream.write_all(b"{\"execute\":\"qmp_capabilities\"}").expect("the server reads");
    let request = b"{\"execute\":\"query-qmp-schema\"}".repeat(64);
    // 8 MiB may wait; a schema has kilobytes.
    let refused = (0..1_000_000).any(|_| stream.write_all(&request).is_err());
    assert!(refused, "a client that never reads was kept");
}
