//! Configuration space under any writes: what a function is stays the same, its capabilities stay a list, its BARs size by the rules.

use super::machine::{Machine, Width, noise, pass};
use super::steps;
use crate::target::{Features, Target, Trouble};
use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Platform, layout};
use devices::spec::pci as spec;
use std::sync::OnceLock;

/// Every model, every kind of interrupt, a slot that is empty at first; cards go and come while they are configured.
const PLAN: &str = "\
plug edu0 edu slot=1
plug disk0 virtio-blk slot=2 size=64K
plug edu1 edu slot=3 irq=msix
plug edu2 edu slot=4 irq=intx
plug daq0 daq slot=5
plug edu3 edu slot=6 absent=yes
on edu0.config.write #60 unplug edu0
on disk0.config.read #80 unplug disk0
at 20us plug edu3
at 60us replug edu0
at 90us replug disk0
run for=1s
";
/// Slots of the plan, 1 to this.
const SLOTS: u8 = 6;
/// Accesses of one input.
const MAX_OPS: usize = 256;
/// Bytes of an input.
const MOST: usize = 4096;
/// Capabilities that fit between the header and the end of configuration space (PCI 3.0, 6.7).
const MAX_CAPABILITIES: usize = 48;
/// Base address registers of a type 0 header.
const BARS: usize = 6;

/// What the guest does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    Read {
        of: u8,
        offset: u8,
        width: Width,
    },
    Write {
        of: u8,
        offset: u8,
        width: Width,
        value: u32,
    },
    /// The same by way of ports 0xcf8 and 0xcfc.
    Port {
        of: u8,
        offset: u8,
        value: u32,
    },
    /// By the ECAM, anywhere in the 4 KiB of a function.
    Ecam {
        of: u8,
        offset: u16,
        width: Width,
        value: u64,
    },
    /// Sizes a BAR as software does: all ones, read, put back.
    Size {
        slot: u8,
        bar: u8,
    },
    /// Writes into the body of a capability.
    Capability {
        of: u8,
        which: u8,
        offset: u8,
        value: u16,
    },
    /// A register behind the BARs, wherever they are now.
    Register {
        slot: u8,
        offset: u16,
        value: u32,
    },
    /// Machine time passes, in units of 64 ns.
    Wait(u8),
}

/// The target.
pub struct PciConfig;

impl Target for PciConfig {
    fn name(&self) -> &'static str {
        "pci_config"
    }

    fn about(&self) -> &'static str {
        "any accesses to configuration space: what a function is stays, capabilities stay a list, BARs size by the rules"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        noise(&[64, 512, 2048])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let mut bench = Bench::new();
        for op in ops(input) {
            let answer = bench.act(op);
            features.note(u64::from(op.kind()) << 32 | u64::from(answer));
            pass(&mut bench.platform, &mut bench.machine);
            bench.machine.tell(features);
            bench.check(op, features);
        }
        None
    }

    fn describe(&self, input: &[u8]) -> String {
        let ops = ops(input);
        format!("{} accesses\n{}", ops.len(), steps::lines(&ops))
    }
}

fn ops(input: &[u8]) -> Vec<Op> {
    steps::steps(&mut steps::bytes(input, MOST), MAX_OPS)
}

/// A function, by a number that means one: a port below the bridge, or the card behind it.
fn function(of: u8) -> (u8, u8) {
    let slot = 1 + of / 2 % SLOTS;
    if of.is_multiple_of(2) { (slot, 0) } else { (0, slot) }
}

struct Bench {
    platform: Platform,
    machine: Machine,
    /// Vendor and device ID of each card, as the first read of a card that answers has them.
    known: [Option<u32>; SLOTS as usize],
}

impl Bench {
    fn new() -> Self {
        static ONCE: OnceLock<Plan> = OnceLock::new();
        let (platform, _) = steps::platform(&ONCE, "pci_config", PLAN);
        Self { platform, machine: Machine::new(), known: [None; SLOTS as usize] }
    }

    fn read(&mut self, (bus, device): (u8, u8), offset: usize, bytes: usize) -> u32 {
        let mut into = [0; 8];
        self.platform.config_read(bus, device, 0, offset, &mut into[..bytes], &mut self.machine);
        u32::from_le_bytes([into[0], into[1], into[2], into[3]])
    }

