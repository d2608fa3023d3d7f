//! Tree identification and numbering.

use super::super::phy::{Phy, PhyFacts, Port, PortState};
use super::super::topology::{NoTree, identify, path_speed};
use proptest::prelude::*;

fn phys(ports: &[u8]) -> Vec<Phy> {
    ports.iter().map(|&ports| Phy::new(PhyFacts { ports, ..PhyFacts::default() })).collect()
}

fn join(phys: &mut [Phy], (a, pa): (usize, u8), (b, pb): (usize, u8)) {
    phys[a].ports[usize::from(pa)] = Port { peer: Some((b, pb)), ..Port::default() };
    phys[b].ports[usize::from(pb)] = Port { peer: Some((a, pa)), ..Port::default() };
}

#[test]
fn children_come_before_parents_and_lower_ports_first() {
    // 0 has 1 on port 0 and 2 on port 1; 2 has 3 on port 1.
    let mut all = phys(&[3, 1, 2, 1]);
    join(&mut all, (0, 0), (1, 0));
    join(&mut all, (0, 1), (2, 0));
    join(&mut all, (2, 1), (3, 0));
    assert_eq!(identify(&mut all, 0), Ok(vec![1, 3, 2, 0]));
    assert!(all[0].root && all[0].id == 3);
    assert_eq!(all[2].ports[0].state, PortState::Parent);
    assert_eq!(all[2].ports[1].state, PortState::Child);
}

#[test]
fn who_holds_off_is_root() {
    for wanted in 0..4 {
        let mut all = phys(&[3, 1, 2, 1]);
        join(&mut all, (0, 0), (1, 0));
        join(&mut all, (0, 1), (2, 0));
        join(&mut all, (2, 1), (3, 0));
        all[wanted].hold_off = true;
        let order = identify(&mut all, 0).unwrap();
        assert_eq!(order.last(), Some(&wanted));
    }
}

#[test]
fn a_loop_has_no_tree() {
    let mut all = phys(&[3, 2, 2]);
    join(&mut all, (0, 0), (1, 0));
    join(&mut all, (1, 1), (2, 0));
    join(&mut all, (2, 1), (0, 1));
    assert_eq!(identify(&mut all, 0), Err(NoTree));
}

#[test]
fn the_slowest_phy_on_the_way_sets_the_speed() {
    let mut all = phys(&[1, 2, 1]);
    all[1] = Phy::new(PhyFacts { ports: 2, speed: 0, ..PhyFacts::default() });
    join(&mut all, (0, 0), (1, 0));
    join(&mut all, (1, 1), (2, 0));
    assert_eq!(path_speed(&all, 0, 2), Some(0));
    assert_eq!(path_speed(&all, 2, 2), Some(2));
    all[1].ports[1].disabled = true;
    assert_eq!(path_speed(&all, 0, 2), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any tree: every node gets an ID once, the root the highest; each node but the root has one parent, whose ID is higher; and the self-ID
    /// packets say as much.
    #[test]
    fn any_tree_is_numbered(parents in prop::collection::vec(any::<prop::sample::Index>(), 0..30), holders in prop::collection::vec(prop::bool::weighted(0.05), 31)) {
        let count = parents.len() + 1;
        let mut all = phys(&vec![16; count]);
        for (phy, &hold) in all.iter_mut().zip(&holders) {
            phy.hold_off = hold;
        }
        for (n, parent) in parents.iter().enumerate() {
            let node = n + 1;
            let parent = parent.index(node);
            let free = (0..16).find(|&port| all[parent].ports[port].peer.is_none());
            // A node without a free port takes no more: the one before then does.
            let (parent, port) = free.map_or((node - 1, 15), |port| (parent, port));
            if all[parent].ports[port].peer.is_none() {
                join(&mut all, (parent, port as u8), (node, 0));
            }
        }
        let order = identify(&mut all, 0).unwrap();
        let root = *order.last().unwrap();
        prop_assert!(all[root].root);
        // Of several who hold off, two can tell a third that it is the parent.
        if let [holder] = order.iter().filter(|&&node| all[node].hold_off).collect::<Vec<_>>()[..] {
            prop_assert_eq!(*holder, root);
        }
        for &node in &order {
            let parents: Vec<_> = all[node].ports.iter().filter(|port| port.state == PortState::Parent).collect();
            prop_assert_eq!(parents.len(), usize::from(node != root));
            for port in parents {
                prop_assert!(all[port.peer.unwrap().0].id > all[node].id);
            }
            let packets = all[node].self_id();
            prop_assert_eq!(packets.len(), 3, "sixteen ports");
            prop_assert!(packets.iter().all(|packet| packet >> 24 == 0x80 | u32::from(all[node].id)));
            prop_assert_eq!(packets.iter().filter(|packet| *packet & 1 == 0).count(), 1);
        }
    }
}
