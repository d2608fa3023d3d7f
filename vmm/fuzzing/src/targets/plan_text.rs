//! Plans as text: whatever the bytes are, the parser answers, and what it took it prints without loss.

use crate::plans::scenarios;
use crate::target::{Features, Target, Trouble};
use devices::catalogue;
use devices::fault::plan::{Plan, PlanError, limits, render, words};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a text.
const MOST: usize = 2048;

/// The target.
pub struct PlanText;

impl Target for PlanText {
    fn name(&self) -> &'static str {
        "plan_text"
    }

    fn about(&self) -> &'static str {
        "bytes as the text of a plan: the parser answers, and what it takes it prints without loss"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        scenarios::SCENARIOS.iter().map(|(_, text)| text.as_bytes().to_vec()).collect()
    }

    /// The words of the language; libFuzzer has them from `fuzz/plan.dict`.
    fn dictionary(&self) -> Vec<Vec<u8>> {
        let models = catalogue::catalogue();
        let options = models.iter().flat_map(|model| model.all_options().map(|option| option.name));
        let sites = models.iter().flat_map(|model| model.sites.iter().map(|site| site.word()));
        let statements =
            ["machine", "plug", "load", "run", "expect", "at", "every", "on", "#", "p=", "=", "\n", "for="];
        let words = words::ACTIONS.iter().copied().chain(models.iter().map(|model| model.word));
        let words = words.chain(options).chain(sites).chain(catalogue::guest_sites()).chain(statements);
        words.map(|word| word.as_bytes().to_vec()).collect()
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        check(&input[..input.len().min(MOST)], features);
        None
    }

    fn describe(&self, input: &[u8]) -> String {
        format!("{}\n", String::from_utf8_lossy(input))
    }
}

/// Parses `bytes`; a plan is printed, read again and held against the catalogue, mistakes are rendered.
///
/// # Panics
/// If printing loses something, a mistake has no place in the text, or there are more of them than the parser promises.
fn check(bytes: &[u8], features: &mut Features) {
    let text = String::from_utf8_lossy(bytes);
    match Plan::parse("fuzz.plan", &text) {
        Ok(plan) => round_trip(&plan, &text, features),
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= limits::ERRORS, "{} mistakes", errors.len());
            assert!(
                errors.iter().all(|e| e.line > 0 && e.column > 0),
                "a mistake without a place: {errors:?}"
            );
            assert!(!render(&errors, &text, true).is_empty());
            note(features, &errors);
        }
    }
}

fn round_trip(plan: &Plan, text: &str, features: &mut Features) {
    let printed = plan.to_string();
    match Plan::parse("fuzz.plan", &printed) {
        Ok(again) => {
            assert_eq!(&again, plan, "printed and read again, the plan is another one:\n{printed}");
            assert_eq!(again.to_string(), printed, "the canonical form is not stable");
        }
        Err(errors) => panic!("the printed plan does not parse:\n{}", render(&errors, &printed, false)),
    }
    let errors = catalogue::check(plan);
    assert!(errors.is_empty() || !render(&errors, text, false).is_empty());
    note(features, &errors);
    for rule in &plan.rules {
        features.note(xxh3_64(rule.action.word().as_bytes()));
    }
    features.note(plan.plugs.len() as u64 * 8 + plan.loads.len().min(7) as u64);
    assert!(!plan.guest_command_line().contains('\n'), "a line break in the guest's command line");
}

/// Mistakes are told apart by their kind: what is quoted is the text's own.
fn note(features: &mut Features, errors: &[PlanError]) {
    for error in errors {
        let kind: String = error.message.split('`').step_by(2).collect();
        features.note(xxh3_64(kind.as_bytes()));
    }
}
