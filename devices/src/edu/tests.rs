//! The device alone, in a world that records what it asks for.

use super::{Edu, Settings, factorial};
use crate::device::Device;
use crate::env::{DmaError, Env};
use crate::spec::edu as spec;
use vm_memory::GuestMemoryMmap;

/// Memory of 64 KiB from address 0, a clock, and a list of what was asked.
struct World {
    now: u64,
    memory: Vec<u8>,
    raised: u32,
    lowered: u32,
    wanted: Vec<(u64, u64)>,
}

impl World {
    fn new() -> Self {
        Self { now: 0, memory: vec![0; 65536], raised: 0, lowered: 0, wanted: Vec::new() }
    }

    fn run(&mut self, edu: &mut Edu) {
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.sort_unstable();
        for (time, token) in wanted {
            self.now = time;
            edu.tick(token, self);
        }
    }
}

impl Env for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        let start = address as usize;
        into.copy_from_slice(self.memory.get(start..start + into.len()).ok_or(DmaError::NoMemory(address))?);
        Ok(())
    }
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        let start = address as usize;
        let into = self.memory.get_mut(start..start + from.len());
        into.ok_or(DmaError::NoMemory(address))?.copy_from_slice(from);
        Ok(())
    }
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        Err(DmaError::Removed)
    }
    fn raise(&mut self, _index: u16) {
        self.raised += 1;
    }
    fn lower(&mut self) {
        self.lowered += 1;
    }
    fn at(&mut self, time: u64, token: u64) {
        self.wanted.push((time, token));
    }
}

fn read(edu: &mut Edu, offset: u64, world: &mut World) -> u32 {
    let mut bytes = [0; 4];
    edu.read(0, offset, &mut bytes, world);
    u32::from_le_bytes(bytes)
}

fn write(edu: &mut Edu, offset: u64, value: u32, world: &mut World) {
    edu.write(0, offset, &value.to_le_bytes(), world);
}

#[test]
fn identification_and_liveness() {
    let (mut edu, mut world) = (Edu::new(Settings::default()), World::new());
    assert_eq!(read(&mut edu, spec::IDENTIFICATION, &mut world), 0x0100_00ed);
    write(&mut edu, spec::LIVENESS, 0x1234_5678, &mut world);
    assert_eq!(read(&mut edu, spec::LIVENESS, &mut world), !0x1234_5678);
}

#[test]
fn narrow_and_wide_accesses_follow_the_rules() {
    let (mut edu, mut world) = (Edu::new(Settings::default()), World::new());
    let mut two = [0; 2];
    edu.read(0, spec::IDENTIFICATION, &mut two, &mut world);
    assert_eq!(two, [0xff; 2]);
    let mut eight = [0; 8];
    edu.read(0, spec::IDENTIFICATION, &mut eight, &mut world);
    assert_eq!(eight, [0xff; 8]);
    edu.write(0, spec::DMA_SOURCE, &0x1_0000_0002u64.to_le_bytes(), &mut world);
    edu.read(0, spec::DMA_SOURCE, &mut eight, &mut world);
    assert_eq!(u64::from_le_bytes(eight), 0x1_0000_0002);
}

#[test]
fn factorial_computes_then_interrupts() {
    let (mut edu, mut world) = (Edu::new(Settings::default()), World::new());
    write(&mut edu, spec::STATUS, spec::STATUS_INTERRUPT, &mut world);
    write(&mut edu, spec::FACTORIAL, 5, &mut world);
    let both = spec::STATUS_COMPUTING | spec::STATUS_INTERRUPT;
    assert_eq!(read(&mut edu, spec::STATUS, &mut world), both);
    world.run(&mut edu);
    assert_eq!(read(&mut edu, spec::FACTORIAL, &mut world), 120);
    assert_eq!(read(&mut edu, spec::IRQ_STATUS, &mut world), spec::IRQ_FACTORIAL);
    assert_eq!(world.raised, 1);
    write(&mut edu, spec::IRQ_ACKNOWLEDGE, spec::IRQ_FACTORIAL, &mut world);
    assert_eq!((world.lowered, read(&mut edu, spec::IRQ_STATUS, &mut world)), (1, 0));
}

#[test]
fn factorial_of_any_number_is_quick_and_right() {
    assert_eq!(factorial(0), 1);
    assert_eq!(factorial(12), 479_001_600);
    assert_eq!(factorial(13), 1_932_053_504);
    assert_eq!(factorial(34), 0);
    assert_eq!(factorial(u32::MAX), 0);
}

#[test]
fn dma_goes_both_ways_and_half_by_half() {
    let (mut edu, mut world) = (Edu::new(Settings::default()), World::new());
    for (i, byte) in world.memory[0x1000..0x1100].iter_mut().enumerate() {
        *byte = i as u8;
    }
    write(&mut edu, spec::DMA_SOURCE, 0x1000, &mut world);
    write(&mut edu, spec::DMA_DESTINATION, 0x40010, &mut world);
    write(&mut edu, spec::DMA_COUNT, 0x100, &mut world);
    write(&mut edu, spec::DMA_COMMAND, 1, &mut world);
    write(&mut edu, spec::DMA_COUNT, 0x10, &mut world);
    assert_eq!(read(&mut edu, spec::DMA_COUNT, &mut world), 0x100, "busy: the register keeps");
    world.run(&mut edu);
    assert_eq!(read(&mut edu, spec::DMA_COMMAND, &mut world), 0);

    write(&mut edu, spec::DMA_SOURCE, 0x40010, &mut world);
    write(&mut edu, spec::DMA_DESTINATION, 0x2000, &mut world);
    write(&mut edu, spec::DMA_COMMAND, 7, &mut world);
    let (half, _) = world.wanted.remove(0);
    world.now = half;
    edu.tick(super::TOKEN_DMA_HALF, &mut world);
    assert_eq!(world.memory[0x2000..0x2080], world.memory[0x1000..0x1080]);
    assert_eq!(world.memory[0x2080], 0);
    world.run(&mut edu);
    assert_eq!(world.memory[0x2000..0x2100], world.memory[0x1000..0x1100]);
    assert_eq!((world.raised, read(&mut edu, spec::IRQ_STATUS, &mut world)), (1, spec::IRQ_DMA));
}

#[test]
fn dma_outside_of_the_buffer_moves_nothing() {
    let (mut edu, mut world) = (Edu::new(Settings::default()), World::new());
    for (source, count) in [(0x40001, 4096), (0x3ffff, 4), (u64::MAX, 2), (0x40000, u64::MAX)] {
        edu.write(0, spec::DMA_SOURCE, &source.to_le_bytes(), &mut world);
        edu.write(0, spec::DMA_COUNT, &count.to_le_bytes(), &mut world);
        write(&mut edu, spec::DMA_COMMAND, 3, &mut world);
        world.run(&mut edu);
        assert_eq!(read(&mut edu, spec::DMA_COMMAND, &mut world) & 1, 0);
    }
    assert!(world.memory.iter().all(|&byte| byte == 0));
}
