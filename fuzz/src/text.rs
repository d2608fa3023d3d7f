//! Plans as text: whatever the bytes are, the parser answers, and what it took it prints without loss.

use devices::catalogue;
use devices::fault::plan::{Plan, limits, render};

/// Parses `bytes`; a plan is printed, read again and held against the catalogue, mistakes are rendered.
///
/// # Panics
/// If printing loses something, a mistake has no place in the text, or there are more of them than the parser promises.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Plan::parse("fuzz.plan", &text) {
        Ok(plan) => round_trip(&plan, &text),
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= limits::ERRORS, "{} mistakes", errors.len());
            assert!(
                errors.iter().all(|e| e.line > 0 && e.column > 0),
                "a mistake without a place: {errors:?}"
            );
            assert!(!render(&errors, &text, true).is_empty());
        }
    }
}

fn round_trip(plan: &Plan, text: &str) {
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
    assert!(!plan.guest_command_line().contains('\n'), "a line break in the guest's command line");
}
