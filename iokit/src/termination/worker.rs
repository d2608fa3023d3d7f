//! Phases 2 and 3, by whoever plays the termination thread's part.

use alloc::{collections::VecDeque, vec::Vec};

use trace::Kind;

use crate::{
    IoKit,
    matching::NotificationKind,
    message::Message,
    service::{Options, Service, ServiceRef, State},
};

/// What was taken off the lists; freed only when the worker is through.
type Kept = Vec<ServiceRef>;

/// What a worker keeps of the termination of one device: its services, some more than once.
const USUAL_KEPT: usize = 16;

/// What the scan of the stop list found.
enum Stop {
    /// This one can stop now.
    Ready(ServiceRef, ServiceRef),
    /// It was detached already.
    Nothing(ServiceRef, ServiceRef),
    /// All that is left waits for something.
    End,
}

impl IoKit {
    /// Does all that is on the lists.
    pub(super) fn do_termination_work(&self, options: Options) {
        let options = options | Options::REQUIRED | Options::TERMINATE;
        let mut kept = Kept::with_capacity(USUAL_KEPT);
        loop {
            let done = self.jobs(|jobs| jobs.work);
            while let Some(root) = self.jobs(|jobs| jobs.phase_2.pop_front()) {
                phase_2(root, options, &mut kept);
            }
            self.phase_3(options, &mut kept);
            let left = self.jobs(|jobs| {
                jobs.work -= done;
                jobs.work
            });
            if left == 0 {
                break;
            }
        }
        drop(kept);
    }

    fn jobs<R>(&self, f: impl FnOnce(&mut super::lists::Jobs) -> R) -> R {
        self.terminator().with(self.kernel(), f)
    }

    fn phase_3(&self, options: Options, kept: &mut Kept) {
        loop {
            while let Some(victim) = self.jobs(|jobs| jobs.finalize.pop_front()) {
                victim.finalize_once(options);
                kept.push(victim);
            }
            match self.next_stop() {
                Stop::Ready(client, provider) => {
                    provider.in_gate(|| stop(&client, &provider));
                    kept.extend([client, provider]);
                }
                Stop::Nothing(client, provider) => kept.extend([client, provider]),
                Stop::End => return,
            }
        }
    }

    /// The first on the stop list that need not wait.
    fn next_stop(&self) -> Stop {
        // Who was detached while it waited is seen when there is nothing else to do.
        self.scan_stops()
            .or_else(|| {
                self.jobs(|jobs| jobs.stop.again());
                self.scan_stops()
            })
            .unwrap_or(Stop::End)
    }

    /// Only the worker removes, and others append: what is first stays it.
    fn scan_stops(&self) -> Option<Stop> {
        while let Some((number, (client, provider))) = self.jobs(|jobs| jobs.stop.first()) {
            let attached = client.is_client_of(&provider);
            if attached && client.waits_to_stop() {
                self.jobs(|jobs| jobs.stop.waits(number));
                continue;
            }
            let removed = self.jobs(|jobs| jobs.stop.remove(number));
            drop(removed);
            // It may have been queued more than once.
            return Some(if attached {
                Stop::Ready(client, provider)
            } else {
                Stop::Nothing(client, provider)
            });
        }
        None
    }
}

/// Phase 2 from `root`: wills breadth-first, then dids in exact reverse.
fn phase_2(root: ServiceRef, options: Options, kept: &mut Kept) {
    let mut to_visit = VecDeque::from([root]);
    let mut visited = Vec::new();
    while let Some(victim) = to_visit.pop_front() {
        if victim.may_begin_phase_2() {
            will_terminate(&victim, options, &mut to_visit);
            visited.push(victim);
        } else {
            kept.push(victim);
        }
    }
    while let Some(victim) = visited.pop() {
        let leaf = {
            let _held = victim.arbitrate();
            victim.change(State::TERM_PHASE_3, State::empty());
            !victim.has_clients()
        };
        victim.in_gate(|| did_terminate(&victim, options));
        if leaf {
            victim.schedule_finalize(false);
        }
        kept.push(victim);
    }
}

/// Notifies, and tells the clients in the victim's gate.
fn will_terminate(victim: &ServiceRef, options: Options, to_visit: &mut VecDeque<ServiceRef>) {
    victim.trace(Kind::WillNotify, None, 0);
    victim.kit().notifications().deliver(NotificationKind::WillTerminate, victim);
    victim.in_gate(|| {
        for client in victim.clients() {
            client.trace(Kind::WillTerminate, Some(victim), 0);
            client.driver().will_terminate(&client, victim, options);
            to_visit.push_back(client);
        }
    });
}

/// In the victim's gate.
fn did_terminate(victim: &ServiceRef, options: Options) {
    victim.message_clients(Message::IsTerminated, u64::from(options.bits()), None);
    for client in victim.clients() {
        let mut defer = false;
        client.trace(Kind::DidTerminate, Some(victim), 0);
        client.driver().did_terminate(&client, victim, options, &mut defer);
    }
}

/// In the provider's gate.
fn stop(client: &ServiceRef, provider: &ServiceRef) {
    {
        // Looked at again, and told, in one: a client that lives on another provider (order (g)) may be terminated by that at any time,
        // and then has to be finalized first.
        let _held = client.arbitrate();
        if client.waits_to_stop() {
            client.schedule_stop(provider);
            return;
        }
        client.trace(Kind::Stop, Some(provider), 0);
    }
    client.driver().stop(client, provider);
    if provider.is_open(Some(client)) {
        provider.close(client, Options::empty());
    }
    client.detach(provider);
}

impl Service {
    /// Whether phase 2 may begin here: not in phase 1, nor twice, nor during matching or while a client starts (it is
    /// scheduled again afterwards: [`Service::resume_phase_2`]).
    fn may_begin_phase_2(&self) -> bool {
        let _held = self.arbitrate();
        let state = self.state();
        let phase_1 = State::TERM_PHASE_1 | State::TERM_PHASE_1_BELOW;
        if !state.contains(State::INACTIVE) || state.intersects(phase_1 | State::TERM_PHASE_2) {
            return false;
        }
        let early = state.intersects(State::CONFIG | State::NEED_CONFIG)
            || self.clients().iter().any(|c| c.state().contains(State::STARTING));
        self.change(if early { State::TERM_PHASE_2_LATER } else { State::TERM_PHASE_2 }, State::empty());
        !early
    }

    /// Whether `stop` has to wait: terminated, and its own clients are not through.
    fn waits_to_stop(&self) -> bool {
        let state = self.state();
        state.contains(State::INACTIVE) && !state.contains(State::FINALIZED)
    }

    /// Calls `finalize` in this service's gate, the first time.
    fn finalize_once(self: &ServiceRef, options: Options) {
        let first = {
            let _held = self.arbitrate();
            !self.change(State::FINALIZED, State::empty()).contains(State::FINALIZED)
        };
        if first {
            let id = self.id();
            self.kit().terminator().with(self.kernel(), |jobs| jobs.stop.finalized(id));
            self.in_gate(|| {
                self.trace(Kind::Finalize, None, 0);
                self.driver().finalize(self, options);
            });
        }
    }
}
