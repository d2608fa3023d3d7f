//! A hostile guest at the platform: any accesses, in any order, at any time.

use super::machine::{Machine, Width, noise, pass};
use super::steps;
use crate::target::{Features, Target, Trouble};
use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Platform, layout};
use std::sync::OnceLock;
use vm_memory::{Bytes, GuestAddress};

/// Devices of both models and all kinds of interrupt, rules that pull them out in the middle of accesses and put them back.
const PLAN: &str = "\
plug edu0 edu slot=1
plug disk0 virtio-blk slot=2 size=1M latency=1us
plug disk1 virtio-blk slot=3 size=64K irq=intx
plug edu1 edu slot=5 irq=intx factorial=1us dma=1us
plug edu2 edu slot=6 irq=msix absent=yes dma-mask=yes
on edu0.mmio.write #9 unplug edu0
on edu0.config.write #30 eject edu0
on disk0.dma.read #20 unplug disk0
on disk1.dma.write #9 unplug disk1
on edu1.irq.raise #5 unplug edu1
at 20us plug edu2
at 30us storm edu1 rate=1MHz for=50us
every 100us replug edu0
every 100us replug disk0
every 150us replug disk1
every 170us replug edu1
run for=1s
";
/// Accesses of one input.
const MAX_OPS: usize = 512;
/// Bytes of an input: as many as so many accesses have.
const MOST: usize = 8192;

/// Where in memory an access goes.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Place {
    /// Where firmware put the 32-bit BARs of a slot.
    Narrow { slot: u8, offset: u16 },
    /// Where firmware put the 64-bit BARs of a slot.
    Wide { slot: u8, offset: u16 },
    /// A register in the ECAM.
    Ecam { bus: u8, device: u8, offset: u16 },
    /// Anywhere.
    Anywhere(u64),
}

impl Place {
    fn address(self) -> u64 {
        match self {
            Self::Narrow { slot, offset } => {
                layout::APERTURE_BASE + u64::from(slot % 8) * layout::SLOT_APERTURE_BYTES + u64::from(offset)
            }
            Self::Wide { slot, offset } => {
                layout::WIDE_APERTURE_BASE
                    + u64::from(slot % 8) * layout::SLOT_WIDE_APERTURE_BYTES
                    + u64::from(offset)
            }
            Self::Ecam { bus, device, offset } => {
                layout::ECAM_BASE
                    + (u64::from(bus % 8) << 20)
                    + (u64::from(device % 8) << 15)
                    + u64::from(offset & 0xfff)
            }
            Self::Anywhere(address) => address,
        }
    }

    /// What is worth telling apart.
    fn kind(self) -> u64 {
        match self {
            Self::Narrow { slot, offset } => u64::from(slot % 8) << 5 | (u64::from(offset >> 2) % 32),
            Self::Wide { slot, offset } => 1 << 8 | u64::from(slot % 8) << 5 | (u64::from(offset >> 2) % 32),
            Self::Ecam { bus, .. } => 2 << 8 | u64::from(bus % 8),
            Self::Anywhere(_) => 3 << 8,
        }
    }
}

/// What the guest does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    Read(Place, Width),
    Write(Place, Width, u64),
    PortRead(u8, Width),
    PortWrite(u8, Width, u32),
    ConfigRead {
        bus: u8,
        device: u8,
        function: u8,
        offset: u16,
        width: Width,
    },
    ConfigWrite {
        bus: u8,
        device: u8,
        function: u8,
        offset: u16,
        width: Width,
        value: u32,
    },
    /// Eight bytes of guest memory: descriptors and rings.
    Memory(u16, u64),
    /// Machine time passes, in units of 16 ns.
    Wait(u16),
    /// A machine asks for the doorbells.
    Doorbells,
}

/// One input.
#[derive(Clone, Debug)]
struct Script {
    /// Memory decoding and bus mastering are on at the beginning.
    awake: bool,
    ops: Vec<Op>,
}

/// The target.
pub struct Pci;

impl Target for Pci {
    fn name(&self) -> &'static str {
        "pci"
    }

    fn about(&self) -> &'static str {
        "accesses of a hostile guest to the platform: memory, ports, configuration space, guest memory, time"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        noise(&[64, 512, 2048])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        check(&script(input), features);
        None
    }

    fn describe(&self, input: &[u8]) -> String {
        let Script { awake, ops } = script(input);
        format!("cards awake: {awake}\n{}", steps::lines(&ops))
    }
}

