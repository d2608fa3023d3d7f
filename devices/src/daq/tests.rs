//! The card alone, in a world that records what it asks for.

use super::{BURST, Daq, Settings, sample};
use crate::device::Device;
use crate::env::{DmaError, Env};
use crate::spec::daq as spec;
use proptest::prelude::*;
use vm_memory::GuestMemoryMmap;

/// Bytes of memory, from address 0.
const MEMORY: usize = 0x1_0000;
/// Where the tests' ring is.
const BASE: u32 = 0x1000;

struct World {
    now: u64,
    memory: Vec<u8>,
    raised: Vec<u16>,
    asserted: bool,
    wanted: Vec<(u64, u64)>,
    failure: Option<DmaError>,
    writes: u32,
}

impl World {
    fn new() -> Self {
        Self {
            now: 0,
            memory: vec![0; MEMORY],
            raised: vec![],
            asserted: false,
            wanted: vec![],
            failure: None,
            writes: 0,
        }
    }

    /// Lets the card's ticks come until `time`.
    fn run(&mut self, daq: &mut Daq, time: u64) {
        while let Some(at) = self.wanted.iter().position(|&(due, _)| due <= time) {
            let (due, token) = self.wanted.remove(at);
            self.now = due;
            daq.tick(token, self);
        }
        self.now = time;
    }

    fn word(&self, address: usize) -> u32 {
        u32::from_le_bytes(self.memory[address..address + 4].try_into().unwrap())
    }

    fn entry(&self, number: usize) -> &[u8] {
        let at = BASE as usize + number * spec::SAMPLE_BYTES;
        &self.memory[at..at + spec::SAMPLE_BYTES]
    }
}

impl Env for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn dma_read(&mut self, address: u64, _into: &mut [u8]) -> Result<(), DmaError> {
        panic!("the card reads memory at {address:#x}");
    }
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        self.failure.map_or(Ok(()), Err)?;
        self.writes += 1;
        let start = usize::try_from(address).map_err(|_| DmaError::NoMemory(address))?;
        let into = self.memory.get_mut(start..start + from.len());
        into.ok_or(DmaError::NoMemory(address))?.copy_from_slice(from);
        Ok(())
    }
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        Err(DmaError::Removed)
    }
    fn raise(&mut self, index: u16) {
        self.raised.push(index);
        self.asserted = true;
    }
    fn lower(&mut self) {
        self.asserted = false;
    }
    fn at(&mut self, time: u64, token: u64) {
        assert!(time > self.now, "a tick in the past would never end");
        self.wanted.push((time, token));
    }
}

fn read(daq: &mut Daq, offset: u64, world: &mut World) -> u32 {
    let mut bytes = [0; 4];
    daq.read(0, offset, &mut bytes, world);
    u32::from_le_bytes(bytes)
}

fn write(daq: &mut Daq, offset: u64, value: u32, world: &mut World) {
    daq.write(0, offset, &value.to_le_bytes(), world);
}

/// A card that samples every 10 µs into a ring of `entries`.
fn running(entries: u32, threshold: u32) -> (Daq, World) {
    let (mut daq, mut world) = (Daq::new(Settings::default()), World::new());
    for (register, value) in [
        (spec::PERIOD, 10_000),
        (spec::RING_ENTRIES, entries),
        (spec::RING_BASE, BASE),
        (spec::THRESHOLD, threshold),
        (spec::INTERRUPT_ENABLE, spec::INTERRUPTS),
        (spec::CONTROL, spec::CONTROL_RUN),
    ] {
        write(&mut daq, register, value, &mut world);
    }
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_RUNNING);
    (daq, world)
}

#[test]
fn samples_come_at_the_rate_and_in_order() {
    let (mut daq, mut world) = running(8, 4);
    world.run(&mut daq, 29_999);
    assert_eq!((read(&mut daq, spec::PRODUCER, &mut world), world.raised.len()), (2, 0));
    world.run(&mut daq, 40_000);
    assert_eq!(world.raised, [spec::VECTOR_DATA], "the fourth sample reaches the threshold");
    for n in 0..4 {
        assert_eq!(world.entry(n as usize), sample::encode(n, 0));
    }
    assert_eq!(world.word(BASE as usize + 8 * spec::SAMPLE_BYTES), 4, "the index behind the ring");
    assert_eq!(read(&mut daq, spec::INTERRUPT_STATUS, &mut world), spec::INTERRUPT_DATA);
}

