//! The controller under anything that a driver may write, with every kind of node on the bus.

use super::super::testing::{BUFFERS, DATA, MEMORY, RECEIVE, Rig, TRANSMIT, plain};
use crate::device::{Device, News};
use crate::env::DmaError;
use crate::firewire::camera::{self, Camera};
use crate::firewire::phy::PhyFacts;
use crate::firewire::sbp2::{self, Target};
use crate::spec::ohci as spec;
use crate::virtio::store::MemoryStore;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u32),
    Read(u64),
    Ram(u32, u32),
    Descriptor(u32, [u32; 4]),
    Start(u64, u32),
    Run(u64),
    Late(u64),
    News(News),
    Fail(Option<DmaError>),
    Reset,
    Enable,
}

fn node() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (0usize..5).prop_map(Some)]
}

fn pointer() -> impl Strategy<Value = u32> {
    prop_oneof![
        (0u32..64).prop_map(|n| TRANSMIT[0] + n * 16),
        (0u32..16).prop_map(|n| RECEIVE[0] + n * 16),
        Just(0xffff_fff0),
        (MEMORY as u32 - 64..MEMORY as u32 + 64).prop_map(|at| at & !15),
    ]
}

fn descriptor() -> impl Strategy<Value = [u32; 4]> {
    let control = prop::sample::select(vec![
        0x123cu32, 0x0200, 0x103c, 0x0000, 0x280c, 0x383c, 0x2803, 0x180c, 0x8600, 0x0234,
    ]);
    let count = prop_oneof![Just(8u32), Just(12), Just(16), 0u32..64, Just(0xffff)];
    let data = prop_oneof![Just(DATA), Just(BUFFERS[0]), any::<u32>()];
    (control, count, data, pointer(), 0u32..10)
        .prop_map(|(control, count, data, branch, z)| [control << 16 | count, data, branch | z, 0])
}

/// Header quadlets: any transaction code, to any node, around the interesting addresses.
fn header() -> impl Strategy<Value = [u32; 4]> {
    let offset =
        prop::sample::select(vec![0xf000_0400u32, 0xf001_0000, 0xf000_0200, 0xf001_0100, 0xf000_021c]);
    (0u32..16, 0u32..8, 0u32..4, offset, any::<u32>()).prop_map(|(tcode, node, speed, offset, last)| {
        [speed << 16 | tcode << 4, (0xffc0 | node) << 16 | 0xffff, offset, last]
    })
}

fn step() -> impl Strategy<Value = Step> {
    let context = prop_oneof![
        (0u64..4).prop_map(|n| spec::ASYNC_CONTEXTS + n * spec::ASYNC_STRIDE),
        (0u64..4).prop_map(|n| spec::TRANSMIT_BASE + n * spec::TRANSMIT_STRIDE),
        (0u64..4).prop_map(|n| spec::RECEIVE_BASE + n * spec::RECEIVE_STRIDE),
    ];
    let value =
        prop_oneof![any::<u32>(), (0u32..32).prop_map(|bit| 1 << bit), Just(spec::RUN), Just(spec::WAKE)];
    let news = prop_oneof![
        (0usize..7).prop_map(News::Attach),
        (0usize..7).prop_map(News::Detach),
        (node(), any::<bool>()).prop_map(|(unit, root)| News::BusReset { unit, root }),
    ];
    let failure = prop_oneof![
        4 => Just(None),
        1 => Just(Some(DmaError::Removed)),
        1 => Just(Some(DmaError::NotMaster)),
        1 => Just(Some(DmaError::NoMemory(0))),
    ];
    let place = || {
        prop_oneof![
            (0u32..64).prop_map(|n| TRANSMIT[0] + n * 16),
            (0u32..16).prop_map(|n| RECEIVE[0] + n * 16)
        ]
    };
    prop_oneof![
        6 => ((0u64..0x200).prop_map(|n| n * 4), value).prop_map(|(offset, value)| Step::Write(offset, value)),
        2 => (0u64..0x1000).prop_map(Step::Read),
        2 => (0u32..MEMORY as u32 - 4, any::<u32>()).prop_map(|(at, value)| Step::Ram(at, value)),
        8 => (place(), prop_oneof![descriptor(), header()]).prop_map(|(at, words)| Step::Descriptor(at, words)),
        6 => (context, pointer(), 0u32..10).prop_map(|(at, command, z)| Step::Start(at, command | z)),
        6 => (0u64..400_000).prop_map(Step::Run),
        1 => (0u64..10_000_000_000).prop_map(Step::Late),
        2 => news.prop_map(Step::News),
        1 => failure.prop_map(Step::Fail),
        1 => Just(Step::Reset),
        2 => Just(Step::Enable),
    ]
}

fn rig() -> Rig {
    let disk = sbp2::Settings {
        phy: PhyFacts { ports: 2, ..PhyFacts::default() },
        guid: 2,
        name: "d".into(),
        latency: 50_000,
    };
    let camera = camera::Settings { phy: PhyFacts::default(), guid: 3, name: "c".into() };
    Rig::new(vec![
        (plain(1, 3), 0),
        (Box::new(Target::new(Box::new(MemoryStore::new(1 << 20)), disk)), 1),
        (Box::new(Camera::new(camera)), 2),
        (plain(4, 1), 1),
        (plain(5, 2), 0),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// No panic, no access outside of memory (the world refuses it), one timer at a time, and no tick without end.
    #[test]
    fn the_controller_is_total(steps in prop::collection::vec(step(), 1..120)) {
        let mut rig = rig();
        rig.enable();
        for step in steps {
            match step {
                Step::Write(offset, value) => rig.write(offset, value),
                Step::Read(offset) => {
                    let mut bytes = [0; 4];
                    rig.ohci.read(0, offset, &mut bytes, &mut rig.world);
                }
                Step::Ram(at, value) => rig.put32(at, value),
                Step::Descriptor(at, words) => {
                    for (n, word) in words.into_iter().enumerate() {
                        rig.put32(at + n as u32 * 4, word);
                    }
                }
                Step::Start(at, command) => {
                    rig.write(at + spec::CONTEXT_CLEAR, spec::RUN);
                    rig.write(at + spec::CONTEXT_COMMAND, command);
                    rig.write(at, spec::RUN);
                }
                Step::Run(ns) => rig.run(ns),
                Step::Late(ns) => {
                    rig.world.now += ns;
                    if let Some((_, token)) = rig.world.wanted.pop() {
                        rig.ohci.tick(token, &mut rig.world);
                    }
                }
                Step::News(news) => rig.ohci.news(news, &mut rig.world),
                Step::Fail(failure) => rig.world.failure = failure,
                Step::Reset => {
                    rig.ohci.reset();
                    rig.world.wanted.clear();
                }
                Step::Enable => {
                    rig.write(spec::HC_CONTROL, spec::HC_LPS | spec::HC_LINK_ENABLE);
                    rig.write(spec::INT_EVENT + 4, u32::MAX);
                }
            }
            // A tick that was asked for is superseded only by an earlier one: few are under way.
            prop_assert!(rig.world.wanted.len() < 64, "{}", rig.world.wanted.len());
        }
    }
}
