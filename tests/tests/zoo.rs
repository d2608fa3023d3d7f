//! The zoo: each bug is found and its rule named, and its fixed twin does nothing wrong under the same plan.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use explore::{Run, Schedule, execute};
use iokit::driver::zoo::{SPECIMENS, Specimen};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Schedules under one of which at least a bug shows: the plain one and so many seeds.
const SEEDS_FOR_THE_BUG: u64 = 20;
/// Seeds under none of which its twin shows anything.
const SEEDS_FOR_ITS_TWIN: u64 = 50;
/// The same for plans that are long: as many as the bug is given, since most of their events are the same work again.
const SEEDS_FOR_ITS_TWIN_LONG: u64 = SEEDS_FOR_THE_BUG;
/// Plan time from which a plan is long, ns: more than ten times what most take.
const LONG: u64 = 250_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/zoo")
}

fn text(specimen: &Specimen) -> String {
    let path = folder().join(format!("{}.plan", specimen.name));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(name: &str, text: &str) -> Plan {
    let plan = Plan::parse(name, text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    let mistakes = devices::catalogue::check(&plan);
    assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
    plan
}

/// The plan that shows the bug.
fn plan(specimen: &Specimen) -> Plan {
    parse(specimen.name, &text(specimen))
}

/// The same with the fixed driver.
fn plan_of_twin(specimen: &Specimen) -> Plan {
    let word = format!("driver=zoo-{}", specimen.name);
    let text = text(specimen);
    assert_eq!(text.matches(&word).count(), 1, "{} names its driver once", specimen.name);
    parse(specimen.name, &text.replace(&word, &format!("{word}-fixed")))
}

fn run(plan: &Plan, schedule: &Schedule) -> Run {
    execute::run(plan, schedule, &mut |_| {}).unwrap_or_else(|error| panic!("{}: {error}", plan.name))
}

fn rules(run: &Run) -> BTreeSet<&str> {
    run.verdict.findings.iter().map(|f| f.rule.as_str()).collect()
}

fn specimen(name: &str) -> &'static Specimen {
    SPECIMENS.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name} is not in the zoo"))
}

fn is_found(name: &str) {
    let specimen = specimen(name);
    let plan = plan(specimen);
    let schedules = std::iter::once(Schedule::Plain).chain((1..=SEEDS_FOR_THE_BUG).map(Schedule::Seed));
    let (mut seen, mut causes) = (BTreeSet::new(), BTreeSet::new());
    for schedule in schedules {
        let run = run(&plan, &schedule);
        if run.cause.as_ref().is_some_and(|cause| cause.rule == specimen.rule) {
            assert!(!run.verdict.passed);
            return;
        }
        seen.extend(rules(&run).into_iter().map(str::to_owned));
        causes.extend(run.cause.map(|cause| cause.rule));
    }
    panic!("{name}: {} was not the cause of any, but {causes:?}; seen: {seen:?}", specimen.rule);
}

fn twin_is_right(name: &str) {
    let plan = plan_of_twin(specimen(name));
    let seeds = if plan.run_for < LONG { SEEDS_FOR_ITS_TWIN } else { SEEDS_FOR_ITS_TWIN_LONG };
    for seed in 1..=seeds {
        let run = run(&plan, &Schedule::Seed(seed));
        let verdict = verdict::render(&run.verdict);
        let console = run.outcome.console.join("\n");
        assert_eq!(run.cause, None, "{name}-fixed, seed {seed}\n{verdict}\n{console}");
        assert!(run.verdict.passed, "{name}-fixed, seed {seed}\n{verdict}");
        assert!(run.verdict.io.values().any(|io| io.completed > 10), "{name}-fixed, seed {seed}\n{verdict}");
    }
}

/// Both tests of a specimen, and the list of those that have them.
macro_rules! zoo {
    ($($module:ident = $name:literal,)*) => {
        $(mod $module {
            #[test]
            fn is_found() {
                super::is_found($name);
            }

            #[test]
            fn twin_is_right() {
                super::twin_is_right($name);
            }
        })*

        #[test]
        fn every_specimen_is_tested() {
            let tested = BTreeSet::from([$($name),*]);
            let specimens: BTreeSet<_> = SPECIMENS.iter().map(|s| s.name).collect();
            assert_eq!(tested, specimens);
        }
    };
}

