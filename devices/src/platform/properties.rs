//! A hostile guest and a busy plan: whatever they do, the platform neither panics nor hangs, and a card that is gone is gone.

use super::testing::{Bench, on, plan, plug};
use super::{Platform, layout};
use crate::fault::plan::Action;
use crate::fault::plan::tests::faults::{device_fault, guest_fault};
use crate::fault::plane::{Act, Site};
use crate::spec::{daq, edu, pci, virtio};
use crate::virtio::testing as driver;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

/// Slots: 1 edu, 2 virtio-blk, 3 virtio-blk by INTx, 4 edu by MSI-X, 5 daq by INTx, on the line of slot 1.
const SLOTS: u8 = 5;

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
    ConfigRead(u8, u8, u8, usize, usize),
    ConfigWrite(u8, u8, u8, usize, Vec<u8>),
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Port(u16, Vec<u8>),
    Ram(u64, Vec<u8>),
    Kick(u64),
    Pass(u64),
    Act(Act),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..10),
        any::<u32>().prop_map(|word| word.to_le_bytes().to_vec()),
        (0u32..256).prop_map(|word| word.to_le_bytes().to_vec()),
        any::<u64>().prop_map(|word| word.to_le_bytes().to_vec()),
        any::<u16>().prop_map(|word| word.to_le_bytes().to_vec()),
        Just(vec![0xff; 4]),
    ]
}

/// Addresses: registers where firmware put them, near them, and anywhere.
fn address() -> impl Strategy<Value = u64> {
    let slot = 0..=u64::from(SLOTS) + 1;
    let plain =
        |(slot, offset): (u64, u64)| layout::APERTURE_BASE + slot * layout::SLOT_APERTURE_BYTES + offset;
    let wide = |(slot, offset): (u64, u64)| {
        layout::WIDE_APERTURE_BASE + slot * layout::SLOT_WIDE_APERTURE_BYTES + offset
    };
    prop_oneof![
        4 => (slot.clone(), (0u64..0x28).prop_map(|n| n * 4)).prop_map(plain),
        1 => (slot.clone(), 0u64..0x20_0000).prop_map(plain),
        4 => (slot.clone(), 0u64..0x40).prop_map(wide),
        2 => (slot, 0u64..0x4100).prop_map(wide),
        1 => layout::ECAM_BASE..layout::ECAM_BASE + (5 << 20),
        1 => any::<u64>(),
    ]
}

fn config() -> impl Strategy<Value = (u8, u8, u8, usize)> {
    let offset = prop_oneof![4 => 0usize..256, 1 => 0usize..4200];
    (0..=SLOTS + 1, 0..=SLOTS + 1, 0u8..2, offset).prop_map(|(bus, device, function, offset)| {
        // Mostly functions that exist.
        let device = if bus == 0 { device } else { device / SLOTS };
        (bus, device, function / 2, offset)
    })
}

