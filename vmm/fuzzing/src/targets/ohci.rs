//! A FireWire controller whose driver writes anything into its registers, contexts and descriptors, on a bus whose nodes come and go.

use super::machine::{Machine, noise, pass};
use super::steps;
use crate::target::{Features, Target, Trouble};
use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Platform, layout};
use devices::spec::{ohci as spec, pci};
use std::sync::OnceLock;
use vm_memory::{Bytes, GuestAddress};

/// A controller with a disk, a node behind that and a camera; what is plugged in changes under way, and so do the IDs.
const PLAN: &str = "\
plug fw0 ohci slot=1 irq=intx debounce=1us
plug disk1 firewire-disk on=fw0 port=1 size=64K latency=1us
plug node0 firewire-node on=disk1 port=1 latency=1us
plug cam0 firewire-camera on=fw0 port=2
every 3ms unplug disk1
every 3500us replug disk1
every 1700us bus-reset node0
on disk1.fire.send #9 lost-ack disk1
on disk1.fire.receive #9 lost-ack disk1
run for=1s
";
/// Steps of one input.
const MAX_OPS: usize = 256;
/// Bytes of an input.
const MOST: usize = 4096;
/// Where the driver's structures are.
const SELF_IDS: u32 = 0x1000;
const ROM: u32 = 0x2000;
const RECEIVE: [u32; 2] = [0x3000, 0x3400];
const TRANSMIT: [u32; 2] = [0x4000, 0x5000];
const STREAMS: u32 = 0x6000;
const BUFFERS: [u32; 2] = [0x8000, 0xa000];
const DATA: u32 = 0xc000;
/// Buffers of a receive ring, and their bytes.
const RING: u32 = 8;
const BUFFER: u32 = 1024;
/// Packets that a transmit ring has room for, 64 bytes each.
const PACKETS: u32 = 48;
/// Isochronous contexts, receive and transmit.
const STREAM_CONTEXTS: u8 = (spec::RECEIVE_CONTEXTS + spec::TRANSMIT_CONTEXTS) as u8;

/// What the driver does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    /// A packet behind the last of a transmit ring.
    Packet { response: bool, tcode: u8, node: u8, place: Place, length: u16, quadlet: u32, label: u8 },
    /// A descriptor anywhere below the buffers: control and count, data, branch.
    Descriptor { at: u16, control: u16, count: u16, place: Place, branch: u16 },
    /// An isochronous context begins: which, where its descriptors are, how it runs.
    Stream { which: u8, at: u8, z: u8, control: u8, matching: u32 },
    /// A register.
    Register { index: u16, value: u32 },
    /// A register of an asynchronous context.
    Context { which: u8, register: u8, value: u32 },
    /// A register of the PHY.
    Phy { register: u8, value: u8 },
    /// A word of descriptors or buffers.
    Memory { at: u16, value: u32 },
    /// The handler of interrupts, and of bus resets if there was one.
    Handle,
    /// Everything anew.
    Restart,
    /// Bus mastering on or off.
    Master(bool),
    /// Machine time passes, in units of 512 ns.
    Wait(u8),
}

/// Where data are, or an offset in a node.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Place {
    Data(u8),
    /// A register or ROM of a node.
    Csr(u16),
    Anywhere(u64),
}

impl Place {
    fn address(self) -> u64 {
        match self {
            Self::Data(at) => u64::from(DATA) + u64::from(at) * 16,
            Self::Csr(at) => 0xffff_f000_0000 + u64::from(at) * 4,
            Self::Anywhere(at) => at,
        }
    }
}

/// The target.
pub struct Ohci;

impl Target for Ohci {
    fn name(&self) -> &'static str {
        "ohci"
    }

    fn about(&self) -> &'static str {
        "a FireWire controller whose registers, contexts and descriptors hold anything: nothing is written while its link is off"
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

/// The registers of asynchronous context `which` (0, 1: transmit; 2, 3: receive).
fn context(which: u8) -> u64 {
    spec::ASYNC_CONTEXTS + u64::from(which % 4) * spec::ASYNC_STRIDE
}

