//! A PHY: its registers (1394a-2000, 5B.1), its ports and its self-ID packets (4.3.4.1).

use crate::spec::ieee1394::{GAP_DEFAULT, PORTS, S400, phy as reg, phy_packet as pp};

/// What a port is, as self-ID packets tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortState {
    /// Nothing is connected.
    #[default]
    Disconnected,
    /// The peer is nearer to the root.
    Parent,
    /// The peer is further from the root.
    Child,
}

/// A port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Port {
    /// Who is at the other end of the cable: (node, port).
    pub peer: Option<(usize, u8)>,
    /// What tree identification made of it.
    pub state: PortState,
    /// Software disabled it.
    pub disabled: bool,
}

/// A bus reset, as who begins it wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// At once, long enough for every node to notice.
    Long,
    /// Arbitrated for first, and short.
    Short,
}

/// What a PHY is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhyFacts {
    /// Ports, 1–16.
    pub ports: u8,
    /// Fastest speed code.
    pub speed: u8,
    /// Power class, 0–7 (1394a-2000, table 4-29).
    pub power: u8,
    /// A candidate for isochronous resource manager.
    pub contender: bool,
}

impl Default for PhyFacts {
    fn default() -> Self {
        Self { ports: 1, speed: S400, power: 4, contender: false }
    }
}

/// A PHY.
#[derive(Clone, Debug)]
pub struct Phy {
    facts: PhyFacts,
    /// Ports.
    pub ports: Vec<Port>,
    /// Physical ID after the last self-identification.
    pub id: u8,
    /// Root of the tree.
    pub root: bool,
    /// Wants to be root with the next reset.
    pub hold_off: bool,
    /// Gap count.
    pub gap: u8,
    /// The gap count was set for the next reset, which leaves it.
    pub gap_kept: bool,
    /// The link above has power.
    pub powered: bool,
    /// Began the last reset.
    pub initiated: bool,
    link: u8,
    events: u8,
    page: u8,
}

impl Phy {
    /// A PHY at power-on, with nothing connected.
    pub fn new(facts: PhyFacts) -> Self {
        let ports = usize::from(facts.ports.max(1)).min(PORTS);
        let contender = if facts.contender { reg::LINK_CONTENDER } else { 0 };
        Self {
            facts,
            ports: vec![Port::default(); ports],
            id: 0,
            root: false,
            hold_off: false,
            gap: GAP_DEFAULT,
            gap_kept: false,
            powered: true,
            initiated: false,
            link: reg::LINK_ACTIVE | contender | facts.power & reg::LINK_POWER,
            events: 0,
            page: 0,
        }
    }

    /// Back to power-on; cables stay in.
    pub fn power_on(&mut self) {
        let peers: Vec<_> = self.ports.iter().map(|port| port.peer).collect();
        *self = Self::new(self.facts);
        for (port, peer) in self.ports.iter_mut().zip(peers) {
            port.peer = peer;
        }
    }

    /// Fastest speed code.
    pub fn speed(&self) -> u8 {
        self.facts.speed
    }

    /// True if the self-ID packet says that there is a link that listens.
    pub fn link_active(&self) -> bool {
        self.powered && self.link & reg::LINK_ACTIVE != 0
    }

    /// Notes an event of register 5.
    pub fn note(&mut self, event: u8) {
        self.events |= event;
    }

    /// Reads register `register` (0–15) as the link does.
    pub fn read(&self, register: u8) -> u8 {
        match register {
            reg::ID => self.id << 2 | if self.root { reg::ID_ROOT } else { 0 } | reg::ID_POWER,
            reg::RESET => (if self.hold_off { reg::RESET_HOLD_OFF } else { 0 }) | self.gap,
            reg::PORTS => reg::PORTS_EXTENDED | self.ports.len() as u8,
            reg::SPEED => self.facts.speed << 5,
            reg::LINK => self.link,
            reg::EVENTS => self.events,
            reg::PAGE => self.page,
            8..=15 => self.read_page(register),
            _ => 0,
        }
    }

    fn read_page(&self, register: u8) -> u8 {
        match (self.page >> 5, register) {
            (0, 8) => self.port_status(),
            (0, 9) => self
                .ports
                .get(self.port())
                .map_or(0, |port| if port.peer.is_some() { self.facts.speed << 5 } else { 0 }),
            // Compliance level: 1394a. Vendor and product: the project has no IDs of its own.
            (1, 8) => 1,
            _ => 0,
        }
    }

    fn port(&self) -> usize {
        (self.page & 0xf).into()
    }

