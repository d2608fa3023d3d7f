//! A hostile guest at the platform: any accesses, in any order, at any time.

use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Host, Platform, layout};
use std::sync::OnceLock;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

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
/// Bytes of guest memory, from address 0.
const MEMORY: usize = 64 << 10;
/// Accesses of one input.
const MAX_OPS: usize = 512;
/// Calls of `advance` after one access: what comes due again and again must not keep the target.
const MAX_ROUNDS: usize = 64;

/// How wide an access is. Widths that no processor makes are among them: the platform is to refuse them.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Width {
    Byte,
    Word,
    Long,
    Quad,
    Odd,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
            Self::Quad => 8,
            Self::Odd => 3,
        }
    }
}

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
#[derive(Clone, Debug, Arbitrary)]
pub struct Script {
    /// Memory decoding and bus mastering are on at the beginning.
    awake: bool,
    ops: Vec<Op>,
}

/// The machine around the platform. It holds it to its promise about lines.
struct Machine {
    now: u64,
    memory: GuestMemoryMmap,
    lines: u64,
}

impl Host for Machine {
    fn now(&self) -> u64 {
        self.now
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    fn message(&mut self, _address: u64, _data: u32) {}

    fn line(&mut self, gsi: u32, asserted: bool) {
        assert!((layout::FIRST_GSI..layout::FIRST_GSI + layout::LINES).contains(&gsi), "line {gsi}");
        assert_ne!(self.lines >> gsi & 1 == 1, asserted, "line {gsi} is told what it is already");
        self.lines ^= 1 << gsi;
    }

    fn fault(&mut self, slot: u32, _word: &'static str) {
        assert!((1..=layout::MAX_SLOT).contains(&slot), "slot {slot}");
    }
}

/// Lets the guest of `script` loose on the platform.
///
/// # Panics
/// If the platform does, or breaks a promise to its machine.
pub fn check(script: &Script) {
    // Read once: the fuzzer is to learn about the platform, not about the parser.
    static ONCE: OnceLock<Plan> = OnceLock::new();
    let plan = ONCE.get_or_init(|| {
        Plan::parse("pci", PLAN).unwrap_or_else(|errors| panic!("the target's own plan: {errors:?}"))
    });
    let mut platform = Platform::new(plan).unwrap_or_else(|error| panic!("the target's own plan: {error}"));
    platform.firmware();
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)])
        .unwrap_or_else(|error| panic!("no memory for the guest: {error}"));
    let mut machine = Machine { now: 0, memory, lines: 0 };
    platform.start_plan(0);
    if script.awake {
        for plug in &plan.plugs {
            platform.config_write(plug.slot as u8, 0, 0, COMMAND, &[6, 0], &mut machine);
        }
    }
    for op in script.ops.iter().take(MAX_OPS) {
        op.act(&mut platform, &mut machine);
        for _ in 0..MAX_ROUNDS {
            if platform.next_deadline().is_none_or(|time| time > machine.now) {
                break;
            }
            platform.advance(&mut machine);
        }
    }
}

/// Offset of the command register (PCI 3.0, 6.2.2).
const COMMAND: usize = 4;

impl Op {
    fn act(self, platform: &mut Platform, machine: &mut Machine) {
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
    }
}
