//! What happens between a bus reset and the first packet: tree identification and self-identification
//! (IEEE 1394-1995, 4.4.2.2 and 4.4.2.3).

use super::phy::{Phy, PortState};
use crate::spec::ieee1394::NODES;
use std::collections::VecDeque;

/// The cables form a loop, so that no root can be found; or there are more nodes than IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTree;

/// The nodes that are connected with `start`, itself first.
pub fn reachable(phys: &[Phy], start: usize) -> Vec<usize> {
    let mut seen = vec![false; phys.len()];
    let mut found = Vec::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        if std::mem::replace(&mut seen[node], true) {
            continue;
        }
        found.push(node);
        queue.extend(links(phys, node).map(|(_, peer, _)| peer));
    }
    found
}

/// The cables of a node that carry signals: (own port, peer, peer's port).
fn links(phys: &[Phy], node: usize) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    phys[node].ports.iter().enumerate().filter_map(move |(own, port)| {
        let (peer, other) = port.peer?;
        let live = !port.disabled && !phys[peer].ports[usize::from(other)].disabled;
        live.then_some((own, peer, usize::from(other)))
    })
}

/// Makes a tree of the nodes that are connected with `start`, and numbers them. The result is the nodes by physical ID; the last is root.
///
/// # Errors
/// There is no tree.
pub fn identify(phys: &mut [Phy], start: usize) -> Result<Vec<usize>, NoTree> {
    let members = reachable(phys, start);
    if members.len() > NODES {
        return Err(NoTree);
    }
    let root = tree(phys, &members)?;
    let order = number(phys, root);
    for (id, &node) in order.iter().enumerate() {
        phys[node].id = id as u8;
        phys[node].root = node == root;
    }
    Ok(order)
}

/// What a node is about to do in a round of tree identification.
struct Node {
    index: usize,
    /// Ports that are still to be decided: (own, peer, peer's).
    open: Vec<(usize, usize, usize)>,
    has_parent: bool,
}

/// Each round, every node with one undecided port left tells its peer that it is the parent. Two that tell each other contend; the one
/// with the lower index wins here, where hardware would toss a coin. Nodes that hold off wait until nobody else moves.
fn tree(phys: &mut [Phy], members: &[usize]) -> Result<usize, NoTree> {
    let mut nodes: Vec<Node> = members
        .iter()
        .map(|&index| Node { index, open: links(phys, index).collect(), has_parent: false })
        .collect();
    for _ in 0..=members.len() * 2 {
        let holds: Vec<bool> = phys.iter().map(|phy| phy.hold_off).collect();
        let free = |node: &Node, held: bool| {
            node.open.len() == 1 && !node.has_parent && (held || !holds[node.index])
        };
        let free = &free;
        let ask = |held: bool| {
            nodes.iter().filter(move |node| free(node, held)).map(|node| (node.index, node.open[0]))
        };
        let mut offers: Vec<_> = ask(false).collect();
        if offers.is_empty() {
            offers = ask(true).collect();
        }
        if offers.is_empty() {
            break;
        }
        for &(child, (own, parent, other)) in &offers {
            let contended = offers.iter().any(|&(node, (_, peer, _))| node == parent && peer == child);
            if contended && child < parent {
                continue;
            }
            phys[child].ports[own].state = PortState::Parent;
            phys[parent].ports[other].state = PortState::Child;
            for node in &mut nodes {
                if node.index == child {
                    node.open.clear();
                    node.has_parent = true;
                } else if node.index == parent {
                    node.open.retain(|&(port, ..)| port != other);
                }
            }
        }
    }
    let root = nodes.iter().find(|node| !node.has_parent && node.open.is_empty());
    let settled = nodes.iter().all(|node| node.open.is_empty());
    root.filter(|_| settled).map(|node| node.index).ok_or(NoTree)
}

/// Nodes in the order of their self-ID packets: the children of a node by port, then the node.
fn number(phys: &[Phy], root: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut stack = vec![(root, 0)];
    while let Some((node, port)) = stack.pop() {
        match phys[node].ports.get(port) {
            Some(at) => {
                stack.push((node, port + 1));
                if let (PortState::Child, Some((peer, _))) = (at.state, at.peer) {
                    stack.push((peer, 0));
                }
            }
            None => order.push(node),
        }
    }
    order
}

/// The fastest speed code on the way between two nodes: that of the slowest PHY on it; `None` if there is no way.
pub fn path_speed(phys: &[Phy], from: usize, to: usize) -> Option<u8> {
    let mut best = vec![None; phys.len()];
    best[from] = Some(phys[from].speed());
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        let speed = best[node]?;
        for (_, peer, _) in links(phys, node) {
            if best[peer].is_none() {
                best[peer] = Some(speed.min(phys[peer].speed()));
                queue.push_back(peer);
            }
        }
    }
    best[to]
}
