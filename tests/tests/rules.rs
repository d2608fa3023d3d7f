//! The table of rules cannot rot: it has every rule, every test that it names exists, and it says truly which of them run on KVM as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every rule, in the order of the table.
const RULES: [&str; 119] = [
    "WL1", "WL2", "WL3", "WL4", "WL5", "WL6", "WL7", "WL8", "WL9", "WL10", "WL11", "WL12", "WL13", "WL14",
    "OV1", "ES1", "IE1", "IE2", "IE3", "IE4", "FI1", "IC1", "IC2", "IC3", "T1", "T2", "T3", "T4", "T5", "T6",
    "T7", "CG1", "CG2", "CG3", "CG4", "CG5", "CG6", "ST1", "AL1", "MA1", "MA2", "MA3", "MA4", "NO1", "NO2",
    "IM1", "IM2", "IM3", "BU1", "BU2", "OC1", "OC2", "OC3", "OC4", "TP1", "TP2", "TP3", "TP4", "(a)", "(a′)",
    "(b)", "(c)", "(d)", "(e)", "(f)", "(g)", "UP1", "UP2", "UC1", "UC2", "R1", "R2", "R3", "R4", "R5", "O1",
    "O2", "MD1", "DC1", "CP1", "DQ1", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "PN1", "PN2",
    "PN3", "PR1", "PR2", "PS1", "PS2", "DN1", "NS1", "PD1", "MS1", "MS2", "MQ1", "MC1", "KO1", "KO2", "VM1",
    "VM2", "VM3", "VM4", "VM5", "TK1", "TK2", "EX1", "UP3", "UP4", "UP5", "UP6", "HT1",
];

/// Rules that no test holds yet. One that gets its test leaves this list.
const WITHOUT_TEST: [&str; 0] = [];

/// A row of the table.
struct Row {
    rule: String,
    demand: String,
    tests: Vec<String>,
    on_kvm: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is in a folder of the workspace")
        .to_owned()
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter(|row| !row.starts_with("rule |"))
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            let [rule, demand, tests, on_kvm] = cells[..] else { panic!("a row has four cells: {row}") };
            let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Row { rule: rule.to_owned(), demand: demand.to_owned(), tests, on_kvm: on_kvm.to_owned() }
        })
        .collect()
}

/// Test functions below `folder` of the workspace, by name, with the files that have them.
fn tests_below(folder: &str) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a readable source");
                for name in test_functions(&text) {
                    found.entry(name).or_default().push(path.clone());
                }
            }
        }
    }
    found
}

/// The tests that run on every machine.
fn on_every_machine() -> BTreeSet<String> {
    conformance::tests().map(|test| test.name.to_owned()).collect()
}

/// Names of the functions that follow a `#[test]`, other attributes between left out.
fn test_functions(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
            names.extend(rest.split('(').next().map(str::to_owned));
            marked = false;
        } else if !line.starts_with("#[") {
            marked = false;
        }
    }
    names
}

#[test]
fn every_rule_is_in_the_table_once_and_in_order() {
    let rules: Vec<_> = table().into_iter().map(|row| row.rule).collect();
    assert_eq!(rules, RULES);
}

#[test]
fn every_rule_says_what_it_demands_and_has_a_test() {
    let mut without = Vec::new();
    for Row { rule, demand, tests, .. } in table() {
        assert!(demand.len() > 20 && demand.ends_with('.'), "{rule} demands {demand:?}");
        if tests.is_empty() {
            without.push(rule);
        }
    }
    assert_eq!(without, WITHOUT_TEST);
}

#[test]
fn every_test_that_is_named_exists() {
    let (everywhere, in_simulator) = (on_every_machine(), tests_below("vmm/sim/tests"));
    for row in table() {
        for name in &row.tests {
            let known = everywhere.contains(name) || in_simulator.contains_key(name);
            assert!(known, "{}: there is no test {name}", row.rule);
        }
    }
}

#[test]
fn every_conformance_test_is_named() {
    let named: BTreeSet<String> = table().into_iter().flat_map(|row| row.tests).collect();
    for name in on_every_machine() {
        assert!(named.contains(&name), "{name} is missing in docs/rules.md");
    }
}

#[test]
fn no_two_conformance_tests_have_one_name() {
    assert_eq!(on_every_machine().len(), conformance::tests().count());
}

/// The last column: how many of a rule's tests run on KVM too.
#[test]
fn the_table_says_what_runs_on_kvm() {
    let everywhere = on_every_machine();
    for row in table() {
        let all = row.tests.len();
        let count = row.tests.iter().filter(|name| everywhere.contains(*name)).count();
        let expected = if count == all { "all".to_owned() } else { format!("{count} of {all}") };
        assert_eq!(row.on_kvm, expected, "{}", row.rule);
    }
}

#[test]
fn test_functions_are_recognised() {
    let text = "#[test]\n#[cfg(unix)]\nfn one() {}\nfn no() {}\n    #[test]\n    fn two() {}\n#[test]\nconst X: u8 = 0;\nfn not_this() {}\n";
    assert_eq!(test_functions(text), ["one", "two"]);
}
