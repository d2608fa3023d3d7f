//! Phase 1: on the caller's thread, no gate taken, breadth-first.

use alloc::{collections::VecDeque, vec::Vec};

use mach::WaitMode;
use trace::{Event, Kind};

use crate::{
    matching::NotificationKind,
    service::{Options, Service, ServiceRef, State},
};

/// What phase 1 found at one victim.
enum Found {
    /// It was active and is inactive now.
    Active,
    /// Somebody was here before.
    Inactive,
}

impl Service {
    /// Terminates this service and what depends on it. True, also if that happened before (order (e)).
    pub fn terminate(self: &ServiceRef, options: Options) -> bool {
        let options = options | Options::TERMINATE;
        if let Found::Inactive = self.make_root_inactive(options) {
            self.wait_for_phase_1();
            return true;
        }
        let mut make_inactive = VecDeque::new();
        let mut victims = Vec::new();
        self.tell_of_phase_1(options, &mut make_inactive);
        while let Some(victim) = make_inactive.pop_front() {
            if let Found::Active = victim.make_inactive(State::TERM_PHASE_1_BELOW) {
                victim.tell_of_phase_1(options, &mut make_inactive);
                victims.push(victim);
            } else {
                victim.wait_for_phase_1();
            }
        }
        // A victim with another provider that is going, too (order (g)), can be met by the phase 2 of that one at any time. Clients first: who is met
        // without the mark has none below that still bears it.
        while let Some(victim) = victims.pop() {
            victim.set_state(State::empty(), State::TERM_PHASE_1_BELOW);
        }
        self.end_phase_1();
        self.start_phase_2(options);
        true
    }

    fn make_root_inactive(&self, options: Options) -> Found {
        let held = self.arbitrate();
        if self.is_inactive() {
            return Found::Inactive;
        }
        self.trace(Kind::Terminate, None, u64::from(options.bits()));
        self.set_phase_1_thread(self.kernel().thread_id());
        let found = self.make_inactive(State::TERM_PHASE_1);
        drop(held);
        found
    }

    fn make_inactive(&self, also: State) -> Found {
        let _held = self.arbitrate();
        if self.is_inactive() {
            return Found::Inactive;
        }
        self.change(
            State::INACTIVE | also,
            State::REGISTERED | State::MATCHED | State::FIRST_PUBLISH | State::FIRST_MATCH,
        );
        self.trace(Kind::Inactive, None, 0);
        self.adjust_busy_held(1);
        Found::Active
    }

    /// Notifies, kills the user port, asks the clients in attach order.
    fn tell_of_phase_1(self: &ServiceRef, options: Options, make_inactive: &mut VecDeque<ServiceRef>) {
        self.trace(Kind::TermNotify, None, 0);
        self.kit().notifications().deliver(NotificationKind::Terminated, self);
        if self.driver().as_user_client().is_some() && self.port().destroy() {
            self.trace(Kind::PortDead, None, 0);
        }
        self.kit().ports().inactive(self);
        for client in self.clients() {
            let yes = client.driver().request_terminate(&client, self, options);
            client.trace(Kind::RequestTerminate, Some(self), u64::from(yes));
            // Only a client of several providers can have been found already; to look for the others costs their number each time.
            if yes && (client.is_only_provider(self) || !make_inactive.contains(&client)) {
                make_inactive.push_back(client);
            }
        }
    }

    fn end_phase_1(&self) {
        let held = self.arbitrate();
        self.change(State::empty(), State::TERM_PHASE_1);
        self.set_phase_1_thread(0);
        drop(held);
        self.kernel().wakeup(self.kit().phase_1_event(self.id()));
    }

    /// Order (e): waits while another thread is in phase 1 of this service; the same thread would wait for itself, which is
    /// reported instead.
    fn wait_for_phase_1(&self) {
        let kernel = self.kernel();
        loop {
            let held = self.arbitrate();
            if !self.state().contains(State::TERM_PHASE_1) {
                return;
            }
            if self.phase_1_thread() == kernel.thread_id() {
                self.trace_event(Event::new(Kind::Violation).text("terminate of itself (e)"));
                return;
            }
            kernel.assert_wait(self.kit().phase_1_event(self.id()), WaitMode::Uninterruptible, None);
            drop(held);
            kernel.block();
        }
    }
}