/// Ring contents: descriptors, indices, headers; plausible more often than not.
fn ram() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(0u32), Just(1), Just(16), Just(512), Just(8192), any::<u32>()];
    let target = prop_oneof![
        Just(driver::HEADERS),
        driver::DATA..driver::DATA + 0x100,
        Just(driver::DESC),
        0xf_fff0u64..0x10_0010,
        any::<u64>(),
    ];
    let descriptor =
        (0u64..70, target, length, 0u16..8, 0u16..70).prop_map(|(index, address, length, flags, next)| {
            let mut bytes = address.to_le_bytes().to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            bytes.extend(next.to_le_bytes());
            Step::Ram(driver::DESC + index * 16, bytes)
        });
    let index = prop_oneof![(0u16..70), any::<u16>()].prop_map(|n| n.to_le_bytes().to_vec());
    prop_oneof![
        4 => descriptor,
        2 => (0u64..66, index.clone()).prop_map(|(n, bytes)| Step::Ram(driver::AVAIL + n * 2, bytes)),
        2 => index.prop_map(|bytes| Step::Ram(driver::AVAIL + 2, bytes)),
        1 => (0u64..64, bytes()).prop_map(|(at, bytes)| Step::Ram(driver::HEADERS + at, bytes)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let slot = 0..usize::from(SLOTS);
    prop_oneof![
        1 => slot.clone().prop_map(Act::Unplug),
        1 => slot.clone().prop_map(Act::Eject),
        1 => slot.clone().prop_map(Act::Replug),
        1 => slot.clone().prop_map(Act::Plug),
        1 => (slot.clone(), 1u64..100_000, 1u64..1_000_000).prop_map(|(slot, period, duration)| Act::Storm {
            slot,
            period,
            duration
        }),
        4 => (slot.clone(), device_fault()).prop_map(|(slot, fault)| Act::Fault { slot, fault }),
        1 => (slot, any::<bool>()).prop_map(|(slot, timer_first)| Act::Race { slot, timer_first }),
        1 => guest_fault(1).prop_map(Act::Guest),
    ]
}

/// What the guest does to cards alone: not to ports.
fn card_step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(1usize), Just(2), Just(4), Just(8), 0usize..10];
    prop_oneof![
        2 => (1..=SLOTS, 0usize..256, length.clone())
            .prop_map(|(bus, offset, length)| Step::ConfigRead(bus, 0, 0, offset, length)),
        2 => (1..=SLOTS, 0usize..256, bytes())
            .prop_map(|(bus, offset, bytes)| Step::ConfigWrite(bus, 0, 0, offset, bytes)),
        3 => (address(), length).prop_map(|(address, length)| Step::Read(address, length)),
        8 => (address(), bytes()).prop_map(|(address, bytes)| Step::Write(address, bytes)),
        3 => (2..=3u64).prop_map(Step::Kick),
        2 => (0u64..100_000).prop_map(Step::Pass),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => card_step(),
        2 => (config(), 0usize..10)
            .prop_map(|((b, d, f, offset), length)| Step::ConfigRead(b, d, f, offset, length)),
        3 => (config(), bytes())
            .prop_map(|((b, d, f, offset), bytes)| Step::ConfigWrite(b, d, f, offset, bytes)),
        1 => (0xcf6u16..0xd01, bytes()).prop_map(|(port, bytes)| Step::Port(port, bytes)),
        4 => ram(),
        1 => act().prop_map(Step::Act),
    ]
}

/// The platform with every card driven: bus mastering on, the disks negotiated, interrupts of every kind enabled.
fn driven() -> Bench {
    let plugs = vec![
        plug("edu0", "edu", 1, &[]),
        plug("disk0", "virtio-blk", 2, &[("size", "1M")]),
        plug("disk1", "virtio-blk", 3, &[("size", "1M"), ("irq", "intx")]),
        plug("edu1", "edu", 4, &[("irq", "msix")]),
        plug("daq0", "daq", 5, &[("irq", "intx"), ("period", "5us")]),
    ];
    let mut bench = Bench::new(&plan(plugs, vec![]));
    for slot in 1..=SLOTS {
        bench.master(slot);
        bench.enable_hot_plug(slot);
    }
    bench.enable_msi(1, 0, 0x51);
    for slot in [2, 3] {
        let features = virtio::F_VERSION_1 | (u64::from(slot == 2) * virtio::F_EVENT_IDX);
        bench = driver::Disk::adopt(bench, slot, features).bench;
    }
    let ring = super::testing::MEMORY as u32 / 2;
    for (register, value) in [
        (daq::RING_ENTRIES, 16),
        (daq::RING_BASE, ring),
        (daq::THRESHOLD, 4),
        (daq::INTERRUPT_ENABLE, daq::INTERRUPTS),
        (daq::CONTROL, daq::CONTROL_RUN),
    ] {
        bench.write32(Bench::bar0(5) + register, value);
    }
    assert_eq!(bench.read32(Bench::bar0(5) + daq::STATUS), daq::STATUS_RUNNING);
    bench
}

fn run(bench: &mut Bench, step: &Step) {
    let Bench { platform, machine } = bench;
    match step {
        Step::ConfigRead(bus, device, function, offset, length) => {
            let mut into = vec![0; *length];
            platform.config_read(*bus, *device, *function, *offset, &mut into, machine);
        }
        Step::ConfigWrite(bus, device, function, offset, from) => {
            platform.config_write(*bus, *device, *function, *offset, from, machine);
        }
        Step::Read(address, length) => {
            let mut into = vec![0; *length];
            platform.mmio_read(*address, &mut into, machine);
        }
        Step::Write(address, from) => {
            platform.mmio_write(*address, from, machine);
        }
        Step::Port(port, from) => {
            platform.pio_write(*port, from, machine);
            platform.pio_read(*port, &mut vec![0; from.len()], machine);
        }
        Step::Ram(address, from) => {
            let _ = machine.memory.write_slice(from, GuestAddress(*address));
        }
        Step::Kick(slot) => {
            let bar = layout::WIDE_APERTURE_BASE + slot * layout::SLOT_WIDE_APERTURE_BYTES;
            platform.mmio_write(bar + 0x3000, &[0, 0], machine);
        }
        Step::Pass(time) => {
            machine.now += time;
            platform.advance(machine);
        }
        Step::Act(act) => platform.core.act(*act, machine),
    }
}