    fn write(&mut self, (bus, device): (u8, u8), offset: usize, from: &[u8]) {
        self.platform.config_write(bus, device, 0, offset, from, &mut self.machine);
    }

    fn act(&mut self, op: Op) -> u32 {
        match op {
            Op::Read { of, offset, width } => self.read(function(of), offset.into(), width.bytes()),
            Op::Write { of, offset, width, value } => {
                let value = u64::from(value).to_le_bytes();
                self.write(function(of), offset.into(), &value[..width.bytes()]);
                0
            }
            Op::Port { of, offset, value } => self.by_port(function(of), offset, value),
            Op::Ecam { of, offset, width, value } => {
                let (bus, device) = function(of);
                let at = layout::ECAM_BASE + (u64::from(bus) << 20) + (u64::from(device) << 15);
                let at = at + u64::from(offset % 4096);
                self.platform.mmio_write(at, &value.to_le_bytes()[..width.bytes()], &mut self.machine);
                let mut bytes = [0; 8];
                self.platform.mmio_read(at, &mut bytes[..width.bytes()], &mut self.machine);
                0
            }
            Op::Size { slot, bar } => self.size(1 + slot % SLOTS, usize::from(bar) % BARS),
            Op::Capability { of, which, offset, value } => {
                let list = self.capabilities(function(of));
                let Some(at) = list.get(usize::from(which) % list.len().max(1)) else { return 1 };
                self.write(function(of), at + 2 + usize::from(offset % 24), &value.to_le_bytes());
                2
            }
            Op::Register { slot, offset, value } => {
                let card = (1 + slot % SLOTS, 0);
                let bar = u64::from(self.read(card, spec::BAR0, 4) & !0xf);
                let wide = u64::from(self.read(card, spec::BAR0 + 4, 4));
                for at in [bar, wide << 32 | bar] {
                    self.platform.mmio_write(
                        at.wrapping_add(offset.into()),
                        &value.to_le_bytes(),
                        &mut self.machine,
                    );
                }
                3
            }
            Op::Wait(units) => {
                self.machine.now += u64::from(units) * 64;
                0
            }
        }
    }

    fn by_port(&mut self, (bus, device): (u8, u8), offset: u8, value: u32) -> u32 {
        let address =
            spec::CONFIG_ENABLE | u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(offset & 0xfc);
        self.platform.pio_write(spec::CONFIG_ADDRESS, &address.to_le_bytes(), &mut self.machine);
        self.platform.pio_write(spec::CONFIG_DATA, &value.to_le_bytes(), &mut self.machine);
        let mut bytes = [0; 4];
        self.platform.pio_read(spec::CONFIG_DATA, &mut bytes, &mut self.machine);
        u32::from(offset >> 2)
    }

    /// All ones into a BAR: what is left says its size, a power of two (PCI 3.0, 6.2.5.1). Then what was there goes back.
    fn size(&mut self, slot: u8, bar: usize) -> u32 {
        let at = spec::BAR0 + bar * 4;
        let card = (slot, 0);
        let before = self.read(card, at, 4);
        self.write(card, at, &[0xff; 4]);
        let mask = self.read(card, at, 4);
        let gone = self.read(card, spec::VENDOR_ID, 4) == u32::MAX;
        let upper = bar > 0 && self.read(card, at - 4, 4) & spec::BAR_WIDE != 0;
        if !gone && mask != 0 && !upper {
            let size = (mask & !0xf).wrapping_neg();
            assert!(size == 0 || size.is_power_of_two(), "slot {slot}, BAR {bar} answers {mask:#x}");
            assert!(size >= 16, "slot {slot}, BAR {bar} is {size} bytes large");
        }
        self.write(card, at, &before.to_le_bytes());
        let after = self.read(card, at, 4);
        assert!(
            gone || after == before || after == u32::MAX,
            "slot {slot}, BAR {bar}: {before:#x} became {after:#x}"
        );
        mask.leading_ones() << 8 | mask & 0xf
    }

