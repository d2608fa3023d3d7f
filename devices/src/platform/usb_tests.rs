//! What a plan does to USB devices, as the controller's registers and the trace tell it.

use super::testing::{Bench, Machine};
use super::{Platform, PlatformError};
use crate::catalogue;
use crate::fault::plan::Plan;
use crate::fault::plane::Site;
use crate::spec::xhci as spec;

const DEVICES: &str = "plug usb0 xhci slot=3 reset=1ms\n\
                       plug stick0 usb-storage on=usb0 port=1\n\
                       plug hub0 usb-hub on=usb0 port=2\n\
                       plug kb0 usb-keyboard on=hub0 port=4\n\
                       plug stick1 usb-storage on=usb0 port=3 speed=super absent=yes\n";
/// Numbers of the devices in trace and plan.
const STICK: u32 = 31;
const HUB: u32 = 30;
const KEYBOARD: u32 = 29;

fn bench(rules: &str) -> Bench {
    let plan = Plan::parse("t", &format!("{DEVICES}{rules}run for=90ms\n")).expect("a plan");
    assert_eq!(catalogue::check(&plan), []);
    let mut platform = Platform::new(&plan).expect("a platform");
    platform.firmware();
    let mut bench = Bench { platform, machine: Machine::new() };
    bench.master(3);
    let command = Bench::bar0(3) + spec::OPERATIONAL + spec::USBCMD;
    bench.write32(command, spec::CMD_RUN);
    bench.platform.start_plan(0);
    bench
}

fn register(port: u64) -> u64 {
    Bench::bar0(3) + spec::OPERATIONAL + spec::PORTS + (port - 1) * spec::PORT_BYTES
}

fn port(bench: &mut Bench, number: u64) -> u32 {
    bench.read32(register(number))
}

/// Resets a port and lets the reset pass.
fn reset(bench: &mut Bench, number: u64) {
    bench.write32(register(number), spec::PORT_PP | spec::PORT_PR);
    let until = bench.machine.now + 1_000_000;
    bench.run_until(until);
}

#[test]
fn a_device_is_pulled_out_and_put_back() {
    let mut bench =
        bench("at 5ms unplug stick0\nat 6ms unplug stick0\nat 7ms replug stick0\nat 8ms plug stick1\n");
    reset(&mut bench, 1);
    assert_ne!(port(&mut bench, 1) & spec::PORT_PED, 0);
    bench.run_until(5_000_000);
    assert_eq!(port(&mut bench, 1) & (spec::PORT_CCS | spec::PORT_PED), 0);
    assert_eq!(port(&mut bench, 7) & spec::PORT_CCS, 0);
    bench.run_until(9_000_000);
    assert_eq!(port(&mut bench, 1) & (spec::PORT_CCS | spec::PORT_PED), spec::PORT_CCS);
    assert_ne!(port(&mut bench, 7) & spec::PORT_PED, 0, "SuperSpeed trains by itself");
    assert_eq!(bench.machine.faults, [(STICK, "unplug"), (STICK, "replug"), (28, "plug")]);
    let counts = bench.platform.site_counts();
    let of = |number: u32, site: Site| {
        let device = counts.iter().find(|count| count.0 == number);
        device.map_or(0, |count| count.1[site as usize])
    };
    assert_eq!((of(STICK, Site::UsbConnect), of(STICK, Site::UsbReset)), (1, 1));
}

#[test]
fn a_device_goes_at_that_very_reset() {
    let mut bench = bench("on stick0.usb.reset #2 unplug stick0\n");
    reset(&mut bench, 1);
    assert_ne!(port(&mut bench, 1) & spec::PORT_PED, 0);
    reset(&mut bench, 1);
    let status = port(&mut bench, 1);
    assert_eq!(status & (spec::PORT_CCS | spec::PORT_PED | spec::PORT_CSC), spec::PORT_CSC);
    assert_eq!(bench.machine.faults, [(STICK, "unplug")]);
}

