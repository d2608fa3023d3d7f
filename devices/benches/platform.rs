//! What the platform costs a simulated machine: a register access, and a whole cycle of plug, I/O and unplug.

use criterion::{Criterion, criterion_group, criterion_main};
use devices::fault::plan::Plan;
use devices::platform::{Host, Platform, layout};
use devices::spec::{edu, pci};
use std::hint::black_box;
use vm_memory::{GuestAddress, GuestMemoryMmap};

const PLAN: &str = "plug edu0 edu slot=1\nevery 100us unplug edu0\nevery 100us replug edu0\n";
const BAR: u64 = layout::APERTURE_BASE + layout::SLOT_APERTURE_BYTES;
const PERIOD: u64 = 100_000;

struct Machine {
    now: u64,
    memory: GuestMemoryMmap,
    messages: u64,
}

impl Host for Machine {
    fn now(&self) -> u64 {
        self.now
    }
    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }
    fn message(&mut self, _address: u64, _data: u32) {
        self.messages += 1;
    }
    fn line(&mut self, _gsi: u32, _asserted: bool) {}
    fn fault(&mut self, _slot: u32, _word: &'static str) {}
}

fn write(platform: &mut Platform, machine: &mut Machine, register: u64, value: u32) {
    platform.mmio_write(BAR + register, &value.to_le_bytes(), machine);
}

/// The card goes and comes back; the guest gives it its address, and has it copy 512 bytes.
fn cycle(platform: &mut Platform, machine: &mut Machine) {
    machine.now = machine.now.next_multiple_of(PERIOD).max(PERIOD);
    platform.advance(machine);
    platform.config_write(1, 0, 0, pci::BAR0, &(BAR as u32).to_le_bytes(), machine);
    platform.config_write(1, 0, 0, pci::COMMAND, &[6, 0], machine);
    write(platform, machine, edu::DMA_SOURCE, 0x1000);
    write(platform, machine, edu::DMA_DESTINATION, edu::BUFFER_ADDRESS as u32);
    write(platform, machine, edu::DMA_COUNT, 512);
    write(platform, machine, edu::DMA_COMMAND, 5);
    for _ in 0..2 {
        machine.now = platform.next_deadline().unwrap_or(machine.now);
        platform.advance(machine);
    }
    write(platform, machine, edu::IRQ_ACKNOWLEDGE, edu::IRQ_DMA);
    machine.now += 1;
}

fn platform(c: &mut Criterion) {
    let plan = Plan::parse("bench", PLAN).expect("a good plan");
    let mut platform = Platform::new(&plan).expect("a good plan");
    platform.firmware();
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).expect("memory");
    let mut machine = Machine { now: 0, memory, messages: 0 };
    let mut word = [0; 4];
    c.bench_function("register read", |b| {
        b.iter(|| platform.mmio_read(black_box(BAR), &mut word, &mut machine));
    });
    platform.start_plan(0);
    c.bench_function("plug, DMA, unplug", |b| b.iter(|| cycle(&mut platform, &mut machine)));
}

criterion_group!(benches, platform);
criterion_main!(benches);
