//! The platform with a card in it, as a guest sees it.

use super::testing::{Bench, at, on, plan, plug};
use super::{Platform, layout};
use crate::fault::plan::Action;
use crate::spec::{edu, pci as spec, pcie};

fn unplug() -> Action {
    Action::Unplug("edu0".into())
}

fn edu_bench(rules: Vec<crate::fault::plan::Rule>) -> Bench {
    Bench::new(&plan(vec![plug("edu0", "edu", 1, &[])], rules))
}

#[test]
fn firmware_leaves_a_card_that_answers() {
    let mut bench = edu_bench(vec![]);
    assert_eq!(bench.read32(Bench::bar0(1)), edu::IDENTIFICATION_VALUE);
    assert_eq!(bench.config32(1, 0, 0), 0x11e8_1234);
    assert_eq!(bench.config16(1, 0, spec::INTERRUPT_LINE), 0x0111);
    assert_eq!(bench.config16(0, 1, spec::INTERRUPT_LINE), 0x0111);
    assert_eq!(bench.config32(2, 0, 0), u32::MAX, "nothing on bus 2");
    assert_eq!(bench.config32(0, 2, 0), u32::MAX, "no port 2");
}

#[test]
fn ecam_and_ports_reach_the_same_registers() {
    let mut bench = edu_bench(vec![]);
    let ecam = layout::ECAM_BASE + (1 << 20);
    assert_eq!(bench.read32(ecam), 0x11e8_1234);
    let Bench { platform, machine } = &mut bench;
    platform.pio_write(0xcf8, &0x8001_0000u32.to_le_bytes(), machine);
    let mut two = [0; 2];
    platform.pio_read(0xcfe, &mut two, machine);
    assert_eq!(u16::from_le_bytes(two), 0x11e8);
    let mut four = [0; 4];
    platform.pio_read(0xcf8, &mut four, machine);
    assert_eq!(u32::from_le_bytes(four), 0x8001_0000);
    assert!(!platform.pio_read(0xcff, &mut two, machine), "an access must not straddle");
    platform.pio_write(0xcfb, &[0], machine);
    platform.pio_read(0xcf8, &mut four, machine);
    assert_eq!(u32::from_le_bytes(four), 0x8001_0000, "bytes do not set the address");
}

#[test]
fn bars_size_and_move() {
    let mut bench = edu_bench(vec![]);
    bench.set_config32(1, 0, spec::BAR0, u32::MAX);
    assert_eq!(bench.config32(1, 0, spec::BAR0), 0xfff0_0000);
    let moved = Bench::bar0(1) + 0x20_0000;
    bench.set_config32(1, 0, spec::BAR0, moved as u32);
    assert_eq!(bench.read32(Bench::bar0(1)), u32::MAX);
    assert_eq!(bench.read32(moved), edu::IDENTIFICATION_VALUE);
    bench.set_config32(1, 0, spec::BAR0, 0xd000_0000);
    assert_eq!(bench.read32(0xd000_0000), u32::MAX, "outside of the bridge's window");
    bench.set_config16(0, 1, spec::MEMORY_BASE, 0xd000);
    bench.set_config16(0, 1, spec::MEMORY_LIMIT, 0xd000);
    assert_eq!(bench.read32(0xd000_0000), edu::IDENTIFICATION_VALUE);
    bench.set_config16(1, 0, spec::COMMAND, 0);
    assert_eq!(bench.read32(0xd000_0000), u32::MAX, "memory decoding is off");
}

#[test]
fn bus_numbers_route_configuration() {
    let mut bench = edu_bench(vec![]);
    bench.set_config32(0, 1, spec::PRIMARY_BUS, 0x0005_0500);
    assert_eq!(bench.config32(1, 0, 0), u32::MAX);
    assert_eq!(bench.config32(5, 0, 0), 0x11e8_1234);
}

