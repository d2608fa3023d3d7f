//! What each fault does to a card, as a guest sees it.

use super::testing::{Bench, at, on, plan, plug};
use crate::fault::plan::{Action, DeviceFault, Rule, What};
use crate::spec::{edu, pcie};
use vm_memory::{Bytes, GuestAddress};

fn fault(fault: DeviceFault) -> Action {
    Action::Fault { device: "edu0".into(), fault }
}

/// An edu card that interrupts by messages.
fn messages(rules: Vec<Rule>) -> Bench {
    let mut bench = Bench::new(&plan(vec![plug("edu0", "edu", 1, &[])], rules));
    bench.master(1);
    bench.enable_msi(1, 0, 0x51);
    bench.platform.start_plan(0);
    bench
}

/// An edu card that interrupts by its line.
fn line(rules: Vec<Rule>) -> Bench {
    let mut bench = Bench::new(&plan(vec![plug("edu0", "edu", 1, &[("irq", "intx")])], rules));
    bench.master(1);
    bench.platform.start_plan(0);
    bench
}

fn raise(bench: &mut Bench) {
    bench.write32(Bench::bar0(1) + edu::IRQ_RAISE, 1);
}

fn acknowledge(bench: &mut Bench) {
    bench.write32(Bench::bar0(1) + edu::IRQ_ACKNOWLEDGE, u32::MAX);
}

fn words(bench: &Bench) -> Vec<&'static str> {
    bench.machine.faults.iter().map(|fault| fault.1).collect()
}

/// The line's level.
fn level(bench: &Bench) -> bool {
    bench.machine.lines.last().is_some_and(|line| line.1)
}

#[test]
fn a_spurious_interrupt_is_one_message_or_one_pulse() {
    let rules = vec![at(10, fault(DeviceFault::Spurious))];
    let mut bench = messages(rules.clone());
    bench.run_until(10_000);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (1, vec!["spurious"]));
    let mut bench = line(rules);
    bench.run_until(500);
    assert!(level(&bench));
    bench.run_until(10_000);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
}

#[test]
fn a_dropped_interrupt_is_lost_at_the_very_access_or_later() {
    let mut bench = messages(vec![on("edu0", "irq.raise", 2, fault(DeviceFault::Drop { count: 2 }))]);
    for _ in 0..5 {
        raise(&mut bench);
    }
    assert_eq!((bench.machine.messages.len(), words(&bench)), (3, vec!["drop", "drop"]));
    let mut bench = line(vec![at(0, fault(DeviceFault::Drop { count: 1 }))]);
    bench.run_until(1);
    raise(&mut bench);
    assert_eq!(bench.machine.lines, []);
    assert_ne!(bench.read32(Bench::bar0(1) + edu::IRQ_STATUS), 0, "the device does not know");
    raise(&mut bench);
    assert!(level(&bench), "the next assertion is heard");
    acknowledge(&mut bench);
    assert!(!level(&bench));
}

#[test]
fn a_delayed_interrupt_comes_later() {
    let delay = DeviceFault::Delay { what: What::Interrupt, by: 1_000, count: 1 };
    let mut bench = messages(vec![at(0, fault(delay))]);
    bench.run_until(1);
    raise(&mut bench);
    raise(&mut bench);
    assert_eq!(bench.machine.messages.len(), 1, "the second is on time");
    bench.run_until(1_000);
    assert_eq!(bench.machine.messages.len(), 1);
    bench.run_until(1_001);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (2, vec!["delay"]));
    let mut bench = line(vec![at(0, fault(delay))]);
    bench.run_until(1);
    raise(&mut bench);
    bench.run_until(1_000);
    assert!(!level(&bench));
    bench.run_until(1_001);
    assert!(level(&bench));
    acknowledge(&mut bench);
    assert!(!level(&bench));
}