#[test]
fn an_acknowledged_interrupt_comes_again_while_samples_are_ready() {
    let (mut daq, mut world) = running(8, 2);
    world.run(&mut daq, 30_000);
    assert_eq!(world.raised, [0], "not acknowledged: one message");
    write(&mut daq, spec::INTERRUPT_STATUS, spec::INTERRUPT_DATA, &mut world);
    assert!(!world.asserted);
    world.run(&mut daq, 40_000);
    assert_eq!(world.raised, [0, 0], "four are ready still");
    write(&mut daq, spec::INTERRUPT_STATUS, spec::INTERRUPT_DATA, &mut world);
    write(&mut daq, spec::CONSUMER, 4, &mut world);
    world.run(&mut daq, 50_000);
    assert_eq!(world.raised.len(), 2, "one is ready");
    world.run(&mut daq, 60_000);
    assert_eq!(world.raised.len(), 3);
}

#[test]
fn a_full_ring_loses_samples_and_counts_them() {
    let (mut daq, mut world) = running(4, 4);
    world.run(&mut daq, 70_000);
    assert_eq!(world.raised, [spec::VECTOR_DATA, spec::VECTOR_TROUBLE], "one overrun, not three");
    let status = spec::STATUS_RUNNING | spec::STATUS_OVERRUN;
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), status);
    assert_eq!(read(&mut daq, spec::LOST, &mut world), 3);
    assert_eq!(world.entry(0), sample::encode(0, 0), "the oldest samples are kept");
    write(&mut daq, spec::CONSUMER, 1, &mut world);
    world.run(&mut daq, 80_000);
    assert_eq!(world.entry(0), sample::encode(7, 3), "the gap shows in the next sample");
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_RUNNING);
    write(&mut daq, spec::INTERRUPT_STATUS, spec::INTERRUPTS, &mut world);
    world.run(&mut daq, 90_000);
    assert_eq!(read(&mut daq, spec::INTERRUPT_STATUS, &mut world), spec::INTERRUPT_OVERRUN, "a new gap");
}

#[test]
fn a_late_tick_catches_up_within_bounds_and_then_slips() {
    let (mut daq, mut world) = running(1024, 1024);
    let (_, token) = world.wanted.remove(0);
    world.now = 50_000;
    daq.tick(token, &mut world);
    assert_eq!((read(&mut daq, spec::PRODUCER, &mut world), world.writes), (5, 6));
    let (due, token) = world.wanted.remove(0);
    assert_eq!(due, 60_000);
    world.now = 1_000_000_000;
    daq.tick(token, &mut world);
    assert_eq!(read(&mut daq, spec::PRODUCER, &mut world), 5 + BURST);
    assert_eq!(world.wanted, [(1_000_010_000, token)]);
    assert_eq!(read(&mut daq, spec::LOST, &mut world), 0, "never taken is not lost");
}

#[test]
fn stop_run_and_reset_keep_one_tick_at_a_time() {
    let (mut daq, mut world) = running(8, 4);
    world.run(&mut daq, 25_000);
    for _ in 0..100 {
        write(&mut daq, spec::CONTROL, 0, &mut world);
        write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
    }
    assert_eq!(world.wanted.len(), 1);
    world.run(&mut daq, 39_999);
    assert_eq!(read(&mut daq, spec::PRODUCER, &mut world), 2, "the old tick only starts the clock");
    world.run(&mut daq, 40_000);
    assert_eq!(read(&mut daq, spec::PRODUCER, &mut world), 3, "indices go on where they were");
    write(&mut daq, spec::CONTROL, spec::CONTROL_RESET, &mut world);
    world.run(&mut daq, 1_000_000);
    assert_eq!((read(&mut daq, spec::PRODUCER, &mut world), world.wanted.len()), (0, 0));
    assert_eq!(read(&mut daq, spec::PERIOD, &mut world), 20_000);
}

#[test]
fn the_set_up_is_checked_and_holds_still_while_it_runs() {
    let good = [(spec::RING_ENTRIES, 8), (spec::RING_BASE, BASE), (spec::THRESHOLD, 4)];
    let bad = [
        (spec::RING_ENTRIES, 0),
        (spec::RING_ENTRIES, 1),
        (spec::RING_ENTRIES, 6),
        (spec::RING_ENTRIES, 2048),
        (spec::RING_ENTRIES, u32::MAX),
        (spec::RING_BASE, BASE + 16),
        (spec::THRESHOLD, 0),
        (spec::THRESHOLD, 9),
    ];
    for wrong in bad {
        let (mut daq, mut world) = (Daq::new(Settings::default()), World::new());
        for (register, value) in good.into_iter().chain([wrong]) {
            write(&mut daq, register, value, &mut world);
        }
        write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
        assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_BAD_SETUP, "{wrong:x?}");
        assert_eq!(world.wanted, []);
    }
    let (mut daq, mut world) = running(8, 4);
    for register in [spec::PERIOD, spec::RING_ENTRIES, spec::RING_BASE, spec::RING_BASE + 4, spec::THRESHOLD]
    {
        let before = read(&mut daq, register, &mut world);
        write(&mut daq, register, 0x40, &mut world);
        assert_eq!(read(&mut daq, register, &mut world), before, "{register:#x}");
    }
}

