//! A USB controller whose driver writes anything into its rings and contexts, and whose devices come and go.

use super::machine::{MEMORY, Machine, noise, pass};
use super::steps;
use crate::target::{Features, Target, Trouble};
use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Platform, layout};
use devices::spec::{pci, xhci as spec};
use std::sync::OnceLock;
use vm_memory::{Bytes, GuestAddress};

/// A controller with a stick, and a hub with a keyboard; what is plugged in changes under way.
const PLAN: &str = "\
plug usb0 xhci slot=1 reset=10us latency=1us irq=intx
plug stick0 usb-storage on=usb0 port=1 size=64K latency=1us
plug hub0 usb-hub on=usb0 port=2 reset=10us
plug kb0 usb-keyboard on=hub0 port=1 period=5us
every 300us unplug stick0
every 350us replug stick0
on stick0.usb.in #9 usb-stall stick0
on stick0.usb.out #9 usb-error stick0
every 170us overcurrent hub0 port=1 for=10us
run for=1s
";
/// Steps of one input.
const MAX_OPS: usize = 256;
/// Bytes of an input.
const MOST: usize = 4096;
/// Where the driver's structures are.
const CONTEXTS: u64 = 0x1000;
const COMMANDS: u64 = 0x1400;
const TABLE: u64 = 0x1c00;
const EVENTS: u64 = 0x2000;
const INPUT: u64 = 0x3000;
const DEVICE: u64 = 0x4000;
const RINGS: u64 = 0x8000;
const DATA: u64 = 0xc000;
/// TRBs of a transfer ring, and of the command ring.
const TRBS: u64 = 64;
/// Endpoints of the stick's slot that have rings.
const PIPES: u64 = 5;

/// What the driver does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    /// A TRB behind the last of a ring: 0 = that of commands.
    Trb { ring: u8, kind: u8, place: Place, length: u16, flags: u16 },
    /// A doorbell.
    Ring { slot: u8, target: u8 },
    /// An operational or runtime register.
    Register { runtime: bool, index: u8, value: u32 },
    /// A port's status register.
    Port { port: u8, value: u32 },
    /// A word of contexts or rings.
    Memory { at: u16, value: u32 },
    /// The handler of events is done with all that is there.
    Acknowledge { place: u8 },
    /// Everything anew.
    Restart,
    /// Bus mastering on or off.
    Master(bool),
    /// Machine time passes, in units of 256 ns.
    Wait(u8),
}

/// Where a TRB points.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Place {
    Data(u8),
    Input,
    Ring(u8),
    Anywhere(u64),
}

impl Place {
    fn address(self) -> u64 {
        match self {
            Self::Data(at) => DATA + u64::from(at) * 16,
            Self::Input => INPUT,
            Self::Ring(ring) => ring_base(ring),
            Self::Anywhere(at) => at,
        }
    }
}

fn ring_base(ring: u8) -> u64 {
    match u64::from(ring) % (PIPES + 1) {
        0 => COMMANDS,
        pipe => RINGS + pipe * TRBS * 16,
    }
}

/// The target.
pub struct Xhci;

impl Target for Xhci {
    fn name(&self) -> &'static str {
        "xhci"
    }

    fn about(&self) -> &'static str {
        "a USB controller whose rings and contexts hold anything: its work is bounded, and nothing is written while it is halted"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        noise(&[64, 512, 2048])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let mut host = Host::new();
        for op in script(input) {
            host.step(op, features);
        }
        None
    }

    fn describe(&self, input: &[u8]) -> String {
        format!("slot 1\n{}", steps::lines(&script(input)))
    }
}

fn script(input: &[u8]) -> Vec<Op> {
    steps::steps(&mut steps::bytes(input, MOST), MAX_OPS)
}

struct Host {
    platform: Platform,
    machine: Machine,
    bar: u64,
    /// TRBs put on each ring.
    put: [u64; PIPES as usize + 1],
}

impl Host {
    fn new() -> Self {
        static ONCE: OnceLock<Plan> = OnceLock::new();
        let (platform, _) = steps::platform(&ONCE, "xhci", PLAN);
        let bar = layout::APERTURE_BASE + layout::SLOT_APERTURE_BYTES;
        let put = [0; PIPES as usize + 1];
        let mut host = Self { platform, machine: Machine::new(), bar, put };
        host.act(Op::Master(true));
        host.restart();
        host.bring_up();
        host
    }

    fn set(&mut self, offset: u64, value: u64) {
        let bytes = value.to_le_bytes();
        self.platform.mmio_write(self.bar + offset, &bytes[..4], &mut self.machine);
        if value >> 32 != 0 || offset.is_multiple_of(8) && offset >= spec::RUNTIME {
            self.platform.mmio_write(self.bar + offset + 4, &bytes[4..], &mut self.machine);
        }
    }