    fn port_status(&self) -> u8 {
        let Some(port) = self.ports.get(self.port()) else { return 0 };
        let connected = if port.peer.is_some() { reg::PORT_CONNECTED | reg::PORT_BIAS } else { 0 };
        let child = if port.state == PortState::Child { reg::PORT_CHILD } else { 0 };
        connected | child | if port.disabled { reg::PORT_DISABLED } else { 0 }
    }

    /// Writes register `register`; tells which reset software asks for.
    pub fn write(&mut self, register: u8, value: u8) -> Option<Reset> {
        match register {
            reg::RESET => {
                self.hold_off = value & reg::RESET_HOLD_OFF != 0;
                self.set_gap(value & reg::RESET_GAP);
                return (value & reg::RESET_LONG != 0).then_some(Reset::Long);
            }
            reg::LINK => {
                let writable = reg::LINK_ACTIVE | reg::LINK_CONTENDER | reg::LINK_POWER;
                self.link = value & writable;
            }
            reg::EVENTS => {
                self.events &= !(value & reg::EVENTS_CLEAR | reg::EVENTS_WRITABLE);
                self.events |= value & reg::EVENTS_WRITABLE;
                return (value & reg::EVENTS_SHORT_RESET != 0).then_some(Reset::Short);
            }
            reg::PAGE => self.page = value & 0xef,
            8 if self.page >> 5 == 0 => return self.write_port(value),
            _ => {}
        }
        None
    }

    /// A port that is disabled is gone for the bus; a reset tells everybody.
    fn write_port(&mut self, value: u8) -> Option<Reset> {
        let index = self.port();
        let port = self.ports.get_mut(index)?;
        let disabled = value & reg::PORT_DISABLED != 0;
        let changed = std::mem::replace(&mut port.disabled, disabled) != disabled;
        (changed && port.peer.is_some()).then_some(Reset::Long)
    }

    /// Takes a gap count, for the next reset too.
    pub fn set_gap(&mut self, gap: u8) {
        self.gap = gap & reg::RESET_GAP;
        self.gap_kept = true;
    }

    /// A bus reset begins: a gap count that nobody set for it is lost (1394a-2000, 4.3.4.3).
    pub fn reset(&mut self, initiated: bool) {
        if !std::mem::take(&mut self.gap_kept) {
            self.gap = GAP_DEFAULT;
        }
        self.initiated = initiated;
        self.root = false;
        self.ports.iter_mut().for_each(|port| port.state = PortState::Disconnected);
    }

    /// A configuration packet was seen on the bus (1394a-2000, 4.3.4.3).
    pub fn configure(&mut self, packet: u32) {
        if packet & pp::CONFIG_ROOT != 0 {
            self.hold_off = packet >> pp::ID_SHIFT & 0x3f == u32::from(self.id);
        }
        if packet & pp::CONFIG_GAP != 0 {
            self.set_gap((packet >> pp::GAP_SHIFT) as u8 & 0x3f);
        }
    }

    /// The self-ID packets, one quadlet each: the first, and as many more as the ports need.
    pub fn self_id(&self) -> Vec<u32> {
        let head = pp::KIND_SELF_ID << pp::KIND_SHIFT | u32::from(self.id) << pp::ID_SHIFT;
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let mut packets = vec![
            head | flag(self.link_active(), pp::SELF_LINK)
                | u32::from(self.gap) << pp::GAP_SHIFT
                | u32::from(self.facts.speed) << pp::SELF_SPEED_SHIFT
                | flag(self.link & reg::LINK_CONTENDER != 0, pp::SELF_CONTENDER)
                | u32::from(self.link & reg::LINK_POWER) << pp::SELF_POWER_SHIFT
                | self.port_bits(0, 3, 6)
                | flag(self.initiated, pp::SELF_INITIATED),
        ];
        for (number, first) in (3..self.ports.len()).step_by(8).enumerate() {
            if let Some(before) = packets.last_mut() {
                *before |= pp::SELF_MORE;
            }
            let number = (number as u32) << pp::SELF_NUMBER_SHIFT;
            packets.push(head | pp::SELF_EXTENDED | number | self.port_bits(first, 8, 16));
        }
        packets
    }

    /// `count` ports from `first`, two bits each, the first at bit `top`.
    fn port_bits(&self, first: usize, count: usize, top: usize) -> u32 {
        let code = |port: Option<&Port>| match port.map(|port| port.state) {
            None => 0,
            Some(PortState::Disconnected) => 1,
            Some(PortState::Parent) => 2,
            Some(PortState::Child) => 3,
        };
        (0..count).map(|n| code(self.ports.get(first + n)) << (top - 2 * n)).sum()
    }
}
