//! Attaching, detaching, messages.

use core::sync::atomic::Ordering;

use trace::Kind;

use super::{InterestKind, Service, ServiceRef, State};
use crate::message::Message;

impl Service {
    /// Attaches to `provider`. False if that is inactive (or does not exist in the registry any more).
    pub fn attach(self: &ServiceRef, provider: &ServiceRef) -> bool {
        let mine = self.arbitrate();
        let theirs = provider.arbitrate();
        if provider.is_inactive() {
            return false;
        }
        let kernel = self.kernel();
        self.links.lock(kernel).providers.push(provider.clone());
        provider.links.lock(kernel).clients.push(self.clone());
        self.trace(Kind::Attach, Some(provider), 0);
        if self.busy() != 0 && self.is_only_provider(provider) {
            provider.adjust_busy_held(1);
        }
        drop((theirs, mine));
        self.freeze_properties();
        true
    }

    /// Detaches from `provider`, which finalizes it if this was the last client of a terminated service.
    pub fn detach(self: &ServiceRef, provider: &ServiceRef) {
        let mine = self.arbitrate();
        let busy = self.busy();
        let was_primary = self.provider().is_some_and(|p| p == *provider);
        let Some(unlinked) = self.unlink(provider) else { return };
        self.trace(Kind::Detach, Some(provider), 0);
        let adjust = busy != 0 && was_primary;
        let primary = if busy == 0 { None } else { self.provider() };
        if busy != 0 && primary.is_none() && self.state().contains(State::TERM_PHASE_3) {
            self.busy.store(0, Ordering::Release);
            self.trace(Kind::Busy, None, 0);
            self.became_quiet();
        }
        drop(mine);
        if let Some(primary) = primary.filter(|_| adjust) {
            primary.adjust_busy(1);
        }
        let theirs = provider.arbitrate();
        if adjust {
            provider.adjust_busy_held(-1);
        }
        let last = provider.state().contains(State::TERM_PHASE_3) && !provider.has_clients();
        if last {
            provider.schedule_finalize(false);
        }
        drop(theirs);
        drop(unlinked);
    }

    /// Takes the two links away; what they held, so that nothing is freed under a lock.
    fn unlink(self: &ServiceRef, provider: &ServiceRef) -> Option<(ServiceRef, ServiceRef)> {
        let kernel = self.kernel();
        let up = {
            let mut links = self.links.lock(kernel);
            let at = links.providers.iter().position(|p| p == provider)?;
            links.providers.remove(at)
        };
        let mut links = provider.links.lock(kernel);
        let at = links.clients.iter().position(|c| c == self)?;
        Some((up, links.clients.remove(at)))
    }

    /// Cuts every link of this service and all below it, without a word to the drivers.
    pub(crate) fn unlink_tree(self: &ServiceRef) {
        let mut left = alloc::vec![self.clone()];
        while let Some(service) = left.pop() {
            let links = core::mem::take(&mut *service.links.lock(service.kernel()));
            left.extend(links.clients);
            left.extend(service.cut_planes());
            drop(links.providers);
        }
    }

    /// Sends `message` to `client`, a client of this service. Unsupported unless it is understood.
    pub fn message_client(
        self: &ServiceRef,
        message: Message,
        client: &ServiceRef,
        arg: u64,
    ) -> crate::IOResult {
        client.trace(Kind::Message, Some(self), u64::from(message.code()));
        client.driver.message(client, message, self, arg)
    }

    /// Sends `message` to everybody with a general interest, then to every client, in attach order, but `except`.
    pub fn message_clients(self: &ServiceRef, message: Message, arg: u64, except: Option<&Service>) {
        self.tell_interested(InterestKind::General, message, arg);
        for client in self.clients() {
            if except.is_none_or(|e| *e != *client) {
                let _ = self.message_client(message, &client, arg);
            }
        }
    }
}
