//! The tree that self-ID packets tell of (1394a-2000, 4.3.4.1; IEEE 1394-1995, 4.4.2.3). Total over all packets.

use super::standard::NODES_MAX;
use alloc::vec;
use alloc::vec::Vec;

/// Ports that packets have room for: three, and eight in each of two further ones.
const PORTS_MAX: usize = 16;

/// What a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Absent,
    Free,
    Parent,
    Child,
}

impl Port {
    fn of(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Absent,
            1 => Self::Free,
            2 => Self::Parent,
            _ => Self::Child,
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    link: bool,
    contender: bool,
    speed: u8,
    ports: Vec<Port>,
    /// Who is at each port.
    peers: Vec<Option<u8>>,
}

/// The tree. A node is known by its physical ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    nodes: Vec<Node>,
}

impl Topology {
    /// The tree of these packets. `None`: they make none.
    pub fn parse(packets: &[u32]) -> Option<Self> {
        let nodes = nodes(packets)?;
        let mut tree = Self { nodes };
        tree.connect().then_some(tree)
    }

    /// Number of nodes.
    pub fn count(&self) -> u8 {
        self.nodes.len() as u8
    }

    /// The nodes besides `local` that listen.
    pub fn others(&self, local: u8) -> Vec<u8> {
        (0..self.count()).filter(|&id| id != local && self.nodes[usize::from(id)].link).collect()
    }

    /// The isochronous resource manager: of the nodes that listen and would be it, the one with the highest ID (IEEE 1394-1995, 8.4.2.3).
    pub fn manager(&self) -> Option<u8> {
        let found = self.nodes.iter().rposition(|node| node.link && node.contender)?;
        Some(found as u8)
    }

    /// The root: the node with the highest ID.
    pub fn root(&self) -> Option<u8> {
        self.count().checked_sub(1)
    }

    /// The way from `from` to `to`: the port at each node on it. `None`: there is none.
    pub fn way(&self, from: u8, to: u8) -> Option<Vec<u8>> {
        let before = self.search(from)?;
        let (mut at, mut ports) = (to, Vec::new());
        while at != from {
            let (peer, port) = (*before.get(usize::from(at))?)?;
            ports.push(port);
            at = peer;
        }
        ports.reverse();
        Some(ports)
    }

    /// The fastest speed code on the way between two nodes.
    pub fn speed(&self, from: u8, to: u8) -> Option<u8> {
        let before = self.search(from)?;
        let mut speed = self.nodes.get(usize::from(to))?.speed;
        let mut at = to;
        while at != from {
            at = (*before.get(usize::from(at))?)?.0;
            speed = speed.min(self.nodes[usize::from(at)].speed);
        }
        Some(speed)
    }

    /// For each node, the one before it on the way from `from`, and the port there.
    fn search(&self, from: u8) -> Option<Vec<Option<(u8, u8)>>> {
        let mut before = vec![None; self.nodes.len()];
        let mut list = vec![from];
        let mut next = 0;
        while let Some(&node) = list.get(next) {
            next += 1;
            for (port, &peer) in self.nodes.get(usize::from(node))?.peers.iter().enumerate() {
                let Some(peer) = peer else { continue };
                if peer != from && before[usize::from(peer)].is_none() {
                    before[usize::from(peer)] = Some((node, port as u8));
                    list.push(peer);
                }
            }
        }
        Some(before)
    }

    /// Finds out who is at each port: packets come in the order of IDs, children by port before their parent.
    fn connect(&mut self) -> bool {
        // Nodes whose parent has not come yet.
        let mut orphans: Vec<u8> = Vec::new();
        for id in 0..self.nodes.len() {
            let count = |wanted| self.nodes[id].ports.iter().filter(|&&port| port == wanted).count();
            let (children, parents) = (count(Port::Child), count(Port::Parent));
            let is_root = id + 1 == self.nodes.len();
            if children > orphans.len() || parents != usize::from(!is_root) {
                return false;
            }
            let mut own = orphans.split_off(orphans.len() - children).into_iter();
            for port in 0..self.nodes[id].ports.len() {
                if self.nodes[id].ports[port] == Port::Child
                    && let Some(child) = own.next()
                {
                    self.nodes[id].peers[port] = Some(child);
                    let child = &mut self.nodes[usize::from(child)];
                    if let Some(up) = child.ports.iter().position(|&port| port == Port::Parent) {
                        child.peers[up] = Some(id as u8);
                    }
                }
            }
            orphans.push(id as u8);
        }
        orphans.len() == 1
    }
}

