//! The bus: nodes, cables, resets. What travels on it is in [`super::traffic`].

use super::node::{Link, Node};
use super::packet::Packet;
use super::phy::{Phy, PhyFacts, Port, Reset};
use super::queue::{Happening, Queue};
use super::station::{Orders, Station};
use super::topology;
use crate::spec::ieee1394::{self as spec, phy as reg};
use thiserror::Error;

/// The controller's place among the nodes.
pub const HOST: usize = 0;

/// Why a node cannot be put on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AttachError {
    /// No such node.
    #[error("there is no such node")]
    NoNode,
    /// The port does not exist, or has a cable.
    #[error("the port does not exist or is taken")]
    NoPort,
    /// A bus has 63 nodes at the most.
    #[error("a bus has at most 63 nodes")]
    Full,
}

/// Where a node's cable to the controller leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    parent: usize,
    port: u8,
    /// The cable is in, whether the bus has taken notice or not.
    cabled: bool,
    /// Which pull or plug was the last.
    serial: u64,
}

/// What the bus has for the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A bus reset began.
    Reset,
    /// The bus has IDs again: the self-ID packets.
    SelfId(Vec<u32>),
    /// A packet for the controller, which must say [`Bus::acknowledge`].
    Packet(Delivery),
}

/// A packet that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The sender.
    pub from: usize,
    /// The packet.
    pub packet: Packet,
    /// How often it was sent before.
    pub tries: u8,
}

/// A node with its place.
pub struct Cabled {
    /// The node that its cable leads to, by its place in the list; `None` = the controller.
    pub parent: Option<usize>,
    /// The port there, from 1. (A node's own cable is on a port that does not count.)
    pub port: u8,
    /// The cable is in.
    pub attached: bool,
    /// The node.
    pub node: Box<dyn Node>,
}

/// The bus.
pub struct Bus {
    pub(super) phys: Vec<Phy>,
    /// Node n is station n - 1: the controller has none.
    pub(super) stations: Vec<Station>,
    homes: Vec<Home>,
    /// Nodes by physical ID, those that the controller sees.
    pub(super) order: Vec<usize>,
    pub(super) queue: Queue,
    /// A reset is under way: no packet goes.
    pub(super) resetting: bool,
    pub(super) generation: u32,
    pub(super) lost_acks: u32,
    /// Nanoseconds that a cable must be in until the bus takes notice.
    debounce: u64,
}

impl Bus {
    /// A bus with the controller's PHY on it. `debounce`: nanoseconds from a cable that is put in to the bus reset.
    pub fn new(host: PhyFacts, debounce: u64) -> Self {
        let mut bus = Self {
            phys: vec![Phy::new(host)],
            stations: Vec::new(),
            homes: Vec::new(),
            order: Vec::new(),
            queue: Queue::default(),
            resetting: false,
            generation: 0,
            lost_acks: 0,
            debounce,
        };
        bus.phys[HOST].powered = false;
        bus.identify();
        bus
    }

    /// A bus with these nodes; node n of the list is number n + 1 here.
    ///
    /// # Errors
    /// A place does not exist, is taken, or there are too many nodes.
    pub fn with_nodes(host: PhyFacts, debounce: u64, nodes: Vec<Cabled>) -> Result<Self, AttachError> {
        if nodes.len() >= spec::NODES {
            return Err(AttachError::Full);
        }
        let mut bus = Self::new(host, debounce);
        for Cabled { parent, port, attached, node } in nodes {
            // The controller's ports count from zero, and of a node port zero is that of its own cable.
            let parent = parent.map_or(HOST, |parent| parent + 1);
            let port = if parent == HOST { port.wrapping_sub(1) } else { port };
            if bus.homes.iter().any(|home| (home.parent, home.port) == (parent, port)) {
                return Err(AttachError::NoPort);
            }
            let station = Station::new(node);
            bus.phys.push(Phy::new(station.facts.phy));
            bus.stations.push(station);
            bus.homes.push(Home { parent, port, cabled: attached, serial: 0 });
        }
        for home in &bus.homes {
            let ports = bus.phys.get(home.parent).ok_or(AttachError::NoNode)?.ports.len();
            if usize::from(home.port) >= ports {
                return Err(AttachError::NoPort);
            }
        }
        bus.power_on();
        Ok(bus)
    }