/// What holds at any time.
fn check(bench: &mut Bench, steps: usize) {
    // A level changes on every report, or it would not have been reported.
    for gsi in layout::FIRST_GSI..layout::FIRST_GSI + layout::LINES {
        let levels: Vec<bool> =
            bench.machine.lines.iter().filter(|line| line.0 == gsi).map(|line| line.1).collect();
        assert!(levels.iter().enumerate().all(|(n, &level)| level == n.is_multiple_of(2)));
    }
    // Nothing piles up: at most a few entries for every step that could ask for one.
    assert!(bench.platform.core.timers.len() <= 16 + 4 * steps);
    let live: Vec<u32> =
        bench.platform.core.slots.iter().filter(|slot| slot.live).map(|slot| slot.number).collect();
    assert!(bench.platform.doorbells().iter().all(|bell| live.contains(&bell.slot)));
}

fn contents(bench: &Bench) -> Vec<u8> {
    let mut bytes = vec![0; super::testing::MEMORY];
    bench.machine.memory.read_slice(&mut bytes, GuestAddress(0)).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_goes(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = driven();
        for (number, step) in steps.iter().enumerate() {
            run(&mut bench, step);
            check(&mut bench, number + 1);
        }
    }

    #[test]
    fn a_card_that_is_gone_is_gone(
        before in prop::collection::vec(prop_oneof![3 => card_step(), 1 => ram()], 1..60),
        after in prop::collection::vec(card_step(), 1..40),
    ) {
        let mut bench = driven();
        for step in &before {
            run(&mut bench, step);
        }
        for slot in 0..usize::from(SLOTS) {
            run(&mut bench, &Step::Act(Act::Unplug(slot)));
        }
        let then = (contents(&bench), bench.machine.messages.len(), bench.machine.lines.len());
        let first_bar = |slot: u8| Bench::bar0(slot.into());
        for step in &after {
            run(&mut bench, step);
            for slot in 1..=SLOTS {
                prop_assert_eq!(bench.config32(slot, 0, 0), u32::MAX);
                prop_assert_eq!(bench.read32(first_bar(slot)), u32::MAX);
            }
        }
        let now = (contents(&bench), bench.machine.messages.len(), bench.machine.lines.len());
        prop_assert!(then == now, "a card that is gone did something");
        prop_assert!(bench.platform.doorbells().is_empty());
        prop_assert_eq!(bench.platform.next_deadline(), None);
    }

    #[test]
    fn a_card_pulled_at_any_access_is_gone_from_there(
        site in prop::sample::select(Site::ALL.to_vec()),
        count in 1u64..60,
        steps in prop::collection::vec(card_step(), 1..60),
    ) {
        let gone = Action::Unplug("disk0".into());
        let rule = on("disk0", site.word(), count, gone);
        let mut disk = driver::Disk::ready(&[], vec![rule]);
        for request in 0..12 {
            disk.submit(request, u32::from(request % 2), 0, driver::DATA, 8192);
        }
        let mut after = None;
        for step in steps {
            run(&mut disk.bench, &Step::Kick(2));
            run(&mut disk.bench, &step);
            let now = (disk.bench.machine.messages.len(), contents(&disk.bench));
            if let Some(then) = &after {
                prop_assert!(*then == now, "it did something after the removal");
            } else if !disk.bench.machine.faults.is_empty() {
                after = Some(now);
            }
        }
    }

    #[test]
    fn bars_size_by_the_rules(written in any::<u32>()) {
        let mut bench = driven();
        bench.set_config32(1, 0, pci::BAR0, written);
        prop_assert_eq!(bench.config32(1, 0, pci::BAR0), written & !(edu::BAR_BYTES as u32 - 1));
    }
}

#[test]
fn a_platform_can_move_between_threads() {
    fn send<T: Send>() {}
    send::<Platform>();
}
