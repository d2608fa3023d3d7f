//! IOService's own requestTerminate, didTerminate and finalize.

use crate::{
    message::Message,
    service::{Options, Service, ServiceRef},
};

impl Service {
    /// True iff `provider` is the only provider.
    pub fn default_request_terminate(&self, provider: &Service) -> bool {
        self.is_only_provider(provider)
    }

    /// Unless deferred: schedules `stop(provider)` if this service does not hold it open; if it does, asks it to close with a message and
    /// looks again. One that still holds it open is stopped when it closes.
    pub fn default_did_terminate(self: &ServiceRef, provider: &ServiceRef, options: Options, deferred: bool) {
        if deferred {
            return;
        }
        let _held = self.arbitrate();
        if provider.is_open(Some(self)) {
            let _ = provider.message_client(Message::RequestingClose, self, u64::from(options.bits()));
            if provider.is_open(Some(self)) {
                return;
            }
        }
        self.schedule_stop(provider);
    }

    /// Schedules `stop` on each provider that is not itself going: those call `didTerminate` for that, now or when their phase 2 comes, and
    /// `willTerminate` before it.
    pub fn default_finalize(self: &ServiceRef) {
        for provider in self.providers() {
            let _held = provider.arbitrate();
            if !provider.is_inactive() {
                self.schedule_stop(&provider);
            }
        }
    }
}
