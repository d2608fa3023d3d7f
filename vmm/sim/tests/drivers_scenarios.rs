//! The scenarios of the repository, each under several seeds.

mod common;

use common::judge;

const SEEDS: std::ops::Range<u64> = 2..3;

#[test]
fn every_scenario_passes_but_the_broken_driver() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.extension().is_some_and(|e| e == "plan")) {
        let text = std::fs::read_to_string(path).unwrap();
        let broken = text.contains("driver=");
        for seed in SEEDS {
            let (verdict, outcome) = judge(&text, seed);
            assert_eq!(
                verdict.passed,
                !broken,
                "{}, seed {seed}: {}\n{:#?}",
                path.display(),
                verdict::render(&verdict),
                outcome.console
            );
        }
    }
}
