//! The host bridge: finds what is on bus 0.

use super::card::Card;
use super::config::Config;
use super::device::PciDevice;
use super::function::Function;
use super::hub::HotPlug;
use super::port::RootPort;
use super::regs;
use crate::IoKit;
use crate::class::{Class, IO_SERVICE};
use crate::service::{Driver, Options, ServiceBuilder, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::seam::{Bdf, Machine};

/// The class of host bridges.
pub static IO_PCI_HOST: Class = Class::new("IOPCIHostBridge", &IO_SERVICE);

/// Drives the host bridge.
pub struct HostBridge {
    hub: Arc<HotPlug>,
}

impl HostBridge {
    /// Publishes the host bridge below `platform` and everything on bus 0. What is behind the ports follows on the hot-plug thread.
    pub fn publish(kit: &IoKit, platform: &ServiceRef) {
        let hub = HotPlug::new(kit.kernel());
        let driver = Self { hub: hub.clone() };
        let host = ServiceBuilder::new(kit, Box::new(driver)).named("pci").build();
        if !host.attach(platform) || !platform.start_client(&host) {
            return;
        }
        host.register_service(Options::empty());
        let cards = Self::scan(&host, &hub);
        if !cards.is_empty() && hub.start(cards).is_err() {
            kit.kernel().log(format_args!("pci: no memory for the hot-plug thread"));
        }
    }

    fn scan(host: &ServiceRef, hub: &Arc<HotPlug>) -> Vec<Card> {
        let mut cards = Vec::new();
        for device in 0..32 {
            let functions = match Self::look(host, device, 0) {
                None => 0,
                Some(first) => {
                    let count = if first.is_multifunction { 8 } else { 1 };
                    Self::add(host, first, hub, &mut cards);
                    count
                }
            };
            for number in 1..functions {
                if let Some(function) = Self::look(host, device, number) {
                    Self::add(host, function, hub, &mut cards);
                }
            }
        }
        cards
    }

    fn look(host: &ServiceRef, device: u8, function: u8) -> Option<Function> {
        let machine: &dyn Machine = host.kernel().machine();
        Function::find(&Config::new(&machine, Bdf { bus: 0, device, function }))
    }

    fn add(host: &ServiceRef, function: Function, hub: &Arc<HotPlug>, cards: &mut Vec<Card>) {
        if !function.is_bridge {
            if let Some(nub) = PciDevice::publish(host, function, 0, None) {
                nub.register_service(Options::empty());
            }
        } else if function.capability(regs::CAP_EXPRESS).is_some() {
            let index = cards.len() as u32;
            if let Some(facts) = RootPort::publish(host, function, index, hub) {
                cards.push(Card::new(host.kernel(), facts));
            }
        }
    }
}

impl Driver for HostBridge {
    fn class(&self) -> &'static Class {
        &IO_PCI_HOST
    }

    fn stop(&self, _me: &ServiceRef, _provider: &ServiceRef) {
        self.hub.stop();
    }
}