/// The registers of isochronous context `which`: receive, then transmit.
fn stream(which: u8) -> u64 {
    let which = which % STREAM_CONTEXTS;
    match which.checked_sub(spec::RECEIVE_CONTEXTS as u8) {
        None => spec::RECEIVE_BASE + u64::from(which) * spec::RECEIVE_STRIDE,
        Some(which) => spec::TRANSMIT_BASE + u64::from(which) * spec::TRANSMIT_STRIDE,
    }
}

struct Host {
    platform: Platform,
    machine: Machine,
    bar: u64,
    master: bool,
    /// Packets put into each transmit ring since it was started.
    sent: [u32; 2],
}

impl Host {
    fn new() -> Self {
        static ONCE: OnceLock<Plan> = OnceLock::new();
        let (platform, _) = steps::platform(&ONCE, "ohci", PLAN);
        let bar = layout::APERTURE_BASE + layout::SLOT_APERTURE_BYTES;
        let mut host = Self { platform, machine: Machine::new(), bar, master: false, sent: [0; 2] };
        host.act(Op::Master(true));
        host.restart();
        host
    }

    fn set(&mut self, offset: u64, value: u32) {
        self.platform.mmio_write(self.bar + offset, &value.to_le_bytes(), &mut self.machine);
    }

    fn get(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.platform.mmio_read(self.bar + offset, &mut bytes, &mut self.machine);
        u32::from_le_bytes(bytes)
    }

    /// Beyond the end of memory nothing is written, and nothing needs to be.
    fn poke(&mut self, address: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let _ = self.machine.memory.write_slice(&bytes, GuestAddress(address.into()));
    }

    fn phy(&mut self, register: u8, value: u8) {
        self.set(spec::PHY_CONTROL, spec::PHY_WRITE | u32::from(register & 0xf) << 8 | u32::from(value));
    }

    fn wait(&mut self, time: u64) {
        self.machine.now += time;
        pass(&mut self.platform, &mut self.machine);
    }

    /// What a driver does first (A.2), receive rings, a bus reset.
    fn restart(&mut self) {
        self.poke(SELF_IDS, &[0; ((DATA - SELF_IDS) / 4) as usize]);
        self.set(spec::HC_CONTROL, spec::HC_SOFT_RESET);
        self.set(spec::HC_CONTROL, spec::HC_LPS | spec::HC_POSTED_WRITES);
        self.set(spec::SELF_ID_BUFFER, SELF_IDS);
        let link =
            spec::LINK_SELF_ID | spec::LINK_PHY_PACKETS | spec::LINK_CYCLE_TIMER | spec::LINK_CYCLE_MASTER;
        self.set(spec::LINK_CONTROL, link);
        self.set(spec::AT_RETRIES, 0xfff);
        self.set(spec::CONFIG_ROM_MAP, ROM);
        self.set(spec::ASYNC_FILTER_HI, 1 << 31);
        self.set(spec::PHYSICAL_FILTER_HI, 1 << 31);
        self.set(spec::INT_MASK, !(spec::event::CYCLE_SYNCH | spec::event::CYCLE_LOST));
        self.set(spec::HC_CONTROL, spec::HC_LINK_ENABLE | spec::HC_ROM_VALID);
        for which in 0..2 {
            self.receive(which);
        }
        self.phy(5, 0x40);
        // Reset, IDs, and what nodes say then follow one another.
        (0..4).for_each(|_| self.wait(200_000));
        self.handle();
    }

    /// Receive ring `which`.
    fn receive(&mut self, which: usize) {
        for n in 0..RING {
            let next = RECEIVE[which] + (n + 1) % RING * 16;
            let branch = next | u32::from(n + 1 != RING);
            let words = [0x280c << 16 | BUFFER, BUFFERS[which] + n * BUFFER, branch, BUFFER];
            self.poke(RECEIVE[which] + n * 16, &words);
        }
        let at = context(2 + which as u8);
        self.set(at + spec::CONTEXT_COMMAND, RECEIVE[which] | 1);
        self.set(at + spec::CONTEXT_SET, spec::RUN);
    }