/// Any bytes are a script.
fn script(input: &[u8]) -> Script {
    let mut bytes = steps::bytes(input, MOST);
    let awake = bool::arbitrary(&mut bytes).unwrap_or_default();
    let ops = steps::steps(&mut bytes, MAX_OPS);
    Script { awake, ops }
}

/// Lets the guest of `script` loose on the platform.
///
/// # Panics
/// If the platform does, or breaks a promise to its machine.
fn check(script: &Script, features: &mut Features) {
    // Read once: the fuzzer is to learn about the platform, not about the parser.
    static ONCE: OnceLock<Plan> = OnceLock::new();
    let (mut platform, plan) = steps::platform(&ONCE, "pci", PLAN);
    let mut machine = Machine::new();
    if script.awake {
        for plug in &plan.plugs {
            platform.config_write(plug.slot as u8, 0, 0, COMMAND, &[6, 0], &mut machine);
        }
    }
    for op in &script.ops {
        let answer = op.act(&mut platform, &mut machine);
        features.note(op.kind() << 8 | answer);
        pass(&mut platform, &mut machine);
        machine.tell(features);
    }
}

/// Offset of the command register (PCI 3.0, 6.2.2).
const COMMAND: usize = 4;

impl Op {
    /// Its kind, and where it goes: what is worth telling apart.
    fn kind(self) -> u64 {
        match self {
            Self::Read(place, width) => 1 << 16 | place.kind() << 4 | width.bytes() as u64,
            Self::Write(place, width, _) => 2 << 16 | place.kind() << 4 | width.bytes() as u64,
            Self::PortRead(port, width) => 3 << 16 | u64::from(port % 32) << 4 | width.bytes() as u64,
            Self::PortWrite(port, width, _) => 4 << 16 | u64::from(port % 32) << 4 | width.bytes() as u64,
            Self::ConfigRead { bus, offset, .. } => {
                5 << 16 | u64::from(bus % 8) << 12 | u64::from(offset % 256)
            }
            Self::ConfigWrite { bus, offset, .. } => {
                6 << 16 | u64::from(bus % 8) << 12 | u64::from(offset % 256)
            }
            Self::Memory(..) => 7 << 16,
            Self::Wait(_) => 8 << 16,
            Self::Doorbells => 9 << 16,
        }
    }

    /// Does it, and tells the class of the answer.
    fn act(self, platform: &mut Platform, machine: &mut Machine) -> u64 {
        let mut bytes = [0; 8];
        match self {
            Self::Read(place, width) => {
                platform.mmio_read(place.address(), &mut bytes[..width.bytes()], machine);
            }
            Self::Write(place, width, value) => {
                platform.mmio_write(place.address(), &value.to_le_bytes()[..width.bytes()], machine);
            }
            Self::PortRead(port, width) => {
                platform.pio_read(0xcf0 + u16::from(port % 32), &mut bytes[..width.bytes()], machine);
            }
            Self::PortWrite(port, width, value) => {
                let value = u64::from(value).to_le_bytes();
                platform.pio_write(0xcf0 + u16::from(port % 32), &value[..width.bytes()], machine);
            }
            Self::ConfigRead { bus, device, function, offset, width } => {
                let into = &mut bytes[..width.bytes()];
                platform.config_read(bus, device, function, offset.into(), into, machine);
            }
            Self::ConfigWrite { bus, device, function, offset, width, value } => {
                let value = u64::from(value).to_le_bytes();
                let from = &value[..width.bytes()];
                platform.config_write(bus, device, function, offset.into(), from, machine);
            }
            Self::Memory(at, value) => {
                // Past the end nothing is written, and nothing needs to be.
                let _ = machine.memory.write_slice(&value.to_le_bytes(), GuestAddress(at.into()));
            }
            Self::Wait(units) => machine.now += u64::from(units) * 16,
            Self::Doorbells => {
                let bells = platform.doorbells();
                assert!(bells.iter().all(|bell| matches!(bell.width, 1 | 2 | 4 | 8)), "{bells:?}");
            }
        }
        match u64::from_le_bytes(bytes) {
            0 => 0,
            value if value.count_ones() >= 8 && value.wrapping_add(1) & value == 0 => 1,
            value => 2 + u64::from(value.leading_zeros() / 8),
        }
    }
}
