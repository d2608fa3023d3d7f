//! Notifications about services.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use mach::{KernelRef, SpinLock};

use crate::{
    IoKit,
    in_flight::InFlight,
    service::{ServiceRef, State},
    value::Properties,
};

/// When a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    /// The service is registered for the first time.
    FirstPublish,
    /// The service is registered.
    Publish,
    /// Matching came to an end.
    Matched,
    /// Matching came to an end for the first time.
    FirstMatch,
    /// Phase 1 made the service inactive; on the terminating caller's thread.
    Terminated,
    /// Phase 2 is about to tell its clients.
    WillTerminate,
}

const KINDS: usize = 6;

impl NotificationKind {
    /// The state bit of services that an added notification is told of at once.
    fn existing(self) -> Option<State> {
        match self {
            Self::FirstPublish => Some(State::FIRST_PUBLISH),
            Self::Publish => Some(State::REGISTERED),
            Self::Matched => Some(State::MATCHED),
            Self::FirstMatch => Some(State::FIRST_MATCH),
            Self::Terminated | Self::WillTerminate => None,
        }
    }
}

type Handler = Box<dyn Fn(&ServiceRef) + Send + Sync>;

/// A notification request.
pub struct Notifier {
    kit: IoKit,
    kind: NotificationKind,
    class: &'static str,
    wanted: Properties,
    priority: i32,
    handler: Handler,
    calls: InFlight,
}

/// All notification requests, highest priority first.
pub struct Notifications {
    list: SpinLock<Vec<Arc<Notifier>>>,
    /// Requests of each kind: most deliveries find none.
    counts: [AtomicU32; KINDS],
}

impl Notifications {
    pub(crate) fn new() -> Self {
        Self { list: SpinLock::new(Vec::new()), counts: [const { AtomicU32::new(0) }; KINDS] }
    }

    /// Calls `handler` for every service of `class` with the properties `wanted`: those that exist, at once and on this
    /// thread; others when they come to `kind`. Highest priority first, ties in order of adding.
    pub fn add(
        &self,
        kit: &IoKit,
        kind: NotificationKind,
        (class, wanted): (&'static str, Properties),
        priority: i32,
        handler: impl Fn(&ServiceRef) + Send + Sync + 'static,
    ) -> Arc<Notifier> {
        let kernel = kit.kernel();
        let notifier = Arc::new(Notifier {
            kit: kit.clone(),
            kind,
            class,
            wanted,
            priority,
            handler: Box::new(handler),
            calls: InFlight::new(kernel),
        });
        let root = kit.root();
        let existing = {
            let mut list = self.list.lock(kernel);
            let at = list.partition_point(|n| n.priority >= priority);
            list.insert(at, notifier.clone());
            self.counts[kind as usize].fetch_add(1, Ordering::AcqRel);
            root.zip(kind.existing()).map(|(root, state)| services_with(&root, state)).unwrap_or_default()
        };
        for service in &existing {
            notifier.notify(kernel, service);
        }
        notifier
    }

    /// Tells of `service` what is not tied to a state bit.
    pub(crate) fn deliver(&self, kind: NotificationKind, service: &ServiceRef) {
        for notifier in self.listeners(service.kernel(), kind) {
            notifier.notify(service.kernel(), service);
        }
    }

    /// Sets state bits and tells who asked for the kinds that they stand for; arbitration lock *not* held.
    /// One lock for both, so that a request that is added at the same time hears of the service exactly once.
    pub(crate) fn advance(&self, service: &ServiceRef, kinds: &[NotificationKind]) {
        let kernel = service.kernel();
        let bits = kinds.iter().filter_map(|k| k.existing()).fold(State::empty(), |a, b| a | b);
        let told = {
            let _held = service.arbitrate();
            if service.is_inactive() {
                return;
            }
            let list = self.list.lock(kernel);
            let old = service.change(bits, State::empty());
            let fresh = |n: &&Arc<Notifier>| {
                kinds.contains(&n.kind)
                    && n.kind.existing().is_some_and(|s| !old.contains(s) || !n.kind.once())
            };
            let mut told = Vec::with_capacity(list.len());
            told.extend(list.iter().filter(fresh).cloned());
            told
        };
        for kind in kinds {
            told.iter().filter(|n| n.kind == *kind).for_each(|n| n.notify(kernel, service));
        }
    }

    fn listeners(&self, kernel: &KernelRef, kind: NotificationKind) -> Vec<Arc<Notifier>> {
        if self.counts[kind as usize].load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.list.lock(kernel).iter().filter(|n| n.kind == kind).cloned().collect()
    }

    pub(crate) fn clear(&self, kit: &IoKit) {
        let gone = core::mem::take(&mut *self.list.lock(kit.kernel()));
        drop(gone);
    }
}

impl NotificationKind {
    /// Told once in a service's life.
    fn once(self) -> bool {
        matches!(self, Self::FirstPublish | Self::FirstMatch)
    }
}

impl Notifier {
    /// Calls the handler, without any lock, if the service is one that was asked for.
    fn notify(&self, kernel: &KernelRef, service: &ServiceRef) {
        if !service.class().is_a(self.class) || !service.matches(&self.wanted) {
            return;
        }
        self.calls.call(kernel, || (self.handler)(service));
    }

    /// Takes the request back, and waits for handlers in flight on other threads.
    pub fn remove(self: &Arc<Self>) {
        let kernel = self.kit.kernel();
        let notifications = self.kit.notifications();
        let unlisted = {
            let mut list = notifications.list.lock(kernel);
            list.iter().position(|n| Arc::ptr_eq(n, self)).map(|at| list.remove(at))
        };
        if unlisted.is_some() {
            notifications.counts[self.kind as usize].fetch_sub(1, Ordering::AcqRel);
        }
        self.calls.remove(kernel);
    }
}

/// Services below `root` that have all of `state`, parents first.
fn services_with(root: &ServiceRef, state: State) -> Vec<ServiceRef> {
    let mut found: Vec<ServiceRef> = Vec::new();
    let mut left = alloc::collections::VecDeque::from([root.clone()]);
    while let Some(service) = left.pop_front() {
        left.extend(service.clients());
        if service.state().contains(state) && !found.contains(&service) {
            found.push(service);
        }
    }
    found
}
