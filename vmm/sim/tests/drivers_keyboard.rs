//! The driver of keyboards: whole runs, judged.

mod common;

use devices::fault::plan::Plan;
use std::fmt::Write;
use trace::Kind;

/// A keyboard at whose pipe `stalls` halts follow one another: every second packet ends the one before it.
fn stalling(stalls: usize) -> String {
    let mut text =
        "machine cpus=2\nplug usb0 xhci slot=3\nplug kb0 usb-keyboard on=usb0 port=1\nload kb0 clients=2 depth=1\n"
            .to_owned();
    for n in 0..stalls {
        writeln!(text, "on kb0.usb.in #{} usb-stall kb0", 30 + 2 * n).unwrap();
    }
    text + "run for=300ms\n"
}

/// Requests that came back with an error.
fn errors(text: &str, seed: u64) -> usize {
    let plan = Plan::parse("keyboard.plan", text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut count = 0;
    sim::run(&plan, seed, &mut |event| count += usize::from(event.kind == Kind::IoError)).expect("a machine");
    count
}

#[test]
fn a_keyboard_that_stalls_again_and_again_is_left_alone() {
    for seed in 0..20 {
        assert_eq!(errors(&stalling(8), seed), 0, "seed {seed}: readers end the halts");
        assert_ne!(errors(&stalling(9), seed), 0, "seed {seed}: readers are told");
    }
    common::passes(&stalling(8), 0..20);
    common::passes(&stalling(9), 0..20);
}
