//! Finding out who is there after a bus reset. The bus's thread only, and not in the gate.
//!
//! A node is known by its EUI-64. One that is known already has kept its nub: it is told its new place. A new one gets a nub; one that was not found is
//! gone. A bus reset on the way ends the look; the next one begins with the next generation.

use super::Generation;
use super::bus::Bus;
use super::device::{Ask, Device, Place};
use super::rom::{self, BusInfo};
use super::standard::{CONFIG_ROM, ROM_QUADLETS, S100};
use crate::family::bus::Bus as _;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Attempts to read a quadlet that nobody acknowledged.
const READ_TRIES: u32 = 3;
/// Looks at nodes that do not answer, or are not done with their ROM, and what lies between two, machine ns.
const LOOKS: u32 = 5;
const LOOK_STEP_NS: u64 = 10_000_000;

/// Who was met.
enum Met {
    /// Somebody with this EUI-64.
    Known(u64),
    /// Somebody whose ROM says nothing that can be used.
    Nobody,
}

impl Bus {
    /// Looks who is there.
    pub(super) fn scan(self: &Arc<Self>, generation: Generation) {
        let mut found: Vec<u64> = Vec::new();
        for look in 1..=LOOKS {
            let nodes = self.gated(|| self.state.with(|s| s.tree.others(s.local)));
            let mut complete = true;
            for node in nodes {
                match self.meet(generation, node, &found) {
                    Ok(Met::Known(guid)) => found.push(guid),
                    Ok(Met::Nobody) => {}
                    Err(IOReturn::BusReset | IOReturn::Offline) => return,
                    Err(why) => {
                        complete = false;
                        self.kernel().log(format_args!(
                            "firewire: slot {} node {node}: look {look}: {why}",
                            self.slot()
                        ));
                    }
                }
                if self.is_stopping() {
                    return;
                }
            }
            if complete {
                break;
            }
            if look < LOOKS {
                self.kernel().delay(LOOK_STEP_NS);
                found.clear();
            }
        }
        self.part(generation, &found);
    }

    /// Whoever was not found is gone, unless the bus was reset meanwhile.
    fn part(&self, generation: Generation, found: &[u64]) {
        let gone: Vec<Arc<Device>> = self.gated(|| {
            if self.current() != Some(generation) {
                return Vec::new();
            }
            let devices = self.state.with(|s| s.devices.clone());
            devices
                .into_iter()
                .filter(|device| !found.contains(&device.guid()) && device.set_gone())
                .collect()
        });
        gone.iter().for_each(|device| device.terminate());
    }

    /// Gets to know who has an ID.
    fn meet(self: &Arc<Self>, generation: Generation, node: u8, found: &[u64]) -> IOResult<Met> {
        let mut quadlets = BTreeMap::new();
        let mut get = |at| self.quadlet(generation, node, at, &mut quadlets);
        let info = match rom::read_info(&mut get) {
            Err(IOReturn::Unsupported) => return Ok(Met::Nobody),
            other => other?,
        };
        if found.contains(&info.guid) {
            self.kernel().log(format_args!(
                "firewire: slot {}: {:#018x} is there twice",
                self.slot(),
                info.guid
            ));
            return Ok(Met::Nobody);
        }
        let speed = self.gated(|| self.state.with(|s| s.tree.speed(s.local, node))).unwrap_or(S100);
        let place = Place { generation, id: node, speed };
        let known = self.gated(|| {
            let device = self.state.with(|s| s.devices.iter().find(|d| d.guid() == info.guid).cloned());
            self.check(generation)?;
            Ok::<_, IOReturn>(device.inspect(|device| device.set_place(place)))
        })?;
        if known.is_none() {
            let rom = match rom::read(&mut get) {
                Err(IOReturn::Unsupported) => return Ok(Met::Nobody),
                other => other?,
            };
            self.introduce(info, rom, place);
        }
        Ok(Met::Known(info.guid))
    }

    /// A quadlet of a node's configuration ROM, read once.
    fn quadlet(
        &self,
        generation: Generation,
        node: u8,
        at: u16,
        known: &mut BTreeMap<u16, u32>,
    ) -> IOResult<u32> {
        if at >= ROM_QUADLETS {
            return Err(IOReturn::Unsupported);
        }
        if let Some(&quadlet) = known.get(&at) {
            return Ok(quadlet);
        }
        let mut last = IOReturn::NotResponding;
        for _ in 0..READ_TRIES {
            let packet = Ask::Read(4).packet(node, S100, CONFIG_ROM + 4 * u64::from(at));
            match self.gated(|| self.wait_for(|done| self.submit(generation, &packet, 4, done))) {
                Ok(data) => {
                    let quadlet = data.try_into().map_or(0, u32::from_be_bytes);
                    known.insert(at, quadlet);
                    return Ok(quadlet);
                }
                Err(why @ (IOReturn::BusReset | IOReturn::Offline)) => return Err(why),
                // Behind the end of its ROM: then what points there makes no sense.
                Err(IOReturn::NotFound) => return Err(IOReturn::Unsupported),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// Makes the nubs of a node that is new.
    fn introduce(self: &Arc<Self>, info: BusInfo, rom: rom::Rom, place: Place) {
        let device = Device::new(self, info, rom, place);
        let way = self.gated(|| {
            self.state.with(|s| {
                let way = s.tree.way(s.local, place.id);
                s.devices.push(device.clone());
                way
            })
        });
        let published = match (way, self.service()) {
            (Some(way), Some(parent)) => device.publish(&parent, &plugs(&way)),
            _ => false,
        };
        if !published {
            // The controller is going: nobody looks again.
            self.gated(|| self.forget(&device));
        }
    }
}

/// Ports as they are counted on cases: the controller's from 1; of a node, port 0 is the one that its own cable is in.
fn plugs(way: &[u8]) -> Vec<u8> {
    let first = way.first().map(|port| port + 1);
    first.into_iter().chain(way.iter().skip(1).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controllers_ports_count_from_one() {
        assert_eq!(plugs(&[0, 1, 2]), [1, 1, 2]);
        assert_eq!(plugs(&[]), []);
    }
}
