//! The card under anything that a driver may write, and under one that does it right.

use super::super::{BURST, sample};
use super::{BASE, read, running, write};
use crate::device::Device;
use crate::env::DmaError;
use crate::spec::daq as spec;
use proptest::prelude::*;

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
