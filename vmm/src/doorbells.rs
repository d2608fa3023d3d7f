//! Doorbell registers served by ioeventfd: the guest's write costs no exit to user space.

use crate::VmmError;
use devices::platform::MappedDoorbell;
use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vmm_sys_util::errno::Error;
use vmm_sys_util::eventfd::EventFd;

/// Doorbells that may be registered; further ones are served by exits.
const MAX_DOORBELLS: usize = 64;

/// The doorbells as they are registered now. All ring one event: whoever hears it replays them all, which a device that was not
/// meant takes as the look at its queue that it may make at any time (virtio 1.2, 2.7.13).
pub struct Doorbells {
    registered: Vec<MappedDoorbell>,
    generation: Option<u64>,
    event: EventFd,
}

impl Doorbells {
    /// No doorbells yet; `event` is what they ring.
    pub fn new(event: EventFd) -> Self {
        Self { registered: Vec::new(), generation: None, event }
    }

    /// Whether the platform's doorbells have moved since they were registered.
    pub fn is_stale(&self, generation: u64) -> bool {
        self.generation != Some(generation)
    }

    /// Registers `bells` in place of what was there. What cannot be registered is served by exits.
    pub fn renew(&mut self, vm: &VmFd, generation: u64, bells: &[MappedDoorbell]) {
        self.generation = Some(generation);
        let event = &self.event;
        self.registered.retain(|old| {
            let stays = bells.contains(old);
            if !stays {
                let _ = change(vm, event, old, false);
            }
            stays
        });
        for bell in bells.iter().take(MAX_DOORBELLS) {
            if !self.registered.contains(bell) && change(vm, event, bell, true).is_ok() {
                self.registered.push(*bell);
            }
        }
    }

    /// Takes every registration back; the event, silent.
    pub fn into_event(mut self, vm: &VmFd) -> EventFd {
        self.renew(vm, 0, &[]);
        // Nothing to read is silence, too.
        let _ = self.event.read();
        self.event
    }

    /// The event, for whoever waits.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn event(&self) -> Result<EventFd, VmmError> {
        self.event.try_clone().map_err(|error| VmmError::System { what: "cannot copy an eventfd", error })
    }

    /// The doorbells to replay after the event; clears it.
    pub fn rung(&self) -> Vec<MappedDoorbell> {
        match self.event.read() {
            Ok(_) => self.registered.clone(),
            Err(_) => Vec::new(),
        }
    }
}

fn change(vm: &VmFd, event: &EventFd, bell: &MappedDoorbell, register: bool) -> Result<(), Error> {
    let address = IoEventAddress::Mmio(bell.address);
    match (bell.value, bell.width) {
        (None, _) if register => vm.register_ioevent(event, &address, NoDatamatch),
        (None, _) => vm.unregister_ioevent(event, &address, NoDatamatch),
        (Some(value), 1) => matched(vm, event, &address, value as u8, register),
        (Some(value), 2) => matched(vm, event, &address, value as u16, register),
        (Some(value), 4) => matched(vm, event, &address, value as u32, register),
        (Some(value), _) => matched(vm, event, &address, value, register),
    }
}

fn matched<T: Into<u64>>(
    vm: &VmFd,
    event: &EventFd,
    address: &IoEventAddress,
    value: T,
    register: bool,
) -> Result<(), Error> {
    match register {
        true => vm.register_ioevent(event, address, value),
        false => vm.unregister_ioevent(event, address, value),
    }
}