#[test]
fn a_ring_at_the_end_of_all_addresses_is_refused() {
    let (mut daq, mut world) = (Daq::new(Settings::default()), World::new());
    daq.write(0, spec::RING_BASE, &(!63_u64).to_le_bytes(), &mut world);
    let mut wide = [0; 8];
    daq.read(0, spec::RING_BASE, &mut wide, &mut world);
    assert_eq!(u64::from_le_bytes(wide), !63_u64);
    write(&mut daq, spec::RING_ENTRIES, 8, &mut world);
    write(&mut daq, spec::THRESHOLD, 4, &mut world);
    write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_BAD_SETUP);
}

#[test]
fn a_ring_that_is_smaller_than_what_is_in_it_is_refused() {
    let (mut daq, mut world) = running(8, 4);
    world.run(&mut daq, 60_000);
    write(&mut daq, spec::CONTROL, 0, &mut world);
    write(&mut daq, spec::RING_ENTRIES, 4, &mut world);
    write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_BAD_SETUP);
    write(&mut daq, spec::CONSUMER, 2, &mut world);
    write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_RUNNING);
}

#[test]
fn a_consumer_that_was_never_there_is_refused() {
    let (mut daq, mut world) = running(8, 8);
    world.run(&mut daq, 30_000);
    write(&mut daq, spec::CONSUMER, 2, &mut world);
    for index in [1, 4, 8, u32::MAX] {
        write(&mut daq, spec::CONSUMER, index, &mut world);
        assert_eq!(read(&mut daq, spec::CONSUMER, &mut world), 2);
    }
    let status = spec::STATUS_RUNNING | spec::STATUS_BAD_INDEX;
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), status);
    assert_eq!(world.raised, [spec::VECTOR_TROUBLE]);
}

#[test]
fn memory_that_refuses_stops_the_card() {
    let (mut daq, mut world) = running(8, 4);
    world.failure = Some(DmaError::NotMaster);
    world.run(&mut daq, 1_000_000);
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_FAULT);
    assert_eq!((world.raised.as_slice(), world.wanted.len()), (&[spec::VECTOR_TROUBLE][..], 0));
    world.failure = None;
    write(&mut daq, spec::CONTROL, spec::CONTROL_RUN, &mut world);
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_RUNNING);
}

#[test]
fn what_is_enabled_late_is_signalled_then() {
    let (mut daq, mut world) = running(8, 1);
    write(&mut daq, spec::INTERRUPT_ENABLE, 0, &mut world);
    world.run(&mut daq, 10_000);
    assert!(world.raised.is_empty());
    write(&mut daq, spec::INTERRUPT_ENABLE, u32::MAX, &mut world);
    assert_eq!(world.raised, [spec::VECTOR_DATA]);
    assert_eq!(read(&mut daq, spec::INTERRUPT_ENABLE, &mut world), spec::INTERRUPTS);
    write(&mut daq, spec::INTERRUPT_ENABLE, 0, &mut world);
    assert!(!world.asserted);
}

#[test]
fn periods_are_those_that_the_card_can_do() {
    for (wanted, real) in [(0, 1_000), (999, 1_000), (20_000, 20_000), (u32::MAX, 1_000_000_000)] {
        let (mut daq, mut world) = (Daq::new(Settings::default()), World::new());
        write(&mut daq, spec::PERIOD, wanted, &mut world);
        assert_eq!(read(&mut daq, spec::PERIOD, &mut world), real);
    }
}