    fn status(&mut self) -> u32 {
        let mut bytes = [0; 4];
        let address = self.bar + spec::OPERATIONAL + spec::USBSTS;
        self.platform.mmio_read(address, &mut bytes, &mut self.machine);
        u32::from_le_bytes(bytes)
    }

    /// Beyond the end of memory nothing is written, and nothing needs to be.
    fn poke(&mut self, address: u64, bytes: &[u8]) {
        let _ = self.machine.memory.write_slice(bytes, GuestAddress(address));
    }

    fn trb(&mut self, ring: u8, parameter: u64, status: u32, control: u32) {
        let (base, ring) = (ring_base(ring), usize::from(ring) % self.put.len());
        let at = self.put[ring] % (TRBS - 1);
        let cycle = 1 ^ ((self.put[ring] / (TRBS - 1)) & 1) as u32;
        self.put[ring] += 1;
        let bytes = |parameter: u64, status: u32, control: u32| {
            let mut bytes = parameter.to_le_bytes().to_vec();
            bytes.extend(status.to_le_bytes());
            bytes.extend(control.to_le_bytes());
            bytes
        };
        if at == 0 {
            // The link goes to the controller with the round that it ends.
            let link = spec::LINK << spec::TRB_TYPE_SHIFT | spec::TRB_TOGGLE | cycle;
            self.poke(base + (TRBS - 1) * 16, &bytes(base, 0, link));
        }
        self.poke(base + at * 16, &bytes(parameter, status, control & !1 | cycle));
    }

    /// Registers, rings and the event ring as a driver sets them up.
    fn restart(&mut self) {
        self.poke(CONTEXTS, &[0; (DATA - CONTEXTS) as usize]);
        self.put = [0; PIPES as usize + 1];
        self.poke(CONTEXTS + 8, &DEVICE.to_le_bytes());
        self.poke(TABLE, &EVENTS.to_le_bytes());
        self.poke(TABLE + 8, &64_u32.to_le_bytes());
        let (operational, runtime) = (spec::OPERATIONAL, spec::RUNTIME + spec::INTERRUPTERS);
        self.set(operational + spec::USBCMD, spec::CMD_RESET.into());
        self.set(operational + spec::CONFIG, 4);
        self.set(operational + spec::DCBAAP, CONTEXTS);
        self.set(operational + spec::CRCR, COMMANDS | 1);
        self.set(runtime + spec::ERSTSZ, 1);
        self.set(runtime + spec::ERDP, EVENTS);
        self.set(runtime + spec::ERSTBA, TABLE);
        self.set(runtime + spec::IMAN, spec::IMAN_IE.into());
        self.set(operational + spec::USBCMD, (spec::CMD_RUN | spec::CMD_INTE).into());
    }

    /// The stick has an address, a configuration, and its endpoints.
    fn bring_up(&mut self) {
        self.act(Op::Port { port: 0, value: spec::PORT_PP | spec::PORT_PR });
        self.wait(20_000);
        self.poke(INPUT, &[0; 0x400]);
        let slot = 5 << 27 | spec::SPEED_HIGH << 20;
        let mut words = vec![(0x04, 0x3b_u32), (0x20, slot), (0x24, 1 << 16)];
        for (pipe, kind, packet) in [(1_u32, 4_u32, 64_u32), (3, 6, 512), (4, 2, 512), (5, 7, 8)] {
            let at = 0x20 * (pipe + 1);
            let base = ring_base(pipe as u8) as u32;
            words.extend([(at + 4, packet << 16 | kind << 3), (at + 8, base | 1)]);
        }
        for (at, value) in words {
            self.poke(INPUT + u64::from(at), &value.to_le_bytes());
        }
        self.poke(INPUT + 4, &3_u32.to_le_bytes());
        self.command(spec::ENABLE_SLOT, 0);
        self.command(spec::ADDRESS_DEVICE, 1 << 24);
        self.poke(INPUT + 4, &0x39_u32.to_le_bytes());
        self.command(spec::CONFIGURE_ENDPOINT, 1 << 24);
        // SET_CONFIGURATION 1.
        self.trb(1, 0x0001_0900, 8, spec::SETUP << spec::TRB_TYPE_SHIFT | spec::TRB_IDT);
        self.trb(1, 0, 0, spec::STATUS << spec::TRB_TYPE_SHIFT | spec::TRB_DIRECTION | spec::TRB_IOC);
        self.act(Op::Ring { slot: 1, target: 1 });
        self.wait(20_000);
    }

    fn command(&mut self, kind: u32, extra: u32) {
        self.trb(0, INPUT, 0, kind << spec::TRB_TYPE_SHIFT | extra);
        self.act(Op::Ring { slot: 0, target: 0 });
        self.wait(10_000);
    }