#[test]
fn edu_interrupts_by_message_and_by_line() {
    let mut bench = edu_bench(vec![]);
    let bar = Bench::bar0(1);
    bench.master(1);
    bench.write32(bar + edu::IRQ_RAISE, 2);
    assert_eq!(bench.machine.lines, [(17, true)]);
    assert_ne!(bench.config16(1, 0, spec::STATUS) & spec::STATUS_INTERRUPT, 0);
    bench.write32(bar + edu::IRQ_ACKNOWLEDGE, 2);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
    bench.enable_msi(1, 0, 0x51);
    bench.write32(bar + edu::IRQ_RAISE, 1);
    assert_eq!(bench.machine.messages, [(0xfee0_0000, 0x51)]);
    assert_eq!(bench.machine.lines.len(), 2);
    bench.set_config16(1, 0, spec::COMMAND, spec::COMMAND_MEMORY);
    bench.write32(bar + edu::IRQ_RAISE, 4);
    assert_eq!(bench.machine.messages.len(), 1, "a message needs bus mastering");
}

#[test]
fn interrupt_disable_drops_the_line_and_keeps_the_status() {
    let mut bench = edu_bench(vec![]);
    bench.write32(Bench::bar0(1) + edu::IRQ_RAISE, 1);
    let command = spec::COMMAND_MEMORY | spec::COMMAND_INTX_DISABLE;
    bench.set_config16(1, 0, spec::COMMAND, command);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
    assert_ne!(bench.config16(1, 0, spec::STATUS) & spec::STATUS_INTERRUPT, 0);
    bench.set_config16(1, 0, spec::COMMAND, spec::COMMAND_MEMORY);
    assert_eq!(bench.machine.lines.last(), Some(&(17, true)));
}

#[test]
fn the_write_at_which_the_card_goes_vanishes() {
    let mut bench = edu_bench(vec![on("edu0", "mmio.write", 2, unplug())]);
    let bar = Bench::bar0(1);
    bench.enable_msi(1, 0, 0x51);
    bench.master(1);
    bench.write32(bar + edu::IRQ_RAISE, 1);
    bench.write32(bar + edu::IRQ_RAISE, 2);
    assert_eq!(bench.machine.messages.len(), 1);
    assert_eq!(bench.machine.faults, [(1, "unplug")]);
    assert_eq!(bench.read32(bar), u32::MAX);
    assert_eq!(bench.config32(1, 0, 0), u32::MAX);
}

#[test]
fn a_line_that_was_asserted_drops_with_the_card() {
    let mut bench = edu_bench(vec![at(5, unplug())]);
    bench.write32(Bench::bar0(1) + edu::IRQ_RAISE, 1);
    bench.platform.start_plan(0);
    bench.run_until(10);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
}

#[test]
fn dma_stops_half_way_when_the_card_goes() {
    use vm_memory::{Bytes, GuestAddress};
    for (rule, moved) in [
        (at(15_000, unplug()), 8),
        (on("edu0", "dma.write", 1, unplug()), 4),
        (on("edu0", "dma.write", 2, unplug()), 12),
        (on("edu0", "timer.fire", 4, unplug()), 8),
    ] {
        let mut bench = edu_bench(vec![rule]);
        let bar = Bench::bar0(1);
        bench.master(1);
        bench.machine.memory.write_slice(&[0x5a; 16], GuestAddress(0x1000)).unwrap();
        dma(&mut bench, bar, 0x1000, 0x40000, 1);
        let machine = &mut bench.machine;
        assert_eq!(machine.faults, []);
        machine.now += 1_000;
        let zero = bench.machine.now;
        bench.platform.start_plan(zero);
        dma(&mut bench, bar, 0x40000, 0x2000, 3);
        let mut back = [0; 17];
        bench.machine.memory.read_slice(&mut back, GuestAddress(0x2000)).unwrap();
        let count = back.iter().filter(|&&byte| byte == 0x5a).count();
        assert_eq!((count, bench.machine.faults.len()), (moved, 1));
    }
}

/// A transfer of 16 bytes, and the time that it takes.
fn dma(bench: &mut Bench, bar: u64, source: u32, destination: u32, command: u32) {
    bench.write32(bar + edu::DMA_SOURCE, source);
    bench.write32(bar + edu::DMA_DESTINATION, destination);
    bench.write32(bar + edu::DMA_COUNT, 16);
    bench.write32(bar + edu::DMA_COMMAND, command);
    let until = bench.machine.now + 20_000;
    bench.run_until(until);
}

