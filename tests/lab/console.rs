//! What our guest prints on its console about its workloads.
//!
//! One line when a workload begins on a device, and one when it ends because the device went away or the run is over:
//!
//! ```text
//! load edu0: clients=2 depth=4
//! load edu0: issued=812 done=804 offline=8 error=0 corrupt=0
//! ```

use std::collections::BTreeMap;

/// Counts of one workload on one device, from its beginning to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests issued.
    pub issued: u64,
    /// Came back right.
    pub done: u64,
    /// Came back Offline.
    pub offline: u64,
    /// Came back with another error, or with wrong data.
    pub wrong: u64,
}

/// Lines that mean that the guest did not survive, or broke a rule.
const BAD: [&str; 3] = ["panic", "oracle.violation", "fatal"];

/// How many workloads have begun on `device`.
pub fn begun(console: &str, device: &str) -> usize {
    lines(console, device).filter(|numbers| numbers.contains_key("clients")).count()
}

/// The counts of each workload on `device` that has ended, in order.
pub fn ended(console: &str, device: &str) -> Vec<Counts> {
    let counts = |numbers: BTreeMap<String, u64>| {
        let get = |key: &str| numbers.get(key).copied().unwrap_or(0);
        Counts {
            issued: get("issued"),
            done: get("done"),
            offline: get("offline"),
            wrong: get("error") + get("corrupt"),
        }
    };
    lines(console, device).filter(|numbers| numbers.contains_key("issued")).map(counts).collect()
}

/// The first line that tells of a guest in trouble.
pub fn trouble(console: &str) -> Option<&str> {
    console.lines().find(|line| BAD.iter().any(|word| line.to_ascii_lowercase().contains(word)))
}

/// The numbers of each line about the workload of `device`.
fn lines(console: &str, device: &str) -> impl Iterator<Item = BTreeMap<String, u64>> {
    let head = format!("load {device}:");
    let bodies = console.lines().filter_map(move |line| line.split_once(&head).map(|(_, body)| body));
    bodies.map(|body| {
        let pair = |word: &str| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), value.parse().ok()?))
        };
        body.split_whitespace().filter_map(pair).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "\
workgate: hello
load edu0: clients=2 depth=4
load edu0: issued=12 done=10 offline=2 error=0 corrupt=0
[cpu 1] load edu0: clients=2 depth=4
load edu1: issued=1 done=0 offline=0 error=1 corrupt=0
";

    #[test]
    fn lines_are_found_by_device() {
        assert_eq!((begun(CONSOLE, "edu0"), begun(CONSOLE, "edu1")), (2, 0));
        assert_eq!(ended(CONSOLE, "edu0"), [Counts { issued: 12, done: 10, offline: 2, wrong: 0 }]);
        assert_eq!(ended(CONSOLE, "edu1")[0].wrong, 1);
        assert_eq!(trouble(CONSOLE), None);
        assert_eq!(trouble("a\nPANIC: b\n"), Some("PANIC: b"));
    }
}