#[test]
fn the_end_of_naks_is_told_once_and_not_of_a_device_that_is_another() {
    let mut bench = bench(
        "at 1ms nak stick0 for=2ms\nat 2ms nak stick0 for=4ms\nat 2ms nak kb0 for=9ms\nat 3ms unplug kb0\nat 4ms replug kb0\n",
    );
    bench.run_until(5_999_999);
    let began =
        [(STICK, "nak"), (STICK, "nak"), (KEYBOARD, "nak"), (KEYBOARD, "unplug"), (KEYBOARD, "replug")];
    assert_eq!(bench.machine.faults, began);
    bench.run_until(20_000_000);
    assert_eq!(bench.machine.faults[began.len()..], [(STICK, "nak-end")]);
}

#[test]
fn what_is_behind_a_hub_or_a_card_goes_with_it() {
    let mut bench = bench(
        "at 1ms unplug hub0\nat 2ms replug hub0\nat 3ms unplug usb0\nat 4ms unplug kb0\nat 5ms replug usb0\n",
    );
    bench.run_until(2_500_000);
    let both = [(HUB, "unplug"), (KEYBOARD, "unplug"), (HUB, "replug"), (KEYBOARD, "replug")];
    assert_eq!(bench.machine.faults, both);
    bench.machine.faults.clear();
    bench.run_until(6_000_000);
    let all = [(3, "unplug"), (STICK, "unplug"), (HUB, "unplug"), (KEYBOARD, "unplug")];
    assert_eq!(bench.machine.faults[..4], all);
    // The keyboard was pulled out where nobody could see it, and so does not come back with the card.
    assert_eq!(bench.machine.faults[4..], [(3, "replug"), (STICK, "replug"), (HUB, "replug")]);
}

#[test]
fn a_port_loses_contact_for_a_while() {
    let mut bench = bench("at 5ms disconnect-port usb0 port=1 for=2ms\nat 9ms disconnect-port hub0 port=4\n");
    bench.run_until(6_000_000);
    assert_eq!(port(&mut bench, 1) & spec::PORT_CCS, 0);
    bench.run_until(7_000_000);
    assert_ne!(port(&mut bench, 1) & spec::PORT_CCS, 0);
    bench.run_until(10_000_000);
    let faults = [
        (3, "disconnect-port"),
        (STICK, "unplug"),
        (STICK, "replug"),
        (HUB, "disconnect-port"),
        (KEYBOARD, "unplug"),
    ];
    assert_eq!(bench.machine.faults, faults);
}

#[test]
fn too_much_current_switches_the_port_off() {
    let mut bench = bench("at 5ms overcurrent usb0 port=1 for=2ms\n");
    bench.run_until(6_000_000);
    let all = spec::PORT_OCA | spec::PORT_PP | spec::PORT_CCS;
    assert_eq!(port(&mut bench, 1) & all, spec::PORT_OCA);
    bench.run_until(8_000_000);
    bench.write32(register(1), spec::PORT_PP | spec::PORT_CHANGES);
    assert_eq!(port(&mut bench, 1) & all, spec::PORT_PP | spec::PORT_CCS);
}

#[test]
fn a_frozen_controller_hears_later_of_what_has_gone() {
    let mut bench = bench("at 5ms freeze usb0 for=2ms\nat 6ms unplug stick0\n");
    bench.run_until(6_500_000);
    assert_eq!(port(&mut bench, 1), u32::MAX);
    bench.run_until(7_000_000);
    assert_eq!(port(&mut bench, 1) & (spec::PORT_CCS | spec::PORT_CSC), spec::PORT_CSC);
    let words: Vec<_> = bench.machine.faults.iter().filter(|fault| fault.0 == STICK).map(|f| f.1).collect();
    // What is gone when the freeze ends has no end of it.
    assert_eq!(words, ["freeze", "unplug"]);
}

#[test]
fn a_device_on_nothing_is_no_platform() {
    let mut plan = Plan::parse("t", DEVICES).expect("a plan");
    plan.plugs.remove(0);
    let error = Platform::new(&plan).err();
    assert_eq!(error, Some(PlatformError::Nowhere { name: "stick0".into() }));
}