/// The nodes with their ports, as the packets have them.
fn nodes(packets: &[u32]) -> Option<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut more = None;
    for &packet in packets {
        let (kind, id) = (packet >> 30, packet >> 24 & 0x3f);
        if kind != 2 {
            return None;
        }
        let extended = packet & 1 << 23 != 0;
        if extended {
            let number = packet >> 20 & 7;
            if more != Some(number) || id as usize + 1 != nodes.len() {
                return None;
            }
            let node = nodes.last_mut()?;
            let ports = (0..8).map(|n| Port::of(packet >> (16 - 2 * n)));
            node.ports.extend(ports);
            node.ports.truncate(PORTS_MAX);
        } else {
            if more.is_some() || id as usize != nodes.len() || nodes.len() == NODES_MAX {
                return None;
            }
            let ports = (0..3).map(|n| Port::of(packet >> (6 - 2 * n))).collect();
            let speed = (packet >> 14 & 3) as u8;
            let (link, contender) = (packet & 1 << 22 != 0, packet & 1 << 11 != 0);
            nodes.push(Node { link, contender, speed, ports, peers: Vec::new() });
        }
        let number = if extended { (packet >> 20 & 7) + 1 } else { 0 };
        more = (packet & 1 != 0).then_some(number);
    }
    nodes.iter_mut().for_each(|node| node.peers = vec![None; node.ports.len()]);
    (more.is_none() && !nodes.is_empty()).then_some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet zero: ID, ports.
    fn packet(id: u32, ports: [u32; 3], more: bool) -> u32 {
        let [a, b, c] = ports;
        2 << 30 | id << 24 | 1 << 22 | 2 << 14 | a << 6 | b << 4 | c << 2 | u32::from(more)
    }

    #[test]
    fn a_chain_is_found_from_its_middle() {
        // 0 ── 1 ── 2 (root); 1 is the local node: its port 1 leads down, its port 0 up.
        let packets = [packet(0, [2, 1, 0], false), packet(1, [2, 3, 0], false), packet(2, [1, 3, 0], false)];
        let tree = Topology::parse(&packets).expect("a tree");
        assert_eq!(
            (tree.others(1), tree.way(1, 0), tree.way(1, 2)),
            (vec![0, 2], Some(vec![1]), Some(vec![0]))
        );
        assert_eq!((tree.way(0, 2), tree.speed(0, 2)), (Some(vec![0, 0]), Some(2)));
        assert_eq!(tree.way(1, 3), None);
    }

    #[test]
    fn of_those_who_would_manage_the_last_does() {
        let contender = 1 << 11;
        let mut packets = [
            packet(0, [2, 0, 0], false) | contender,
            packet(1, [2, 3, 0], false),
            packet(2, [3, 0, 0], false),
        ];
        assert_eq!(
            Topology::parse(&packets).map(|tree| (tree.manager(), tree.root())),
            Some((Some(0), Some(2)))
        );
        packets[1] |= contender;
        packets[2] = (packets[2] | contender) & !(1 << 22);
        assert_eq!(
            Topology::parse(&packets).and_then(|tree| tree.manager()),
            Some(1),
            "the root does not listen"
        );
        packets = packets.map(|packet| packet & !contender);
        assert_eq!(Topology::parse(&packets).and_then(|tree| tree.manager()), None);
    }

    #[test]
    fn a_node_with_many_ports_has_further_packets() {
        // Node 1 has a child at port 4, the second of its first further packet.
        let further = 2 << 30 | 1 << 24 | 1 << 23 | 1 << 16 | 3 << 14;
        let packets = [packet(0, [2, 0, 0], false), packet(1, [1, 1, 1], true), further];
        let tree = Topology::parse(&packets).expect("a tree");
        assert_eq!(tree.way(1, 0), Some(vec![4]));
        assert_eq!(Topology::parse(&packets[..2]), None, "one is missing");
    }

    #[test]
    fn what_makes_no_tree_is_refused() {
        let lone = packet(0, [1, 1, 1], false);
        assert!(Topology::parse(&[lone]).is_some());
        for packets in [
            &[][..],
            &[0],
            &[packet(1, [1, 0, 0], false)],
            &[packet(0, [2, 0, 0], false)],
            &[packet(0, [3, 0, 0], false)],
            &[lone, packet(1, [1, 0, 0], false)],
            &[packet(0, [2, 2, 0], false), packet(1, [3, 0, 0], false)],
            &[u32::MAX; 300],
        ] {
            assert_eq!(Topology::parse(packets), None, "{packets:x?}");
        }
    }
}
