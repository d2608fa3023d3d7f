//! Every model alone, in a world that fails at random: no panic, whatever is read, written or ticked.

use super::{build, catalogue};
use crate::env::{DmaError, Env};
use crate::platform::testing::plug;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

#[derive(Clone, Debug)]
enum Step {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Tick(u64),
    ConfigRead(usize, u8, usize),
    ConfigWrite(usize, u8, Vec<u8>),
    Reset,
    Fail(Option<DmaError>),
    Ram(u64, Vec<u8>),
}

struct World {
    now: u64,
    memory: GuestMemoryMmap,
    failure: Option<DmaError>,
    wanted: Vec<u64>,
}

impl World {
    fn check(&self) -> Result<(), DmaError> {
        self.failure.map_or(Ok(()), Err)
    }
}

impl Env for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        self.check()?;
        let done = self.memory.read_slice(into, GuestAddress(address));
        done.map_err(|_| DmaError::NoMemory(address))
    }
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        self.check()?;
        let done = self.memory.write_slice(from, GuestAddress(address));
        done.map_err(|_| DmaError::NoMemory(address))
    }
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        self.check().map(|()| self.memory.clone())
    }
    fn raise(&mut self, _index: u16) {}
    fn lower(&mut self) {}
    fn at(&mut self, time: u64, token: u64) {
        assert!(time >= self.now);
        self.wanted.push(token);
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![Just(1usize), Just(2), Just(4), Just(8)];
    let value = prop_oneof![0u64..16, 0x4_0000u64..0x4_1000, any::<u64>()];
    (size, value).prop_map(|(size, value)| value.to_le_bytes()[..size].to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    let offset = || prop_oneof![0u64..0x100, (0u64..0x40).prop_map(|n| n * 4), 0u64..0x4000];
    let failure = prop_oneof![
        3 => Just(None),
        1 => Just(Some(DmaError::Removed)),
        1 => Just(Some(DmaError::NotMaster)),
        1 => Just(Some(DmaError::NoMemory(0))),
    ];
    prop_oneof![
        4 => (offset(), prop::sample::select(vec![1usize, 2, 4, 8]))
            .prop_map(|(offset, size)| Step::Read(offset, size)),
        8 => (offset(), bytes()).prop_map(|(offset, bytes)| Step::Write(offset, bytes)),
        2 => prop_oneof![0u64..4, any::<u64>()].prop_map(Step::Tick),
        1 => (0usize..6, 0u8..20, 0usize..5).prop_map(|(c, o, n)| Step::ConfigRead(c, o, n)),
        1 => (0usize..6, 0u8..20, bytes()).prop_map(|(c, o, b)| Step::ConfigWrite(c, o, b)),
        1 => Just(Step::Reset),
        1 => failure.prop_map(Step::Fail),
        2 => (0u64..0x2000, bytes()).prop_map(|(at, bytes)| Step::Ram(at, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn models_are_total(steps in prop::collection::vec(step(), 1..200)) {
        for model in catalogue().iter().filter(|model| !model.is_usb()) {
            let mut device = build(&plug("it", model.word, 1, &[]), None, Vec::new()).unwrap();
            let bar = device.identity().bars[0];
            let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 16)]).unwrap();
            let mut world = World { now: 0, memory, failure: None, wanted: Vec::new() };
            for step in &steps {
                world.now += 10_000;
                match step {
                    Step::Read(offset, size) if offset + *size as u64 <= bar.size => {
                        device.read(bar.index, *offset, &mut vec![0; *size], &mut world);
                    }
                    Step::Write(offset, from) if offset + from.len() as u64 <= bar.size => {
                        device.write(bar.index, *offset, from, &mut world);
                    }
                    Step::Read(..) | Step::Write(..) => {}
                    Step::Tick(token) => {
                        let token = world.wanted.pop().unwrap_or(*token);
                        device.tick(token, &mut world);
                    }
                    Step::ConfigRead(capability, offset, size) => {
                        let mut into = vec![0; *size];
                        device.config_read(*capability, *offset, &mut into, &mut world);
                    }
                    Step::ConfigWrite(capability, offset, from) => {
                        device.config_written(*capability, *offset, from, &mut world);
                    }
                    Step::Reset => device.reset(),
                    Step::Fail(failure) => world.failure = *failure,
                    Step::Ram(at, from) => {
                        world.memory.write_slice(from, GuestAddress(*at)).unwrap();
                    }
                }
            }
            // One engine, one timer each: nothing piles up.
            prop_assert!(world.wanted.len() <= steps.len() * 2);
        }
    }
}
