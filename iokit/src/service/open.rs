//! Opening and closing.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use trace::Kind;

use super::{Options, Service, ServiceRef, State};
use crate::message::Message;

impl Service {
    /// `client` opens this service. False if it is inactive, or its class says no (by default: another holds it open).
    pub fn open(self: &ServiceRef, client: &ServiceRef, options: Options) -> bool {
        self.message_clients(Message::AttemptingOpen, 0, Some(client));
        let held = self.try_arbitrate();
        let ok = held.is_some() && !self.is_inactive() && self.driver.handle_open(self, client, options);
        client.trace(Kind::Open, Some(self), u64::from(ok));
        ok
    }

    /// `client` closes this service. Nothing happens if it did not hold it open.
    pub fn close(self: &ServiceRef, client: &ServiceRef, options: Options) {
        let held = self.arbitrate();
        if !self.driver.handle_is_open(self, Some(client)) {
            return;
        }
        client.trace(Kind::Close, Some(self), 0);
        self.driver.handle_close(self, client, options);
        let terminated = self.state().contains(State::TERM_PHASE_3);
        drop(held);
        if terminated {
            client.schedule_stop(self);
        } else {
            self.message_clients(Message::WasClosed, 0, Some(client));
        }
    }

    /// Whether `client` (`None`: anybody) holds this service open.
    pub fn is_open(self: &ServiceRef, client: Option<&ServiceRef>) -> bool {
        let _held = self.arbitrate();
        self.driver.handle_is_open(self, client)
    }

    /// IOService's `handleOpen`: one owner; SEIZE asks the owner to close first.
    pub fn default_handle_open(self: &ServiceRef, client: &ServiceRef, options: Options) -> bool {
        let owner = self.owner.load(Ordering::Acquire);
        if owner != 0 && options.contains(Options::SEIZE) {
            let owner = self.clients().into_iter().find(|c| c.id() == owner);
            let ask = |o| self.message_client(Message::RequestingClose, &o, u64::from(options.bits()));
            if owner.is_some_and(|o| ask(o).is_err()) {
                return false;
            }
        }
        self.owner.compare_exchange(0, client.id(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// IOService's `handleClose`.
    pub fn default_handle_close(&self, client: &Service) {
        let _ = self.owner.compare_exchange(client.id(), 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// IOService's `handleIsOpen`.
    pub fn default_handle_is_open(&self, client: Option<&Arc<Service>>) -> bool {
        match (self.owner.load(Ordering::Acquire), client) {
            (0, _) => false,
            (_, None) => true,
            (owner, Some(client)) => owner == client.id(),
        }
    }
}