    /// Events are taken; after a bus reset the transmit contexts begin anew.
    fn handle(&mut self) {
        let events = self.get(spec::INT_EVENT);
        if events & (spec::event::BUS_RESET | spec::event::SELF_ID_COMPLETE) != 0 {
            for which in 0..2 {
                self.set(context(which) + spec::CONTEXT_CLEAR, spec::RUN);
                self.sent[usize::from(which)] = 0;
            }
        }
        self.set(spec::INT_EVENT + 4, u32::MAX);
    }

    /// Puts a packet into transmit ring `which`: header, and where its data are.
    fn send(&mut self, which: usize, header: [u32; 4], quadlets: u32, data: Option<(u32, u32)>) {
        let number = self.sent[which];
        let at = TRANSMIT[which] + number % PACKETS * 64;
        let bytes = quadlets * 4;
        let (z, first) = if data.is_some() { (3, 0x0200) } else { (2, 0x123c) };
        self.poke(at, &[first << 16 | bytes, 0, 0, 0]);
        self.poke(at + 16, &header);
        if let Some((address, length)) = data {
            self.poke(at + 32, &[0x103c << 16 | length, address, 0, 0]);
        }
        let registers = context(which as u8);
        if number == 0 {
            self.set(registers + spec::CONTEXT_COMMAND, at | z);
            self.set(registers + spec::CONTEXT_SET, spec::RUN);
        } else {
            let before = TRANSMIT[which] + (number - 1) % PACKETS * 64;
            let mut word = [0; 4];
            // Below the end of memory.
            let _ = self.machine.memory.read_slice(&mut word, GuestAddress(before.into()));
            let last = if u32::from_le_bytes(word) >> 28 == 1 { before } else { before + 32 };
            self.poke(last + 8, &[at | z]);
            self.set(registers + spec::CONTEXT_SET, spec::WAKE);
        }
        self.sent[which] = number.wrapping_add(1).max(1);
    }

    fn packet(&mut self, op: Op) {
        let Op::Packet { response, tcode, node, place, length, quadlet, label } = op else { return };
        let tcode = u32::from(tcode & 0xf);
        let offset = place.address();
        let length = u32::from(length % 2048);
        let target = (0xffc0 | u32::from(node % 6)) << 16 | (offset >> 32) as u32 & 0xffff;
        let with_data = matches!(tcode, 1 | 7 | 9 | 0xb);
        let fourth = if with_data || tcode == 5 { length << 16 | quadlet & 0xff } else { quadlet };
        let header = [2 << 16 | u32::from(label) << 10 | 1 << 8 | tcode << 4, target, offset as u32, fourth];
        let quadlets = if tcode == 4 { 3 } else { 4 };
        self.send(usize::from(response), header, quadlets, with_data.then_some((DATA, length)));
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Packet { .. } => self.packet(op),
            Op::Descriptor { at, control, count, place, branch } => {
                let at = (RECEIVE[0] + u32::from(at) % (BUFFERS[0] - RECEIVE[0])) & !0xf;
                let words =
                    [u32::from(control) << 16 | u32::from(count), place.address() as u32, branch.into(), 0];
                self.poke(at, &words);
            }
            Op::Stream { which, at, z, control, matching } => {
                let registers = stream(which);
                self.set(registers + spec::CONTEXT_CLEAR, u32::MAX);
                self.set(
                    registers + spec::CONTEXT_COMMAND,
                    (STREAMS + u32::from(at) * 16) | u32::from(z & 0xf),
                );
                if usize::from(which % STREAM_CONTEXTS) < spec::RECEIVE_CONTEXTS {
                    self.set(registers + spec::CONTEXT_MATCH, matching);
                }
                self.set(registers + spec::CONTEXT_SET, spec::RUN | u32::from(control) << 24);
            }
            Op::Register { index, value } => {
                self.set(u64::from(index) * 4 % spec::BAR_BYTES, value);
            }
            Op::Context { which, register, value } => {
                self.set(context(which) + u64::from(register % 8) * 4, value);
            }
            Op::Phy { register, value } => self.phy(register, value),
            Op::Memory { at, value } => self.poke(u32::from(at) & !3, &[value]),
            Op::Handle => self.handle(),
            Op::Restart => self.restart(),
            Op::Master(on) => {
                self.master = on;
                let command = pci::COMMAND_MEMORY | if on { pci::COMMAND_MASTER } else { 0 };
                let bytes = command.to_le_bytes();
                self.platform.config_write(1, 0, 0, pci::COMMAND, &bytes, &mut self.machine);
            }
            Op::Wait(units) => self.machine.now += u64::from(units) * 512,
        }
    }

    fn link(&mut self) -> bool {
        self.get(spec::HC_CONTROL) & spec::HC_LINK_ENABLE != 0
    }

    /// One step, and what holds after it.
    fn step(&mut self, op: Op, features: &mut Features) {
        let before = (self.master, self.link());
        self.machine.written.clear();
        self.act(op);
        pass(&mut self.platform, &mut self.machine);
        let after = (self.master, self.link());
        let written = &self.machine.written;
        let restarts = matches!(op, Op::Restart | Op::Register { .. });
        assert!(before.0 || after.0 || written.is_empty(), "no bus master, and wrote {written:x?}");
        assert!(
            before.1 || after.1 || restarts || written.is_empty(),
            "the link is off, and wrote {written:x?}"
        );
        let count = written.len().min(7) as u64;
        let events = self.get(spec::INT_EVENT);
        features.note(op.kind() << 32 | u64::from(events & spec::event::STORED) << 3 | count);
        self.machine.tell(features);
    }
}