#[test]
fn a_late_assertion_that_was_dropped_meanwhile_never_comes() {
    let delay = DeviceFault::Delay { what: What::Interrupt, by: 1_000, count: 1 };
    let mut bench = line(vec![at(0, fault(delay))]);
    bench.run_until(1);
    raise(&mut bench);
    acknowledge(&mut bench);
    bench.run_until(10_000);
    assert_eq!(bench.machine.lines, []);
}

#[test]
fn a_delayed_completion_keeps_what_the_device_does_in_order() {
    let delay = DeviceFault::Delay { what: What::Completion, by: 50_000, count: 1 };
    let mut bench = messages(vec![on("edu0", "timer.fire", 1, fault(delay))]);
    let bar = Bench::bar0(1);
    bench.machine.memory.write_slice(&[0x5a; 16], GuestAddress(0x1000)).expect("in memory");
    copy(&mut bench, 0x1000, 0x40000, 1);
    bench.run_until(59_999);
    assert_ne!(bench.read32(bar + edu::DMA_COMMAND) & 1, 0, "still at it");
    bench.run_until(60_000);
    assert_eq!(bench.read32(bar + edu::DMA_COMMAND) & 1, 0);
    copy(&mut bench, 0x40000, 0x2000, 3);
    bench.run_until(100_000);
    let mut back = [0; 16];
    bench.machine.memory.read_slice(&mut back, GuestAddress(0x2000)).expect("in memory");
    assert_eq!((back, words(&bench)), ([0x5a; 16], vec!["late-completion", "late-completion-end"]));
}

/// Starts a transfer of 16 bytes.
fn copy(bench: &mut Bench, source: u32, destination: u32, command: u32) {
    let bar = Bench::bar0(1);
    bench.write32(bar + edu::DMA_SOURCE, source);
    bench.write32(bar + edu::DMA_DESTINATION, destination);
    bench.write32(bar + edu::DMA_COUNT, 16);
    bench.write32(bar + edu::DMA_COMMAND, command);
}

#[test]
fn a_duplicate_comes_after_its_original() {
    let twice = DeviceFault::Duplicate { what: What::Interrupt, after: 500, count: 1 };
    let mut bench = messages(vec![at(0, fault(twice))]);
    bench.run_until(1);
    raise(&mut bench);
    assert_eq!(bench.machine.messages.len(), 1);
    bench.run_until(501);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (2, vec!["duplicate"]));
    let mut bench = line(vec![at(0, fault(twice))]);
    bench.run_until(1);
    raise(&mut bench);
    acknowledge(&mut bench);
    bench.run_until(10_000);
    assert_eq!(bench.machine.lines.len(), 4);
}

#[test]
fn a_card_says_twice_that_it_is_done_and_moves_its_data_once() {
    let twice = DeviceFault::Duplicate { what: What::Completion, after: 500, count: 1 };
    let mut bench = messages(vec![at(0, fault(twice))]);
    let bar = Bench::bar0(1);
    bench.run_until(1);
    copy(&mut bench, 0x1000, 0x40000, 5);
    bench.run_until(20_001);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (1, vec!["duplicate"]));
    bench.write32(bar + edu::IRQ_ACKNOWLEDGE, u32::MAX);
    // Another transfer is under way when the first is announced again.
    copy(&mut bench, 0x40000, 0x2000, 7);
    bench.run_until(20_501);
    assert_eq!((bench.machine.messages.len(), bench.read32(bar + edu::IRQ_STATUS)), (2, edu::IRQ_DMA));
    assert_ne!(bench.read32(bar + edu::DMA_COMMAND) & 1, 0, "it is still at it");
    bench.write32(bar + edu::IRQ_ACKNOWLEDGE, u32::MAX);
    bench.run_until(100_000);
    assert_eq!((bench.machine.messages.len(), words(&bench).len()), (3, 1));
}

#[test]
fn what_would_be_said_again_goes_with_the_card() {
    let twice = DeviceFault::Duplicate { what: What::Completion, after: 50_000, count: 1 };
    let out = |time| at(time, Action::Unplug("edu0".into()));
    let mut bench =
        messages(vec![at(0, fault(twice)), out(21_000), at(22_000, Action::Replug("edu0".into()))]);
    bench.run_until(1);
    copy(&mut bench, 0x1000, 0x40000, 5);
    bench.run_until(200_000);
    assert_eq!(bench.machine.messages.len(), 1);
}

