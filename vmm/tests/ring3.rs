//! User mode on this host's KVM, of whatever kind it is: every way in which user code can leave its cage ends in the kernel's hands.

mod common;
#[path = "../../guest-kernel/image/tests/ring3/mod.rs"]
mod ring3;

use common::on_this_host;
use devices::fault::plan::Plan;
use vmm::{Ending, Options};

/// What the kernel says on its console when it is started with `words`; `None` where there is no KVM, or one that is known to be defective.
fn console(cpus: u32, words: &str) -> Option<String> {
    let plan = Plan::parse("ring3", &format!("machine cpus={cpus} memory=32M")).expect("a plan");
    let options = Options { command_line: format!("{words} finish=1000000"), ..Options::default() };
    let outcome = on_this_host(vmm::boot(&plan, guest_image::IMAGE, &options))?;
    let console = outcome.console.join("\n");
    if console.contains("the host's processor is defective") {
        println!("skipped: {console}");
        return None;
    }
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    Some(console)
}

#[test]
fn user_code_stays_in_its_cage() {
    for cpus in [1, 2] {
        let Some(console) = console(cpus, "ring3=1") else { return };
        ring3::check(&console);
    }
}

#[test]
fn tasks_that_mean_no_good_leave_nothing() {
    let Some(console) = console(2, "hostile=5") else { return };
    ring3::check_hostile(&console, 5);
}
