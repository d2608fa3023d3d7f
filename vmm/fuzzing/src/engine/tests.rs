//! Campaigns on small targets whose answers are known, and on whole kernels.

use super::*;
use crate::target::Features;
use crate::targets::{self, Setting};

/// Breaks on `BUG!` and panics on `PANIC`; every right prefix is a feature. Never ends on `HANG`, if it may.
struct Maze {
    hangs: bool,
}

impl Target for Maze {
    fn name(&self) -> &'static str {
        "maze"
    }

    fn about(&self) -> &'static str {
        "a test"
    }

    fn most(&self) -> usize {
        16
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![b"begin".to_vec()]
    }

    fn dictionary(&self) -> Vec<Vec<u8>> {
        [&b"BU"[..], b"G!", b"PA", b"N"].map(<[u8]>::to_vec).to_vec()
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        for (n, word) in [&b"BUG!"[..], b"PAN"].into_iter().enumerate() {
            let prefix = word.iter().zip(input).take_while(|(a, b)| a == b).count();
            features.note((n as u64) << 8 | prefix as u64);
        }
        while self.hangs && input.contains(&b'H') {
            std::thread::park();
        }
        assert!(!input.starts_with(b"PAN"), "the input says so");
        input.starts_with(b"BUG!").then(|| Trouble::new("bug", "there"))
    }

    fn describe(&self, input: &[u8]) -> String {
        format!("{input:?}")
    }
}

#[derive(Default)]
struct Notes {
    found: Vec<Found>,
    kept: Vec<Vec<u8>>,
}

impl Listener for Notes {
    fn progress(&mut self, _summary: &Summary) {}

    fn kept(&mut self, input: &[u8]) {
        self.kept.push(input.to_vec());
    }

    fn found(&mut self, found: &Found) {
        self.found.push(found.clone());
    }
}

fn campaign(target: Arc<dyn Target>, runs: u64, jobs: usize, shard: (u64, u64)) -> (Summary, Notes) {
    patient(target, runs, jobs, shard, Duration::from_secs(600))
}

fn patient(
    target: Arc<dyn Target>,
    runs: u64,
    jobs: usize,
    shard: (u64, u64),
    patience: Duration,
) -> (Summary, Notes) {
    let stop = AtomicBool::new(false);
    let options = Options { runs: Some(runs), jobs, shard, seed: 1, patience, stop: &stop };
    let mut notes = Notes::default();
    let summary = fuzz(&target, Vec::new(), &options, &mut notes);
    (summary, notes)
}

#[test]
fn what_is_reached_leads_on_and_causes_are_told_apart() {
    let (summary, notes) = campaign(Arc::new(Maze { hangs: false }), 20_000, 2, (0, 1));
    assert_eq!(summary.runs, 20_000);
    let rules: Vec<_> = summary.findings.keys().map(|cause| cause.rule.as_str()).collect();
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert!(rules[0] == "bug" && rules[1].starts_with("panic at src/engine/tests.rs:"), "{rules:?}");
    assert_eq!(notes.found.len(), 2, "each cause is told once");
    assert!(summary.findings.values().all(|(_, runs)| *runs > 1), "and its duplicates are counted");
    assert_eq!(summary.corpus as usize, notes.kept.len());
    let panic = notes.found.iter().find(|found| found.trouble.told.contains("the input says so"));
    let panic = panic.expect("the panic");
    let maze = Maze { hangs: false };
    let small = minimize::minimize(&maze, &panic.input, &panic.trouble.cause, &mut || true);
    assert_eq!(small, b"PAN");
}

#[test]
fn the_same_campaign_does_the_same_on_any_number_of_cores() {
    let run = |jobs| campaign(Arc::new(Maze { hangs: false }), 3_000, jobs, (0, 1));
    let ((one, first), (three, second)) = (run(1), run(3));
    assert_eq!(one, three);
    assert_eq!((first.kept, first.found), (second.kept, second.found));
}

#[test]
fn shards_do_not_overlap() {
    struct Numbers(std::sync::Mutex<Vec<Vec<u8>>>);
    impl Target for Numbers {
        fn name(&self) -> &'static str {
            "numbers"
        }
        fn about(&self) -> &'static str {
            "a test"
        }
        fn most(&self) -> usize {
            64
        }
        fn seeds(&self) -> Vec<Vec<u8>> {
            (0..4).map(|n| vec![n; 8]).collect()
        }
        fn run(&self, input: &[u8], _features: &mut Features) -> Option<Trouble> {
            crate::engine::tests::push(&self.0, input);
            None
        }
        fn describe(&self, _input: &[u8]) -> String {
            String::new()
        }
    }
    let inputs = |runs, shard| {
        let target = Arc::new(Numbers(Default::default()));
        campaign(target.clone(), runs, 2, shard);
        let mut all = std::mem::take(&mut *target.0.lock().expect("no panic"));
        all.sort();
        all
    };
    let whole = inputs(40, (0, 1));
    let mut parts: Vec<_> = (0..4).flat_map(|n| inputs(10, (n, 4))).collect();
    parts.sort();
    assert_eq!(whole, parts);
}

fn push(list: &std::sync::Mutex<Vec<Vec<u8>>>, input: &[u8]) {
    list.lock().expect("no panic").push(input.to_vec());
}

#[test]
fn an_input_that_does_not_end_is_a_finding() {
    let (summary, notes) =
        patient(Arc::new(Maze { hangs: true }), 1_000_000, 1, (0, 1), Duration::from_millis(300));
    let rules: Vec<_> = notes.found.iter().map(|found| found.trouble.cause.rule.as_str()).collect();
    assert!(summary.hung && rules.contains(&"hang"), "{rules:?}");
    assert!(notes.found.last().is_some_and(|found| found.input.contains(&b'H')));
}

#[test]
fn whole_kernels_run_one_after_another_and_leave_nothing() {
    let target: Arc<dyn Target> =
        Arc::from(targets::of("teardown", Setting::default()).expect("it is there"));
    let (summary, notes) = campaign(target.clone(), 200, 2, (0, 1));
    let told: Vec<_> =
        notes.found.iter().map(|f| format!("{}{}", target.describe(&f.input), f.trouble.told)).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(summary.features > 500 && summary.corpus > 30, "{summary:?}");
}

#[test]
fn a_broken_driver_is_found_from_seeds_alone() {
    let drivers = vec![("edu".to_owned(), "zoo-close-early".to_owned())];
    let target: Arc<dyn Target> =
        Arc::from(targets::of("teardown", Setting { drivers, plan: None }).expect("it is there"));
    // Of seven campaigns, six find it within 300 runs; the first needs 576.
    let stop = AtomicBool::new(false);
    let patience = Duration::from_secs(600);
    let options = Options { runs: Some(384), jobs: 2, shard: (0, 1), seed: 2, patience, stop: &stop };
    let summary = fuzz(&target, Vec::new(), &options, &mut Notes::default());
    assert!(
        summary.findings.keys().any(|cause| cause.rule == "close-before-return"),
        "{:?}",
        summary.findings
    );
}