#[test]
fn removal_and_return_are_announced_by_the_port() {
    let back = Action::Replug("edu0".into());
    let mut bench = edu_bench(vec![at(100, unplug()), at(200, back)]);
    bench.enable_msi(0, 1, 0x60);
    let slot = bench.enable_hot_plug(1);
    bench.platform.start_plan(0);
    bench.run_until(150);
    assert_eq!(bench.machine.messages, [(0xfee0_0000, 0x60)]);
    let status = bench.clear_slot_status(1, slot);
    let changed = pcie::SLOT_STATUS_PRESENCE_CHANGED | pcie::SLOT_STATUS_LINK_CHANGED;
    assert_eq!(status, changed);
    assert_eq!(bench.config16(0, 1, slot + pcie::LINK_STATUS) & pcie::LINK_STATUS_ACTIVE, 0);
    bench.run_until(250);
    assert_eq!(bench.machine.messages.len(), 2);
    let status = bench.clear_slot_status(1, slot);
    assert_eq!(status, changed | pcie::SLOT_STATUS_PRESENT);
    assert_ne!(bench.config16(0, 1, slot + pcie::LINK_STATUS) & pcie::LINK_STATUS_ACTIVE, 0);
    assert_eq!(bench.config32(1, 0, 0), 0x11e8_1234);
    assert_eq!(bench.config32(1, 0, spec::BAR0), 0, "the card comes back without an address");
    assert_eq!(bench.machine.faults, [(1, "unplug"), (1, "replug")]);
}

#[test]
fn the_hot_plug_line_follows_status_and_enables() {
    let mut bench = edu_bench(vec![at(100, unplug())]);
    bench.platform.start_plan(0);
    bench.run_until(150);
    assert_eq!(bench.machine.lines, [], "nothing is enabled yet");
    let at = bench.capability(0, 1, spec::CAP_PCIE).unwrap();
    let control = bench.config16(0, 1, at + pcie::SLOT_CONTROL);
    let enable = pcie::SLOT_CONTROL_INTERRUPT | pcie::SLOT_STATUS_PRESENCE_CHANGED;
    bench.set_config16(0, 1, at + pcie::SLOT_CONTROL, control | enable);
    assert_eq!(bench.machine.lines, [(17, true)], "evaluated again when enabled");
    bench.clear_slot_status(1, at);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
}

#[test]
fn an_ejected_card_goes_when_the_guest_cuts_its_power() {
    let eject = Action::Eject("edu0".into());
    let replug = Action::Replug("edu0".into());
    let mut bench = edu_bench(vec![at(100, eject), at(200, replug)]);
    let slot = bench.enable_hot_plug(1);
    bench.platform.start_plan(0);
    bench.run_until(300);
    let status = bench.clear_slot_status(1, slot);
    assert_eq!(status & 0x1f, pcie::SLOT_STATUS_ATTENTION);
    assert_eq!(bench.config32(1, 0, 0), 0x11e8_1234, "still there");
    let control = bench.config16(0, 1, slot + pcie::SLOT_CONTROL);
    let off = control | pcie::SLOT_CONTROL_POWER_OFF;
    bench.set_config16(0, 1, slot + pcie::SLOT_CONTROL, off);
    let status = bench.clear_slot_status(1, slot);
    assert_eq!(status & pcie::SLOT_STATUS_PRESENT, 0);
    assert_ne!(status & pcie::SLOT_STATUS_COMPLETED, 0);
    bench.run_until(2_000_000);
    assert_eq!(bench.machine.faults, [(1, "eject"), (1, "replug")]);
    assert_eq!(bench.config32(1, 0, 0), u32::MAX, "there, without power");
    bench.set_config16(0, 1, slot + pcie::SLOT_CONTROL, control);
    assert_eq!(bench.config32(1, 0, 0), 0x11e8_1234);
}

