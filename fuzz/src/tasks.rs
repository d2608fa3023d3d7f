//! Hostile tasks: whatever they ask and whenever they die, the kernel goes on and nothing of them is left.

use sim::hostile;

/// Runs the tasks that `bytes` describe.
///
/// # Panics
/// If the kernel did not come to its end, or something of the tasks is left.
pub fn check(bytes: &[u8]) {
    match hostile::task(bytes) {
        Ok(report) => assert!(report.is_sound(), "{report:#?}"),
        Err(error) => panic!("{error}"),
    }
}