    fn wait(&mut self, time: u64) {
        self.machine.now += time;
        pass(&mut self.platform, &mut self.machine);
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Trb { ring, kind, place, length, flags } => {
                let control = u32::from(kind % 40) << spec::TRB_TYPE_SHIFT | u32::from(flags) & 0x3ff;
                // For a command: the stick's slot, and one of its endpoints.
                let names = 1 << 24 | u32::from(flags >> 10 & 7) << 16;
                let extra = if ring % (PIPES as u8 + 1) == 0 { names } else { u32::from(flags >> 15) << 16 };
                self.trb(ring, place.address(), length.into(), control | extra);
            }
            Op::Ring { slot, target } => {
                self.set(spec::DOORBELLS + u64::from(slot % 3) * 4, u64::from(target % 8));
            }
            Op::Register { runtime: false, index, value } => {
                self.set(spec::OPERATIONAL + u64::from(index % 16) * 4, value.into());
            }
            Op::Register { runtime: true, index, value } => {
                self.set(spec::RUNTIME + u64::from(index % 24) * 4, value.into());
            }
            Op::Port { port, value } => {
                let at = spec::PORTS + u64::from(port % 9) * spec::PORT_BYTES;
                self.set(spec::OPERATIONAL + at, value.into());
            }
            Op::Memory { at, value } => self.poke(CONTEXTS + u64::from(at), &value.to_le_bytes()),
            Op::Acknowledge { place } => {
                let dequeue = (EVENTS + u64::from(place % 64) * 16) | spec::ERDP_EHB;
                self.set(spec::RUNTIME + spec::INTERRUPTERS + spec::ERDP, dequeue);
            }
            Op::Restart => self.restart(),
            Op::Master(on) => {
                let command = pci::COMMAND_MEMORY | if on { pci::COMMAND_MASTER } else { 0 };
                let bytes = command.to_le_bytes();
                self.platform.config_write(1, 0, 0, pci::COMMAND, &bytes, &mut self.machine);
            }
            Op::Wait(units) => self.machine.now += u64::from(units) * 256,
        }
    }

    /// One step, and what holds after it.
    fn step(&mut self, op: Op, features: &mut Features) {
        let before = self.status();
        self.machine.written.clear();
        self.act(op);
        pass(&mut self.platform, &mut self.machine);
        let after = self.status();
        for &(address, bytes) in &self.machine.written {
            // A piece of data that lies beyond memory was refused, and told.
            let end = address.checked_add(bytes as u64);
            let inside = end.is_some_and(|end| end <= MEMORY as u64);
            assert!(inside || after & spec::STS_HSE != 0, "DMA of {bytes} bytes at {address:#x}");
        }
        let starts = matches!(op, Op::Restart | Op::Register { runtime: false, .. });
        let halted = before & after & spec::STS_HALTED != 0 && !starts;
        assert!(!halted || self.machine.written.is_empty(), "halted, and wrote {:x?}", self.machine.written);
        let written = self.machine.written.len().min(7) as u64;
        features.note(op.kind() << 16 | u64::from(after & 0xff) << 4 | written);
        self.machine.tell(features);
    }
}

impl Op {
    /// What is worth telling apart.
    fn kind(self) -> u64 {
        match self {
            Self::Trb { ring, kind, .. } => {
                1 << 12 | (u64::from(ring) % (PIPES + 1)) << 8 | u64::from(kind % 40)
            }
            Self::Ring { slot, target } => 2 << 12 | u64::from(slot % 3) << 4 | u64::from(target % 8),
            Self::Register { runtime, index, .. } => {
                3 << 12 | u64::from(runtime) << 8 | u64::from(index % 24)
            }
            Self::Port { port, .. } => 4 << 12 | u64::from(port % 9),
            Self::Memory { at, .. } => 5 << 12 | u64::from(at >> 12),
            Self::Acknowledge { .. } => 6 << 12,
            Self::Restart => 7 << 12,
            Self::Master(on) => 8 << 12 | u64::from(on),
            Self::Wait(_) => 9 << 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stick_is_up_before_the_first_step() {
        let host = Host::new();
        let mut word = [0; 4];
        let state = GuestAddress(DEVICE + 12);
        host.machine.memory.read_slice(&mut word, state).expect("memory");
        assert_eq!(u32::from_le_bytes(word) >> 27, spec::SLOT_CONFIGURED);
    }

    #[test]
    fn long_inputs_are_borne() {
        for input in noise(&[3000; 60]) {
            assert_eq!(Xhci.run(&input, &mut Features::default()), None, "{}", Xhci.describe(&input));
        }
    }
}