    /// Offsets of a function's capabilities.
    ///
    /// # Panics
    /// If they are no list that ends.
    fn capabilities(&mut self, function: (u8, u8)) -> Vec<usize> {
        let mut list = Vec::new();
        // A card may go at any of these reads: then the pointer is all ones.
        let mut at = self.read(function, spec::CAPABILITIES, 1);
        while at != 0 && at != 0xff {
            assert!(
                at as usize >= spec::HEADER_END && at.is_multiple_of(4),
                "{function:?}: a capability at {at:#x}"
            );
            list.push(at as usize);
            assert!(list.len() <= MAX_CAPABILITIES, "{function:?}: the capabilities go round: {list:?}");
            at = self.read(function, at as usize + 1, 1);
        }
        list
    }

    /// The slot whose port alone leads to `bus`, as the guest has numbered the buses. Where two ports lead there, nothing is said of what answers.
    fn slot_behind(&mut self, bus: u8) -> Option<u8> {
        let mut behind = None;
        for slot in 1..=SLOTS {
            if self.read((0, slot), spec::SECONDARY_BUS, 1) == u32::from(bus)
                && behind.replace(slot).is_some()
            {
                return None;
            }
        }
        behind
    }

    /// What holds whatever was written to the function that `op` is about.
    fn check(&mut self, op: Op, features: &mut Features) {
        let Some(function) = op.function() else { return };
        let list = self.capabilities(function);
        features.note(0xc0 << 32 | list.len() as u64);
        let id = self.read(function, spec::VENDOR_ID, 4);
        let header = self.read(function, spec::HEADER_TYPE, 1);
        if function.0 == 0 {
            assert!(id != u32::MAX && header & 0x7f == 1, "port {function:?} is {id:#x}, header {header:#x}");
        } else if id != u32::MAX {
            if let Some(slot) = self.slot_behind(function.0) {
                let known = self.known[usize::from(slot) - 1].get_or_insert(id);
                assert_eq!(*known, id, "the card in slot {slot} is another one");
            }
            assert!(header & 0x7f == 0 || header == 0xff, "slot {}: header {header:#x}", function.0);
        }
    }
}

impl Op {
    /// Whom it is about.
    fn function(self) -> Option<(u8, u8)> {
        match self {
            Self::Read { of, .. } | Self::Write { of, .. } | Self::Port { of, .. } => Some(function(of)),
            Self::Ecam { of, .. } | Self::Capability { of, .. } => Some(function(of)),
            Self::Size { slot, .. } | Self::Register { slot, .. } => Some((1 + slot % SLOTS, 0)),
            Self::Wait(_) => None,
        }
    }

    /// What is worth telling apart.
    fn kind(self) -> u32 {
        match self {
            Self::Read { of, offset, .. } => 1 << 16 | u32::from(of % 16) << 8 | u32::from(offset),
            Self::Write { of, offset, .. } => 2 << 16 | u32::from(of % 16) << 8 | u32::from(offset),
            Self::Port { of, .. } => 3 << 16 | u32::from(of % 16),
            Self::Ecam { of, width, .. } => 4 << 16 | u32::from(of % 16) << 8 | width.bytes() as u32,
            Self::Size { slot, bar } => 5 << 16 | u32::from(slot % SLOTS) << 8 | u32::from(bar % 6),
            Self::Capability { of, which, .. } => 6 << 16 | u32::from(of % 16) << 8 | u32::from(which % 8),
            Self::Register { slot, .. } => 7 << 16 | u32::from(slot % SLOTS),
            Self::Wait(_) => 8 << 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_by_its_port_whatever_number_its_bus_has() {
        let (mut bench, mut features) = (Bench::new(), Features::default());
        let mut look = |bench: &mut Bench| {
            for of in [6, 8] {
                bench.check(Op::Read { of, offset: 0, width: Width::Long }, &mut features);
            }
            [4, 5].map(|bus| bench.read((bus, 0), spec::VENDOR_ID, 4))
        };
        let [fourth, fifth] = look(&mut bench);
        for (slot, bus) in [(4, 5), (5, 4)] {
            bench.write((0, slot), spec::SECONDARY_BUS, &[bus, bus]);
        }
        assert_ne!(fourth, fifth);
        assert_eq!(look(&mut bench), [fifth, fourth]);
    }
}