zoo! {
    close_early = "close-early",
    lost_on_error = "lost-on-error",
    request_list = "request-list",
    double_completion = "double-completion",
    lost_wakeup = "lost-wakeup",
    late_timer = "late-timer",
    timer_outlives = "timer-outlives",
    sleep_mode = "sleep-mode",
    sleep_off_gate = "sleep-off-gate",
    over_release = "over-release",
    never_closes = "never-closes",
    instance_leak = "instance-leak",
    overstay = "overstay",
    filter_lock = "filter-lock",
    registry_in_place = "registry-in-place",
    interrupt_twice = "interrupt-twice",
    lock_order = "lock-order",
    reentry = "reentry",
    dma_after_free = "dma-after-free",
    usb_asks_again = "usb-asks-again",
    usb_waits_in_gate = "usb-waits-in-gate",
    usb_unwired = "usb-unwired",
    usb_late_abort = "usb-late-abort",
    usb_hold_lost = "usb-hold-lost",
    usb_orphans = "usb-orphans",
    usb_halt_kept = "usb-halt-kept",
    usb_unheard = "usb-unheard",
    fire_old_number = "fire-old-number",
}

/// What a card reads is compared with what is lent to it as what it writes is.
#[test]
fn a_card_that_reads_memory_that_was_freed_is_named() {
    let specimen = specimen("dma-after-free");
    let read = |text: &str| {
        assert!(text.contains("edu0.dma.write #11"));
        parse("reads", &text.replace("edu0.dma.write #11", "edu0.dma.read #11"))
    };
    let schedules = || std::iter::once(Schedule::Plain).chain((1..=SEEDS_FOR_THE_BUG).map(Schedule::Seed));
    let plan = read(&text(specimen));
    assert!(schedules().any(|schedule| rules(&run(&plan, &schedule)).contains(specimen.rule)));
    let plan = read(&plan_of_twin(specimen).to_string());
    for schedule in schedules() {
        let twin = run(&plan, &schedule);
        assert_eq!(twin.cause, None, "{}", verdict::render(&twin.verdict));
    }
}

#[test]
fn every_plan_is_of_a_specimen_and_says_what_it_is_about() {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).expect("the zoo's plans") {
        let path = entry.expect("a readable entry").path();
        names.insert(path.file_stem().expect("a name").to_string_lossy().into_owned());
    }
    let specimens: BTreeSet<_> = SPECIMENS.iter().map(|s| s.name.to_owned()).collect();
    assert_eq!(names, specimens);
    for specimen in SPECIMENS {
        let text = text(specimen);
        for line in ["# symptom: ", "# cause: ", "# fix: "] {
            assert!(text.contains(line), "{}: no line {line:?}", specimen.name);
        }
        let rule = format!("# finds: {}\n", specimen.rule);
        assert!(text.contains(&rule), "{}: no line {rule:?}", specimen.name);
        assert_eq!(plan(specimen).to_string(), text, "{} is not in canonical form", specimen.name);
    }
}

#[test]
fn the_page_about_the_zoo_has_every_specimen_and_its_rule() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/zoo.md");
    let page = std::fs::read_to_string(path).expect("docs/zoo.md");
    for Specimen { name, rule, .. } in SPECIMENS {
        // Other tables begin with the same name.
        let mut rows = page.lines().filter(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(rows.any(|row| row.contains(&format!("| `{rule}` |"))), "{name}: no row with {rule}");
        assert!(page.contains(&format!("\n### {name}\n")), "{name} has no story");
    }
    for example in page.split("```plan\n").skip(1) {
        parse("docs/zoo.md", example.split("```").next().unwrap_or_default());
    }
}

#[test]
fn plans_can_name_every_specimen_and_its_twin_and_no_other() {
    let options = devices::catalogue::catalogue().iter().filter_map(|model| model.option("driver"));
    let words = options.flat_map(|option| match option.accepts {
        devices::catalogue::Accepts::Words(words) => words,
        _ => panic!("a list of words"),
    });
    let known: BTreeSet<String> =
        words.filter(|word| word.starts_with("zoo-")).map(|word| (*word).to_owned()).collect();
    let both = |s: &Specimen| [format!("zoo-{}", s.name), format!("zoo-{}-fixed", s.name)];
    assert_eq!(known, SPECIMENS.iter().flat_map(both).collect());
}

#[test]
fn a_specimen_gives_the_same_trace_every_time() {
    let plan = plan(specimen("lost-on-error"));
    let hash = |seed| run(&plan, &Schedule::Seed(seed)).outcome.trace_hash;
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}

#[test]
fn a_deadlock_tells_who_holds_what_and_waits_for_what() {
    let plan = plan(specimen("lock-order"));
    let deadlock = (0..=SEEDS_FOR_THE_BUG).find_map(|seed| {
        let findings = run(&plan, &Schedule::Seed(seed)).verdict.findings;
        findings.into_iter().find(|finding| finding.rule == "deadlock")
    });
    let threads = deadlock.expect("a deadlock under some seed").threads;
    let waiting = threads.iter().filter(|thread| {
        let has = |what: &str| thread.stack.iter().any(|frame| frame.starts_with(what));
        has("holds the gate of ") && has("waits for the gate of ")
    });
    assert!(waiting.count() >= 2, "{threads:#?}");
}