    /// Puts a node on the bus, with a cable from its first free port to `port` of node `parent` (none: the first that is free). Before the
    /// machine starts; `absent`: the cable is not in. The node's number.
    ///
    /// # Errors
    /// There is no such place.
    pub fn attach(
        &mut self,
        node: Box<dyn Node>,
        parent: usize,
        port: Option<u8>,
        absent: bool,
    ) -> Result<usize, AttachError> {
        if self.phys.len() >= spec::NODES {
            return Err(AttachError::Full);
        }
        let taken = |n: u8| {
            n == 0 && parent != HOST || self.homes.iter().any(|home| home.parent == parent && home.port == n)
        };
        let ports = self.phys.get(parent).ok_or(AttachError::NoNode)?.ports.len() as u8;
        let port = match port {
            Some(port) => (port < ports && !taken(port)).then_some(port),
            None => (0..ports).find(|&port| !taken(port)),
        };
        let port = port.ok_or(AttachError::NoPort)?;
        let station = Station::new(node);
        self.phys.push(Phy::new(station.facts.phy));
        self.stations.push(station);
        self.homes.push(Home { parent, port, cabled: !absent, serial: 0 });
        let index = self.phys.len() - 1;
        if !absent {
            self.connect(index);
        }
        self.identify();
        Ok(index)
    }

    /// Everything back to power-on; cables stay as they are.
    pub fn power_on(&mut self) {
        self.queue.clear();
        self.phys.iter_mut().for_each(Phy::power_on);
        self.phys.iter_mut().flat_map(|phy| &mut phy.ports).for_each(|port| port.peer = None);
        self.stations.iter_mut().for_each(Station::power_on);
        for node in 1..self.phys.len() {
            self.homes[node - 1].serial += 1;
            if self.homes[node - 1].cabled {
                self.connect(node);
            }
        }
        self.phys[HOST].powered = false;
        self.resetting = false;
        self.lost_acks = 0;
        self.identify();
    }

    /// Nodes, the controller included.
    pub fn nodes(&self) -> usize {
        self.phys.len()
    }

    /// The controller's PHY.
    pub fn host_phy(&mut self) -> &mut Phy {
        &mut self.phys[HOST]
    }

    /// True if the controller is root, and no reset is under way.
    pub fn host_is_root(&self) -> bool {
        !self.resetting && self.order.last() == Some(&HOST)
    }

    /// The physical ID of a node that the controller sees.
    pub fn id(&self, node: usize) -> Option<u8> {
        self.order.iter().position(|&other| other == node).map(|id| id as u8)
    }

    /// Puts the node's cable in; the bus takes notice a little later.
    pub fn plug(&mut self, node: usize, now: u64) {
        let Some(home) = self.home(node) else { return };
        home.serial += 1;
        home.cabled = true;
        let serial = home.serial;
        self.queue.push(now.saturating_add(self.debounce.max(1)), Happening::Connect { node, serial });
    }

    /// Pulls the node's cable, and so everything behind it.
    pub fn pull(&mut self, node: usize, now: u64) {
        let Some(home) = self.home(node) else { return };
        home.serial += 1;
        home.cabled = false;
        let (parent, port) = (home.parent, usize::from(home.port));
        let joined = self.phys[node].ports[0].peer.is_some();
        self.phys[node].ports[0].peer = None;
        self.phys[parent].ports[port].peer = None;
        if joined {
            self.phys[node].note(reg::EVENTS_PORT);
            self.phys[parent].note(reg::EVENTS_PORT);
            self.reset(Reset::Long, vec![parent, node], now);
        }
    }

    fn home(&mut self, node: usize) -> Option<&mut Home> {
        self.homes.get_mut(node.checked_sub(1)?)
    }

    fn connect(&mut self, node: usize) {
        let home = self.homes[node - 1];
        let joined = self.phys[home.parent].ports[usize::from(home.port)].peer.is_some();
        if !joined {
            self.phys[home.parent].ports[usize::from(home.port)] =
                Port { peer: Some((node, 0)), ..Port::default() };
            self.phys[node].ports[0] = Port { peer: Some((home.parent, home.port)), ..Port::default() };
        }
    }