#[test]
fn a_replug_that_waits_happens_once() {
    let name = || "edu0".to_string();
    let rules = vec![
        at(100, Action::Eject(name())),
        at(200, Action::Replug(name())),
        at(500_000, Action::Replug(name())),
        at(600_000, Action::Unplug(name())),
    ];
    let mut bench = edu_bench(rules);
    let slot = bench.enable_hot_plug(1);
    bench.platform.start_plan(0);
    bench.run_until(300);
    bench.set_config16(0, 1, slot + pcie::SLOT_CONTROL, pcie::SLOT_CONTROL_POWER_OFF);
    bench.run_until(5_000_000);
    let words: Vec<_> = bench.machine.faults.iter().map(|fault| fault.1).collect();
    assert_eq!(words, ["eject", "replug", "unplug"]);
}

#[test]
fn a_secondary_bus_reset_resets_the_card() {
    let mut bench = edu_bench(vec![]);
    bench.write32(Bench::bar0(1) + edu::LIVENESS, 1);
    bench.set_config16(0, 1, spec::BRIDGE_CONTROL, spec::BRIDGE_CONTROL_RESET);
    assert_eq!(bench.config32(1, 0, 0), u32::MAX);
    bench.set_config16(0, 1, spec::BRIDGE_CONTROL, 0);
    assert_eq!(bench.config32(1, 0, spec::BAR0), 0);
    bench.set_config32(1, 0, spec::BAR0, Bench::bar0(1) as u32);
    bench.master(1);
    assert_eq!(bench.read32(Bench::bar0(1) + edu::LIVENESS), 0);
}

#[test]
fn a_function_level_reset_keeps_the_link() {
    let mut bench = edu_bench(vec![]);
    let at = bench.capability(1, 0, spec::CAP_PCIE).unwrap();
    bench.write32(Bench::bar0(1) + edu::FACTORIAL, 3);
    bench.set_config16(1, 0, at + pcie::DEVICE_CONTROL, pcie::DEVICE_CONTROL_FLR);
    assert_eq!(bench.config32(1, 0, spec::BAR0), 0);
    assert_eq!(bench.platform.next_deadline(), None, "ticks are forgotten");
}

#[test]
fn absent_devices_wait_for_their_plug() {
    let plug_it = Action::Plug("edu0".into());
    let plugs = vec![plug("edu0", "edu", 3, &[("absent", "yes")])];
    let mut bench = Bench::new(&plan(plugs, vec![at(10, plug_it)]));
    let slot = bench.enable_hot_plug(3);
    bench.platform.start_plan(0);
    bench.run_until(20);
    let status = bench.clear_slot_status(3, slot);
    let seen = pcie::SLOT_STATUS_PRESENT | pcie::SLOT_STATUS_PRESENCE_CHANGED;
    assert_eq!(status & seen, seen);
    assert_eq!(bench.machine.faults, [(3, "plug")]);
    let control = bench.config16(0, 3, slot + pcie::SLOT_CONTROL);
    let on = control & !pcie::SLOT_CONTROL_POWER_OFF;
    bench.set_config16(0, 3, slot + pcie::SLOT_CONTROL, on);
    assert_eq!(bench.config32(3, 0, 0), 0x11e8_1234);
}

#[test]
fn guest_events_pull_the_trigger() {
    let mut bench = edu_bench(vec![on("edu0", "gate.close", 2, unplug())]);
    let event = trace::Event::new(trace::Kind::GateClose).slot(1);
    assert_ne!(bench.platform.armed_kinds()[4] & 1, 0);
    for event in [event.slot(2), event, trace::Event::new(trace::Kind::GateOpen).slot(1)] {
        bench.platform.guest_event(&event, &mut bench.machine);
    }
    assert_eq!(bench.machine.faults, []);
    bench.platform.guest_event(&event, &mut bench.machine);
    assert_eq!(bench.machine.faults, [(1, "unplug")]);
}

#[test]
fn storms_raise_messages_at_their_rate_and_end() {
    let storm = Action::Storm { device: "edu0".into(), rate_hz: 200_000, duration: 1_000_000 };
    let mut bench = edu_bench(vec![at(0, storm)]);
    bench.master(1);
    bench.enable_msi(1, 0, 0x51);
    bench.platform.start_plan(0);
    bench.run_until(2_000_000);
    assert_eq!(bench.machine.messages.len(), 200);
    assert_eq!(bench.machine.faults, [(1, "storm"), (1, "storm-end")]);
}

