//! Anything goes: registers, rings and contexts of a guest that writes what it likes.

use crate::device::{Device, News};
use crate::env::Mishap;
use crate::fault::plane::Site;
use crate::spec::xhci as spec;
use crate::xhci::testing::{COMMANDS, CONTEXTS, DATA, DEVICES, Driver, EVENTS, INPUT, RINGS, Spec, TABLE};
use proptest::prelude::*;

const UNITS: [Spec<'static>; 5] = [
    ("usb-storage", &[("size", "1M")], None, 1),
    ("usb-hub", &[], None, 2),
    ("usb-keyboard", &[], Some(1), 1),
    ("usb-serial", &[], Some(1), 2),
    ("usb-storage", &[("speed", "super")], None, 3),
];

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u64, bool),
    Read(u64, usize),
    /// Bytes into memory.
    Ram(u64, Vec<u8>),
    /// A TRB onto a ring: which, parameter, status, control.
    Trb(u64, u64, u32, u32),
    Doorbell(u64, u32),
    Wait(u64),
    News(News),
    Mishap(Site, Mishap),
    Reset,
    Acknowledge,
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => prop::sample::select(vec![
            CONTEXTS, COMMANDS, TABLE, EVENTS, INPUT, DEVICES + 2048, DEVICES + 4096, RINGS + 33 * 1024, RINGS + 35 * 1024,
            DATA,
        ]),
        1 => (0u64..0x10_0000).prop_map(|at| at & !0xf),
        1 => any::<u64>(),
    ]
}

fn control() -> impl Strategy<Value = u32> {
    (0u32..40, 0u32..4, prop_oneof![0u32..5, 0u32..32], any::<u16>()).prop_map(
        |(kind, slot, endpoint, flags)| kind << 10 | slot << 24 | endpoint << 16 | u32::from(flags) & 0x3ff,
    )
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        (0usize..6).prop_map(News::Attach),
        (0usize..6).prop_map(News::Detach),
        (prop::option::of(0usize..6), 0u8..9, any::<bool>()).prop_map(|(hub, port, over)| News::Current {
            hub,
            port,
            over
        }),
    ]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::Stall),
        Just(Mishap::Babble),
        Just(Mishap::Error),
        Just(Mishap::Gone),
        any::<u64>().prop_map(Mishap::Nak),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let register = prop_oneof![
        3 => (0u64..0x90).prop_map(|at| spec::OPERATIONAL + at * 4),
        3 => (0u64..16).prop_map(|port| spec::OPERATIONAL + spec::PORTS + port * 8),
        3 => (0u64..0x40).prop_map(|at| spec::RUNTIME + at * 4),
        1 => 0u64..spec::BAR_BYTES - 8,
    ];
    let length = prop::sample::select(vec![1usize, 2, 4, 8]);
    let words = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..64),
        address().prop_map(|a| (a | 1).to_le_bytes().to_vec())
    ];
    let value = prop_oneof![any::<u64>(), (0u64..32).prop_map(|bit| 1 << bit), address()];
    prop_oneof![
        4 => (register, value, any::<bool>()).prop_map(|(at, value, wide)| Step::Write(at, value, wide)),
        1 => (0..spec::BAR_BYTES - 8, length).prop_map(|(at, length)| Step::Read(at, length)),
        3 => (address(), words).prop_map(|(at, bytes)| Step::Ram(at, bytes)),
        8 => (0u64..4, address(), prop_oneof![0u32..600, any::<u32>()], control())
            .prop_map(|(ring, parameter, status, control)| Step::Trb(ring, parameter, status, control)),
        6 => (0u64..4, 0u32..8).prop_map(|(slot, target)| Step::Doorbell(slot, target)),
        4 => (0u64..12_000_000).prop_map(Step::Wait),
        1 => news().prop_map(Step::News),
        1 => (prop::sample::select(Site::USB.to_vec()), mishap()).prop_map(|(site, what)| Step::Mishap(site, what)),
        1 => Just(Step::Reset),
        2 => Just(Step::Acknowledge),
    ]
}

/// A driver with two devices that are up, so that steps reach deep.
fn driver() -> Driver {
    let mut driver = Driver::with(&UNITS);
    driver.reset_port(1);
    let stick = driver.address(1, 0, spec::SPEED_HIGH);
    driver.set_configuration(stick);
    driver.configure(stick, &[(3, 6, 512, 0), (4, 2, 512, 0)]);
    driver.reset_port(2);
    let hub = driver.address(2, 0, spec::SPEED_HIGH);
    driver.set_configuration(hub);
    driver.configure(hub, &[(3, 7, 1, 8)]);
    driver
}

fn act(driver: &mut Driver, step: &Step) {
    match step {
        Step::Write(at, value, true) => driver.set64(*at, *value),
        Step::Write(at, value, false) => driver.set(*at, *value as u32),
        Step::Read(at, length) => {
            driver.host.read(0, *at, &mut vec![0; *length], &mut driver.world);
        }
        Step::Ram(at, bytes) if at.saturating_add(bytes.len() as u64) < 1 << 20 => driver.put(*at, bytes),
        Step::Ram(..) => {}
        Step::Trb(ring, parameter, status, control) => {
            let base = match ring {
                0 => COMMANDS,
                1 => Driver::ring_of(1, 1),
                2 => Driver::ring_of(1, 3),
                _ => Driver::ring_of(1, 4),
            };
            driver.push(base, *parameter, *status, *control);
        }
        Step::Doorbell(slot, target) => driver.set(spec::DOORBELLS + slot * 4, *target),
        Step::Wait(time) => driver.wait(*time),
        Step::News(news) => driver.news(*news),
        Step::Mishap(site, mishap) => driver.world.mishaps.push((*site, *mishap)),
        Step::Reset => {
            driver.host.reset();
            driver.world.ticks.clear();
            driver.start();
        }
        Step::Acknowledge => {
            driver.events();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_controller_is_total_and_its_work_is_bounded(steps in prop::collection::vec(step(), 1..120)) {
        let mut driver = driver();
        for step in &steps {
            let (before, now) = (driver.world.accesses, driver.world.now);
            act(&mut driver, step);
            // A tick does sixteen jobs of some thousand accesses at the most, and time passes between ticks.
            let work = driver.world.accesses - before;
            let time = driver.world.now - now;
            prop_assert!(work <= 20_000 + time, "{work} accesses in {time} ns");
            prop_assert!(driver.world.ticks.len() <= steps.len() + 8, "timers pile up");
        }
    }

    #[test]
    fn the_same_steps_do_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let run = || {
            let mut driver = driver();
            steps.iter().for_each(|step| act(&mut driver, step));
            (driver.world.now, driver.world.accesses, driver.world.raised.clone(), driver.world.sites.clone())
        };
        prop_assert_eq!(run(), run());
    }
}