    pub(super) fn connected(&mut self, node: usize, serial: u64, now: u64) {
        let Some(home) = self.home(node).copied() else { return };
        if home.serial == serial && self.phys[node].ports[0].peer.is_none() {
            self.connect(node);
            self.phys[node].note(reg::EVENTS_PORT);
            self.phys[home.parent].note(reg::EVENTS_PORT);
            self.reset(Reset::Long, vec![home.parent, node], now);
        }
    }

    /// Asks for a bus reset.
    pub fn reset(&mut self, kind: Reset, by: Vec<usize>, now: u64) {
        // A short one is arbitrated for; a long one begins at once.
        let wait = if kind == Reset::Short { 1_000 } else { 1 };
        self.queue.push(now.saturating_add(wait), Happening::Reset { kind, by });
    }

    /// A node resets the bus, `root`: to be its root. Nothing happens if the controller does not see it.
    pub fn reset_by(&mut self, node: usize, root: bool, now: u64) {
        if !topology::reachable(&self.phys, HOST).contains(&node) {
            return;
        }
        if root {
            for (index, phy) in self.phys.iter_mut().enumerate() {
                phy.hold_off = index == node;
            }
        }
        self.reset(Reset::Short, vec![node], now);
    }

    /// The node that has a physical ID now.
    pub fn node_at(&self, id: u8) -> Option<usize> {
        self.order.get(usize::from(id)).copied()
    }

    /// The nodes that the controller sees, by physical ID.
    pub fn seen(&self) -> &[usize] {
        &self.order
    }

    /// The next `count` acknowledges are lost on their way back.
    pub fn lose_acks(&mut self, count: u32) {
        self.lost_acks = self.lost_acks.saturating_add(count);
    }

    /// A reset begins: packets under way are lost.
    pub(super) fn begin_reset(&mut self, kind: Reset, by: &[usize], now: u64) -> Output {
        let stays = |happening: &Happening| {
            !matches!(happening, Happening::Send { .. } | Happening::Timeout { .. } | Happening::SelfId)
        };
        self.queue.retain(stays);
        self.resetting = true;
        self.generation = self.generation.wrapping_add(1);
        for (index, phy) in self.phys.iter_mut().enumerate() {
            phy.reset(by.contains(&index));
        }
        self.stations.iter_mut().for_each(Station::forget);
        self.order.clear();
        let reset = if kind == Reset::Long { spec::RESET_LONG_NS } else { spec::RESET_SHORT_NS };
        let ids = self.phys.len() as u64 * spec::SELF_ID_NS;
        self.queue.push(now.saturating_add(reset + spec::TREE_ID_NS + ids), Happening::SelfId);
        Output::Reset
    }

    /// The reset is over, if the cables make a tree.
    pub(super) fn end_reset(&mut self, now: u64) -> Option<Output> {
        if !self.identify() {
            self.phys[HOST].note(reg::EVENTS_LOOP);
            return None;
        }
        self.resetting = false;
        let root = self.order.last().copied();
        for node in 1..self.phys.len() {
            // Who is no longer root no longer sends cycle starts.
            if root != Some(node) {
                self.stations[node - 1].cycle_master = false;
            }
            self.call(node, now, |node, link| node.bus_reset(link));
        }
        Some(Output::SelfId(self.self_ids()))
    }

    /// The self-ID packets of the tree as it is.
    pub fn self_ids(&self) -> Vec<u32> {
        self.order.iter().flat_map(|&node| self.phys[node].self_id()).collect()
    }

    fn identify(&mut self) -> bool {
        let found = topology::identify(&mut self.phys, HOST);
        self.order = found.clone().unwrap_or_default();
        found.is_ok()
    }

    /// Calls a node and does what it asks for.
    pub(super) fn call(&mut self, node: usize, now: u64, action: impl FnOnce(&mut dyn Node, &mut Link<'_>)) {
        self.at_station(node, now, |station, link| action(station.node(), link));
    }

    /// The same with the station around the node.
    pub(super) fn at_station<T>(
        &mut self,
        node: usize,
        now: u64,
        action: impl FnOnce(&mut Station, &mut Link<'_>) -> T,
    ) -> T {
        let mut orders = Orders::new();
        let (id, generation) = (self.id(node), self.generation);
        let mut link = Link { now, id, generation, orders: &mut orders };
        let result = action(&mut self.stations[node - 1], &mut link);
        for order in orders {
            self.carry_out(node, order, now);
        }
        result
    }
}