#[test]
fn a_stuck_line_is_asserted_whatever_the_device_does_until_it_goes() {
    let stick = fault(DeviceFault::Stick { duration: 1_000 });
    let mut bench = line(vec![at(0, stick.clone())]);
    bench.run_until(1);
    acknowledge(&mut bench);
    bench.run_until(999);
    assert_eq!(bench.machine.lines, [(17, true)]);
    bench.run_until(1_000);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
    assert_eq!(words(&bench), ["stick", "stick-end"]);
    let mut bench = line(vec![at(0, stick.clone()), at(500, stick.clone())]);
    bench.run_until(1_000);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)], "what is stuck is not stuck anew");
    assert_eq!(words(&bench), ["stick", "stick-end"]);
    let mut bench = line(vec![at(0, stick.clone()), at(500, Action::Unplug("edu0".into()))]);
    bench.run_until(600);
    assert_eq!(bench.machine.lines, [(17, true), (17, false)]);
    let mut bench = messages(vec![at(0, stick)]);
    bench.run_until(10_000);
    assert_eq!((words(&bench).len(), bench.machine.lines.len()), (0, 0), "there is no line");
}

#[test]
fn a_mute_device_loses_messages_and_keeps_its_line_for_later() {
    let mute = fault(DeviceFault::Mute { duration: 1_000 });
    let mut bench = messages(vec![at(0, mute.clone())]);
    bench.run_until(1);
    raise(&mut bench);
    bench.run_until(1_000);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (0, vec!["mute", "mute-end"]));
    raise(&mut bench);
    assert_eq!(bench.machine.messages.len(), 1);
    let mut bench = line(vec![at(0, mute)]);
    bench.run_until(1);
    raise(&mut bench);
    bench.run_until(999);
    assert_eq!(bench.machine.lines, []);
    bench.run_until(1_000);
    assert!(level(&bench), "a level that is still there is heard");
}

#[test]
fn a_frozen_device_answers_nothing_and_does_later_what_it_was_told() {
    let freeze = DeviceFault::Freeze { duration: Some(100_000) };
    let mut bench = messages(vec![at(15_000, fault(freeze))]);
    let bar = Bench::bar0(1);
    bench.write32(bar + edu::STATUS, edu::STATUS_INTERRUPT);
    copy(&mut bench, 0x1000, 0x40000, 5);
    bench.run_until(20_000);
    assert_eq!(bench.read32(bar), u32::MAX);
    assert_eq!(bench.config32(1, 0, 0), 0x11e8_1234, "its bus interface answers");
    let link = link_status(&mut bench);
    assert_ne!(bench.config16(0, 1, link) & pcie::LINK_STATUS_ACTIVE, 0);
    bench.write32(bar + edu::FACTORIAL, 5);
    bench.run_until(114_999);
    assert_eq!(bench.machine.messages.len(), 0);
    bench.run_until(115_000);
    assert_eq!(bench.read32(bar), edu::IDENTIFICATION_VALUE);
    assert_eq!(bench.machine.messages.len(), 1, "the transfer ends");
    bench.run_until(125_000);
    assert_eq!(bench.machine.messages.len(), 2, "the factorial takes its time from here");
    assert_eq!(bench.read32(bar + edu::FACTORIAL), 120);
    assert_eq!(words(&bench), ["freeze", "freeze-end"]);
}

fn link_status(bench: &mut Bench) -> usize {
    let at = bench.capability(0, 1, crate::spec::pci::CAP_PCIE).expect("a port has one");
    at + pcie::LINK_STATUS
}