#[test]
fn odd_accesses_read_ones_and_write_nothing() {
    let (mut daq, mut world) = running(8, 4);
    for (offset, length) in [(0, 1), (0, 2), (0, 8), (2, 4), (0x1c, 8), (0x21, 8), (0x38, 4), (0xffc, 4)] {
        let mut into = vec![0; length];
        daq.read(0, offset, &mut into, &mut world);
        assert!(into.iter().all(|&byte| byte == 0xff), "{offset:#x} {length}");
        daq.write(0, offset, &vec![0; length], &mut world);
    }
    assert_eq!(read(&mut daq, spec::STATUS, &mut world), spec::STATUS_RUNNING);
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u32),
    Wide(u64),
    Advance(u64),
    Late(u64),
    Fail(Option<DmaError>),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let register = prop::sample::select(vec![
        spec::CONTROL,
        spec::INTERRUPT_STATUS,
        spec::INTERRUPT_ENABLE,
        spec::PERIOD,
        spec::RING_ENTRIES,
        spec::RING_BASE,
        spec::RING_BASE + 4,
        spec::THRESHOLD,
        spec::PRODUCER,
        spec::CONSUMER,
        spec::LOST,
    ]);
    let value = prop_oneof![
        4 => 0u32..9,
        2 => (0u32..12).prop_map(|bit| 1 << bit),
        1 => (0u32..0x1200).prop_map(|n| n * 64),
        1 => any::<u32>(),
    ];
    prop_oneof![
        8 => (register, value).prop_map(|(register, value)| Step::Write(register, value)),
        1 => any::<u64>().prop_map(|base| Step::Wide(base & !63)),
        // Makes a card that runs likely, from whatever state.
        3 => Just(Step::Write(spec::CONTROL, spec::CONTROL_RUN)),
        4 => (0u64..200_000).prop_map(Step::Advance),
        1 => (0u64..2_000_000_000).prop_map(Step::Late),
        1 => prop::sample::select(vec![None, Some(DmaError::Removed), Some(DmaError::NotMaster)]).prop_map(Step::Fail),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a driver writes: no panic, one tick at a time, bounded work for each, and the ring never holds more than it has room for.
    #[test]
    fn the_card_is_total(steps in prop::collection::vec(step(), 1..120)) {
        let (mut daq, mut world) = running(8, 4);
        for step in steps {
            world.writes = 0;
            match step {
                Step::Write(register, value) => write(&mut daq, register, value, &mut world),
                Step::Wide(base) => daq.write(0, spec::RING_BASE, &base.to_le_bytes(), &mut world),
                Step::Advance(ns) => {
                    // Time as hosts keep it: each tick when it is due.
                    let end = world.now + ns;
                    world.run(&mut daq, end);
                }
                Step::Late(ns) => {
                    world.now += ns;
                    if let Some((_, token)) = world.wanted.pop() {
                        daq.tick(token, &mut world);
                        prop_assert!(world.writes <= BURST + 1);
                    }
                }
                Step::Fail(failure) => world.failure = failure,
                Step::Reset => {
                    daq.reset();
                    world.wanted.clear();
                }
            }
            prop_assert!(world.wanted.len() <= 1);
            let ready = read(&mut daq, spec::PRODUCER, &mut world)
                .wrapping_sub(read(&mut daq, spec::CONSUMER, &mut world));
            if read(&mut daq, spec::STATUS, &mut world) & spec::STATUS_RUNNING != 0 {
                prop_assert!(ready <= read(&mut daq, spec::RING_ENTRIES, &mut world));
                prop_assert!(world.wanted.len() == 1);
            }
            prop_assert!(read(&mut daq, spec::INTERRUPT_STATUS, &mut world) & !spec::INTERRUPTS == 0);
        }
    }

    /// A driver that takes what is there, whenever it looks: every sample once, in order, or counted as lost.
    #[test]
    fn nothing_is_lost_or_twice(waits in prop::collection::vec(0u64..150_000, 1..60)) {
        let (mut daq, mut world) = running(8, 3);
        let (mut taken, mut next) = (0u32, 0u32);
        for wait in waits {
            let end = world.now + wait;
            world.run(&mut daq, end);
            let index = world.word(BASE as usize + 8 * spec::SAMPLE_BYTES);
            prop_assert!(index.wrapping_sub(taken) <= 8);
            while taken != index {
                let entry = world.entry((taken & 7) as usize).to_vec();
                let sequence = u32::from_le_bytes(entry[..4].try_into().unwrap());
                let lost = sequence - taken;
                prop_assert_eq!(&entry[..], &sample::encode(sequence, lost)[..]);
                prop_assert!(sequence >= next);
                next = sequence + 1;
                taken += 1;
            }
            write(&mut daq, spec::CONSUMER, taken, &mut world);
        }
        prop_assert!(read(&mut daq, spec::STATUS, &mut world) & spec::STATUS_MISTAKES == 0);
    }
}
