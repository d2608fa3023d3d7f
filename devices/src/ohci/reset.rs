//! Bus resets and self-ID packets, as the link sees them (OHCI 1.1, chapter 11, 5.5.6 and 6.1.1).

use super::Ohci;
use super::receive::{phy_packet, reset_packet};
use crate::env::Env;
use crate::fault::plane::Site;
use crate::firewire::csr::Resources;
use crate::firewire::{HOST, Output};
use crate::spec::ieee1394 as bus;
use crate::spec::ohci::{self as spec, code, event};

/// Quadlets that the self-ID buffer has: 2 KiB.
const BUFFER_QUADLETS: usize = 512;

impl Ohci {
    /// The bus says something.
    pub(super) fn heard(&mut self, output: Output, env: &mut dyn Env) {
        match output {
            Output::Reset => self.reset_began(env),
            Output::SelfId(packets) => {
                for node in self.bus.seen().to_vec() {
                    if node != HOST {
                        env.pass(node - 1, Site::FireReset);
                    }
                }
                self.identified(&packets, env);
            }
            Output::Packet(delivery) => self.receive_packet(delivery, env),
        }
    }

    fn reset_began(&mut self, env: &mut dyn Env) {
        self.node_id = u32::from(bus::LOCAL_BUS) << 6 | 0x3f;
        let initial = [self.registers.initial_channels_hi, self.registers.initial_channels_lo];
        self.resources = Resources::initial(self.registers.initial_bandwidth, initial);
        self.generation = self.generation.wrapping_add(1) & 0xff;
        self.self_id_bytes = 0;
        self.registers.async_filter &= spec::FILTER_ALL;
        self.registers.physical_filter = 0;
        if !self.link_works() {
            return;
        }
        self.flush_transmit(env);
        self.interrupts.clear(event::SELF_ID_COMPLETE, env);
        self.interrupts.set(event::BUS_RESET, env);
        self.reset_untold = Some(self.generation);
        self.tell_reset(env);
    }

    /// Puts the packet that tells of the bus reset among the requests, now or as soon as there is room.
    pub(super) fn tell_reset(&mut self, env: &mut dyn Env) {
        if let Some(generation) = self.reset_untold.take()
            && !self.deposit(0, reset_packet(generation), 0, code::BUS_RESET, env)
        {
            self.reset_untold = Some(generation);
        }
    }

    fn identified(&mut self, packets: &[u32], env: &mut dyn Env) {
        let id = u32::from(self.bus.host_phy().id);
        self.node_id = spec::NODE_VALID | spec::NODE_POWER | u32::from(bus::LOCAL_BUS) << 6 | id;
        if self.bus.host_is_root() {
            self.node_id |= spec::NODE_ROOT;
        }
        self.load_rom(env);
        if !self.link_works() {
            return;
        }
        if self.registers.link_control & spec::LINK_SELF_ID != 0 {
            self.store_self_ids(packets, env);
            self.interrupts.set(event::SELF_ID_COMPLETE | event::SELF_ID_COMPLETE_2, env);
        }
        self.watch_cycles(env);
    }

    /// Each packet and its inverse, behind a quadlet with generation and time (11.3).
    fn store_self_ids(&mut self, packets: &[u32], env: &mut dyn Env) {
        let head = self.generation << 16 | u32::from(self.clock.stamp(env.now()));
        let mut quadlets = vec![head];
        quadlets.extend(packets.iter().flat_map(|&packet| [packet, !packet]));
        self.self_id_error = quadlets.len() > BUFFER_QUADLETS;
        quadlets.truncate(BUFFER_QUADLETS);
        let bytes: Vec<u8> = quadlets.into_iter().flat_map(u32::to_le_bytes).collect();
        self.self_id_bytes = bytes.len() as u32;
        self.self_id_error |= env.dma_write(self.registers.self_id_buffer.into(), &bytes).is_err();
    }

    /// A bus reset takes over the configuration ROM that software has put up (5.5.6).
    fn load_rom(&mut self, env: &mut dyn Env) {
        let Some(next) = self.registers.rom_map_next.take() else { return };
        self.registers.rom_map = next;
        if self.registers.hc_control & spec::HC_ROM_VALID == 0 {
            return;
        }
        let mut bytes = [0; 12];
        if env.dma_read(next.into(), &mut bytes).is_ok() {
            self.swap(&mut bytes);
            let quadlet = |n: usize| u32::from_be_bytes([bytes[n], bytes[n + 1], bytes[n + 2], bytes[n + 3]]);
            self.registers.rom_header = quadlet(0);
            self.registers.bus_options = quadlet(8);
        }
    }

    /// Self-ID packets outside of a reset answer a ping.
    pub(super) fn receive_self_ids(&mut self, packets: &[u32], env: &mut dyn Env) {
        if self.registers.link_control & spec::LINK_PHY_PACKETS == 0 {
            return;
        }
        for &packet in packets {
            let code = code::ACK | u32::from(bus::ACK_COMPLETE);
            self.deposit(0, phy_packet(packet), 0, code, env);
        }
    }
}