impl Op {
    /// What is worth telling apart.
    fn kind(self) -> u64 {
        match self {
            Self::Packet { response, tcode, node, .. } => {
                1 << 12 | u64::from(response) << 8 | u64::from(tcode & 0xf) << 4 | u64::from(node % 6)
            }
            Self::Descriptor { control, .. } => 2 << 12 | u64::from(control >> 8),
            Self::Stream { which, .. } => 3 << 12 | u64::from(which % STREAM_CONTEXTS),
            Self::Register { index, .. } => (4 << 12) | (u64::from(index) % (spec::BAR_BYTES / 4)),
            Self::Context { which, register, .. } => {
                5 << 12 | u64::from(which % 4) << 4 | u64::from(register % 8)
            }
            Self::Phy { register, .. } => 6 << 12 | u64::from(register & 0xf),
            Self::Memory { at, .. } => 7 << 12 | u64::from(at >> 12),
            Self::Handle => 8 << 12,
            Self::Restart => 9 << 12,
            Self::Master(on) => 10 << 12 | u64::from(on),
            Self::Wait(_) => 11 << 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The disk, the node behind it and the camera have told their IDs, and the disk answers.
    #[test]
    fn the_bus_is_up_before_the_first_step() {
        let mut host = Host::new();
        let node = host.get(spec::NODE_ID);
        assert!(node & spec::NODE_VALID != 0, "{node:#x}");
        let packets = (host.get(spec::SELF_ID_COUNT) & 0x7fc) / 8;
        assert_eq!(packets, 4);
        let mut features = Features::default();
        for node in 0..4 {
            let place = Place::Csr(0x100);
            let op =
                Op::Packet { response: false, tcode: 4, node, place, length: 0, quadlet: 0, label: node };
            host.step(op, &mut features);
            host.wait(50_000);
        }
        let events = host.get(spec::INT_EVENT);
        assert!(events & spec::event::RESPONSE_PACKET != 0, "{events:#x}");
    }

    #[test]
    fn long_inputs_are_borne() {
        for input in noise(&[3000; 60]) {
            assert_eq!(Ohci.run(&input, &mut Features::default()), None, "{}", Ohci.describe(&input));
        }
    }
}
