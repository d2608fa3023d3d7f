//! The arbitration lock: one a service, recursive per thread, first come first served, deadlock-detecting.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use mach::{RecursiveLock, SpinLock, seam::ThreadId};
use trace::{Event, Kind};

use super::Service;
use crate::kit::IoKit;

/// The lock of one service.
pub(crate) struct Arbitration {
    lock: RecursiveLock,
    /// Thread that holds it; 0 = nobody. Shared with the wait graph while somebody waits.
    owner: Arc<AtomicU32>,
}

/// Who waits for whose arbitration lock. Touched under contention only.
pub(crate) struct WaitGraph {
    edges: SpinLock<Vec<Edge>>,
}

struct Edge {
    waiter: ThreadId,
    owner: Arc<AtomicU32>,
}

impl WaitGraph {
    pub(crate) fn new() -> Self {
        Self { edges: SpinLock::new(Vec::new()) }
    }

    /// Notes that `me` is about to wait for `owner`; false if that would close a circle.
    fn enter(&self, kit: &IoKit, me: ThreadId, owner: &Arc<AtomicU32>) -> bool {
        let mut edges = self.edges.lock(kit.kernel());
        let mut at = owner.load(Ordering::Acquire);
        for _ in 0..=edges.len() {
            if at == me {
                return false;
            }
            match edges.iter().find(|e| e.waiter == at) {
                Some(edge) => at = edge.owner.load(Ordering::Acquire),
                None => break,
            }
        }
        edges.push(Edge { waiter: me, owner: owner.clone() });
        true
    }

    fn leave(&self, kit: &IoKit, me: ThreadId) {
        let removed = {
            let mut edges = self.edges.lock(kit.kernel());
            edges.iter().position(|e| e.waiter == me).map(|at| edges.swap_remove(at))
        };
        drop(removed);
    }
}

impl Arbitration {
    pub(crate) fn new(kit: &IoKit) -> Self {
        Self { lock: RecursiveLock::first_come(kit.kernel()), owner: Arc::new(AtomicU32::new(0)) }
    }
}

/// The lock is held until this is dropped.
pub(crate) struct Arbitrated<'a> {
    service: &'a Service,
    /// The thread that holds it.
    me: ThreadId,
    outermost: bool,
}

impl Drop for Arbitrated<'_> {
    fn drop(&mut self) {
        let arbitration = &self.service.arbitration;
        if self.outermost {
            arbitration.owner.store(0, Ordering::Release);
        }
        arbitration.lock.unlock_as(self.service.kernel(), self.me);
    }
}

impl Service {
    /// Takes the arbitration lock. A circle of waiters is reported, and then is the hang that it is.
    pub(crate) fn arbitrate(&self) -> Arbitrated<'_> {
        match self.try_arbitrate() {
            Some(held) => held,
            None => {
                self.trace_event(Event::new(Kind::Violation).text("arbitration deadlock"));
                self.arbitration.lock.lock(self.kernel());
                self.arbitrated(self.kernel().thread_id())
            }
        }
    }

    /// Takes the arbitration lock; `None` if waiting for it would close a circle.
    pub(crate) fn try_arbitrate(&self) -> Option<Arbitrated<'_>> {
        let kernel = self.kernel();
        let me = kernel.thread_id();
        if self.arbitration.owner.load(Ordering::Acquire) == me {
            self.arbitration.lock.lock(kernel);
            return Some(Arbitrated { service: self, me, outermost: false });
        }
        if !self.arbitration.lock.try_lock_as(kernel, me) {
            let graph = self.kit.wait_graph();
            if !graph.enter(&self.kit, me, &self.arbitration.owner) {
                return None;
            }
            self.arbitration.lock.lock(kernel);
            graph.leave(&self.kit, me);
        }
        Some(self.arbitrated(me))
    }

    fn arbitrated(&self, me: ThreadId) -> Arbitrated<'_> {
        self.arbitration.owner.store(me, Ordering::Release);
        Arbitrated { service: self, me, outermost: true }
    }
}
