//! A stick's commands in which one packet goes wrong: each packet of several commands, in each way. Whatever is queued behind it, the driver gets over it.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use explore::{Schedule, execute};

/// Packets to and from the stick that go wrong, one in each run. The stick has been enumerated before, and is being read and written.
const TO_HOST: std::ops::Range<u32> = 40..64;
const FROM_HOST: std::ops::Range<u32> = 20..44;

/// What happens to a packet.
const MISHAPS: &[&str] = &["usb-stall stick0", "usb-error stick0", "babble stick0", "nak stick0 for=1ms"];

fn plan(site: &str, packet: u32, mishap: &str) -> Plan {
    let name = format!("usb.{site} #{packet} {mishap}");
    let text = format!(
        "machine cpus=2 memory=64M\nplug usb0 xhci slot=3\nplug stick0 usb-storage on=usb0 port=1 size=16M\n\
         load stick0 clients=2 depth=2\non stick0.usb.{site} #{packet} {mishap}\nexpect no-leaks\nrun for=170ms\n"
    );
    let plan = Plan::parse(&name, &text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    let mistakes = devices::catalogue::check(&plan);
    assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
    plan
}

fn every_packet(site: &str, packets: std::ops::Range<u32>) {
    for mishap in MISHAPS {
        for packet in packets.clone() {
            let plan = plan(site, packet, mishap);
            let run = execute::run(&plan, &Schedule::Seed(packet.into()), &mut |_| {})
                .unwrap_or_else(|error| panic!("{}: {error}", plan.name));
            let told = format!(
                "{}\n{}\n{}",
                plan.name,
                verdict::render(&run.verdict),
                run.outcome.console.join("\n")
            );
            assert!(run.verdict.passed, "{told}");
            let begun = run.verdict.faults.iter().filter(|fault| fault.2 != "nak-end").count();
            assert_eq!(begun, 1, "{told}");
            assert!(run.verdict.io.values().any(|io| io.completed > 10), "{told}");
        }
    }
}

#[test]
fn each_packet_to_the_host_goes_wrong() {
    every_packet("in", TO_HOST);
}

#[test]
fn each_packet_from_the_host_goes_wrong() {
    every_packet("out", FROM_HOST);
}