#[test]
fn a_device_that_is_frozen_for_good_works_again_after_a_reset() {
    let mut bench = line(vec![at(0, fault(DeviceFault::Freeze { duration: None }))]);
    raise(&mut bench);
    assert!(level(&bench));
    bench.run_until(1);
    assert!(!level(&bench), "it drives nothing any more");
    bench.run_until(50_000_000);
    assert_eq!(bench.read32(Bench::bar0(1)), u32::MAX);
    let capability = bench.capability(1, 0, crate::spec::pci::CAP_PCIE).expect("a card has one");
    bench.set_config16(1, 0, capability + pcie::DEVICE_CONTROL, pcie::DEVICE_CONTROL_FLR);
    bench.set_config32(1, 0, crate::spec::pci::BAR0, Bench::bar0(1) as u32);
    bench.master(1);
    assert_eq!(bench.read32(Bench::bar0(1)), edu::IDENTIFICATION_VALUE);
    assert_eq!(words(&bench), ["freeze", "freeze-end"]);
}

#[test]
fn what_a_device_waits_for_ends_with_its_link() {
    let freeze = fault(DeviceFault::Freeze { duration: None });
    let delay = fault(DeviceFault::Delay { what: What::Completion, by: 50_000_000, count: 1 });
    let unplug = at(20_000, Action::Unplug("edu0".into()));
    let mut bench = messages(vec![at(0, freeze), on("edu0", "timer.fire", 1, delay), unplug]);
    bench.run_until(1);
    let reset = crate::spec::pci::BRIDGE_CONTROL_RESET;
    bench.set_config16(0, 1, crate::spec::pci::BRIDGE_CONTROL, reset);
    assert_eq!(words(&bench), ["freeze", "freeze-end"]);
    bench.set_config16(0, 1, crate::spec::pci::BRIDGE_CONTROL, 0);
    bench.set_config32(1, 0, crate::spec::pci::BAR0, Bench::bar0(1) as u32);
    bench.master(1);
    copy(&mut bench, 0x1000, 0x40000, 1);
    bench.run_until(100_000_000);
    let told = ["freeze", "freeze-end", "late-completion", "unplug", "late-completion-end"];
    assert_eq!(words(&bench), told);
}

/// Copies 16 bytes to the card and back with `rule`: what came back, and what the plan did.
fn round(rule: Rule, seed: u64) -> ([u8; 16], Vec<&'static str>) {
    let mut bench = messages(vec![rule]);
    bench.platform.seed(seed);
    bench.machine.memory.write_slice(&[0x5a; 16], GuestAddress(0x1000)).expect("in memory");
    copy(&mut bench, 0x1000, 0x40000, 1);
    bench.run_until(30_000);
    copy(&mut bench, 0x40000, 0x2000, 3);
    bench.run_until(60_000);
    let mut back = [0; 16];
    bench.machine.memory.read_slice(&mut back, GuestAddress(0x2000)).expect("in memory");
    (back, words(&bench))
}

#[test]
fn corrupt_writes_differ_by_the_seed_and_only_by_it() {
    let rule = || on("edu0", "dma.write", 2, fault(DeviceFault::Corrupt { count: 1 }));
    let (back, words) = round(rule(), 1);
    assert_eq!((&back[..8], words), (&[0x5a; 8][..], vec!["corrupt"]));
    assert_ne!(back[8..], [0x5a; 8]);
    assert_eq!(round(rule(), 1).0, back);
    assert_ne!(round(rule(), 2).0, back);
}

#[test]
fn short_writes_stop_half_way_unnoticed() {
    let (back, words) = round(on("edu0", "dma.write", 2, fault(DeviceFault::ShortDma { count: 1 })), 1);
    assert_eq!(back, [[0x5a; 12].as_slice(), &[0; 4]].concat()[..]);
    assert_eq!(words, ["short-dma"]);
}

#[test]
fn late_writes_land_if_the_card_may_still_write() {
    let late = |by| on("edu0", "dma.write", 1, fault(DeviceFault::LateDma { by, count: 1 }));
    assert_eq!(round(late(5_000), 1), ([0x5a; 16], vec!["late-dma", "late-dma-end"]));
    let (back, told) = round(late(50_000), 1);
    assert_eq!((&back[..8], &back[8..], told), (&[0; 8][..], &[0x5a; 8][..], vec!["late-dma"]));
    let mut bench = messages(vec![late(50_000), at(45_000, Action::Unplug("edu0".into()))]);
    copy(&mut bench, 0x40000, 0x2000, 3);
    bench.run_until(1_000_000);
    assert_eq!(words(&bench), ["late-dma", "unplug"]);
}