#[test]
fn storms_on_a_line_pulse_it_and_end_with_the_card() {
    let storm = Action::Storm { device: "edu0".into(), rate_hz: 100_000, duration: 50_000 };
    let mut bench = edu_bench(vec![at(0, storm), at(31_000, unplug())]);
    bench.platform.start_plan(0);
    bench.run_until(1_000_000);
    let rises = bench.machine.lines.iter().filter(|(_, level)| *level).count();
    assert_eq!((rises, bench.machine.lines.len()), (4, 8));
    assert_eq!(bench.machine.faults, [(1, "storm"), (1, "unplug"), (1, "storm-end")]);
}

#[test]
fn a_card_may_go_and_come_back_while_its_model_runs() {
    let back = Action::Replug("edu0".into());
    for site in ["irq.raise", "mmio.write", "timer.fire", "dma.read"] {
        let rules = vec![on("edu0", site, 1, unplug()), on("edu0", site, 1, back.clone())];
        let mut bench = edu_bench(rules);
        let bar = Bench::bar0(1);
        bench.master(1);
        bench.write32(bar + edu::LIVENESS, 1);
        bench.write32(bar + edu::IRQ_RAISE, 1);
        dma(&mut bench, bar, 0x1000, 0x40000, 5);
        assert_eq!(bench.machine.faults, [(1, "unplug"), (1, "replug")], "{site}");
        assert!(bench.machine.lines.last().is_none_or(|line| !line.1), "{site}");
        bench.set_config32(1, 0, spec::BAR0, bar as u32);
        bench.master(1);
        assert_eq!(bench.read32(bar + edu::LIVENESS), 0, "{site}: as after power-on");
        assert_eq!(bench.read32(bar + edu::IRQ_STATUS), 0, "{site}");
        assert_eq!(bench.platform.next_deadline(), None, "{site}");
    }
}

#[test]
fn rules_repeat_and_do_not_catch_up() {
    let plan = crate::fault::plan::Plan::parse(
        "t",
        "plug edu0 edu slot=1\nevery 10us unplug edu0\nevery 10us replug edu0\nrun for=1ms\n",
    );
    let mut bench = Bench::new(&plan.unwrap());
    bench.platform.start_plan(5_000);
    bench.platform.start_plan(7_000);
    bench.run_until(35_000);
    assert_eq!(bench.machine.faults.len(), 6);
    bench.machine.now = 500_000;
    bench.platform.advance(&mut bench.machine);
    assert_eq!(bench.machine.faults.len(), 8);
    assert_eq!(bench.platform.next_deadline(), Some(505_000));
}

#[test]
fn a_storm_at_a_card_that_is_away_waits_for_it() {
    let storm = Action::Storm { device: "edu0".into(), rate_hz: 100_000, duration: 40_000 };
    let back = Action::Replug("edu0".into());
    let mut bench = edu_bench(vec![at(0, unplug()), at(0, storm), at(15_000, back)]);
    bench.platform.start_plan(0);
    bench.run_until(100_000);
    let rises = bench.machine.lines.iter().filter(|(_, level)| *level).count();
    assert_eq!(rises, 2);
    assert_eq!(bench.machine.faults.last(), Some(&(1, "storm-end")));
}

#[test]
fn wrong_plans_are_refused() {
    let twice = plan(vec![plug("a", "edu", 1, &[]), plug("b", "edu", 1, &[])], vec![]);
    for bad in [
        twice,
        plan(vec![plug("a", "edu", 32, &[])], vec![]),
        plan(vec![plug("a", "edu", 0, &[])], vec![]),
        plan(vec![plug("a", "virtio-blk", 1, &[("file", "disk.raw")])], vec![]),
        plan(vec![plug("a", "toaster", 1, &[])], vec![]),
        plan(vec![plug("a", "edu", 1, &[("irq", "smoke")])], vec![]),
        plan(vec![plug("a", "edu", 1, &[("smoke", "yes")])], vec![]),
    ] {
        assert!(Platform::new(&bad).is_err());
    }
}
