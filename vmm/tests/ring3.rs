//! User mode on this host's KVM, of whatever kind it is: every way in which user code can leave its cage ends in the kernel's hands.

mod common;
#[path = "../../guest-kernel/image/tests/ring3/mod.rs"]
mod ring3;

use common::on_this_host;
use devices::fault::plan::Plan;
use vmm::{Ending, Options};

#[test]
fn user_code_stays_in_its_cage() {
    for cpus in [1, 2] {
        let plan = Plan::parse("ring3", &format!("machine cpus={cpus} memory=32M")).expect("a plan");
        let options = Options { command_line: "ring3=1 finish=1000000".into(), ..Options::default() };
        let Some(outcome) = on_this_host(vmm::boot(&plan, guest_image::IMAGE, &options)) else { return };
        let console = outcome.console.join("\n");
        if console.contains("the host's processor is defective") {
            println!("skipped: {console}");
            return;
        }
        ring3::check(&console);
        assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    }
}