#[test]
fn a_link_that_goes_down_comes_up_with_a_card_as_after_power_on() {
    let down = DeviceFault::LinkDown { duration: Some(1_000) };
    let mut bench = messages(vec![at(10, fault(down))]);
    let slot = bench.enable_hot_plug(1);
    bench.run_until(20);
    assert_eq!(bench.read32(Bench::bar0(1)), u32::MAX);
    let status = bench.clear_slot_status(1, slot);
    assert_eq!(status, pcie::SLOT_STATUS_LINK_CHANGED | pcie::SLOT_STATUS_PRESENT, "the card is there");
    assert_eq!(bench.config16(0, 1, slot + pcie::LINK_STATUS) & pcie::LINK_STATUS_ACTIVE, 0);
    bench.run_until(2_000);
    assert_ne!(bench.config16(0, 1, slot + pcie::LINK_STATUS) & pcie::LINK_STATUS_ACTIVE, 0);
    assert_eq!(bench.config32(1, 0, crate::spec::pci::BAR0), 0, "without an address");
    assert_eq!(words(&bench), ["link-down", "link-up"]);
}

#[test]
fn a_race_holds_the_interrupt_until_the_drivers_timer() {
    let timer = |kind, time| trace::Event::new(kind).slot(1).object(7).arg(time);
    let race = Action::Race { device: "edu0".into(), timer_first: false };
    let mut bench = messages(vec![at(0, race)]);
    bench.run_until(1);
    let Bench { platform, machine } = &mut bench;
    platform.guest_event(&timer(trace::Kind::TimerArm, 5_000), machine);
    raise(&mut bench);
    raise(&mut bench);
    bench.run_until(4_999);
    assert_eq!(bench.machine.messages.len(), 0);
    bench.run_until(5_000);
    assert_eq!((bench.machine.messages.len(), words(&bench)), (1, vec!["race"]));
    raise(&mut bench);
    assert_eq!(bench.machine.messages.len(), 2, "the race is over");
}

#[test]
fn a_race_without_its_timer_is_over() {
    let timer = |kind, time| trace::Event::new(kind).slot(1).object(7).arg(time);
    let race = Action::Race { device: "edu0".into(), timer_first: true };
    let mut bench = line(vec![at(0, race)]);
    bench.run_until(1);
    let Bench { platform, machine } = &mut bench;
    platform.guest_event(&timer(trace::Kind::TimerArm, 5_000), machine);
    raise(&mut bench);
    assert_eq!(bench.machine.lines, []);
    let Bench { platform, machine } = &mut bench;
    platform.guest_event(&timer(trace::Kind::TimerCancel, 1), machine);
    assert!(level(&bench));
    acknowledge(&mut bench);
    assert!(!level(&bench));
}

#[test]
fn probabilities_follow_the_seed() {
    let chance = crate::fault::plan::Chance::parse("0.25").expect("a probability");
    let rule = || Rule {
        trigger: crate::fault::plan::Trigger::Chance {
            device: "edu0".into(),
            site: "irq.raise".into(),
            chance,
        },
        action: fault(DeviceFault::Drop { count: 1 }),
        span: Default::default(),
        marks: Default::default(),
    };
    let lost = |seed| {
        let mut bench = messages(vec![rule()]);
        bench.platform.seed(seed);
        let mut arrived = Vec::new();
        for _ in 0..1_000 {
            raise(&mut bench);
            arrived.push(bench.machine.messages.len());
        }
        arrived
    };
    let (first, second) = (lost(1), lost(2));
    assert!((700..800).contains(&first[999]), "{}", first[999]);
    assert_eq!(lost(1), first);
    assert_ne!(first, second);
}
