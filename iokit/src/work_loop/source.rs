//! What all event sources have in common.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};

use mach::{KernelRef, SpinLock};
use trace::{Event, Kind, Subject};

use super::{Core, WorkLoop};
use crate::{
    IoKit,
    service::{Service, ServiceRef},
};

/// An event source: something that calls actions of its owner in the gate of a work loop.
///
/// The methods are called by the work loop; drivers use the concrete types.
#[doc(hidden)]
pub trait EventSource: Send + Sync + 'static {
    /// The common part.
    fn base(&self) -> &SourceBase;
    /// Whether it belongs into the active chain: it has work to check.
    fn is_active(&self) -> bool {
        false
    }
    /// Whether it is an interrupt source.
    fn is_interrupt(&self) -> bool {
        false
    }
    /// Does what there is to do; true = there is more. In the gate, on the loop's thread.
    fn check_for_work(&self) -> bool {
        false
    }
    /// It was linked to a loop; gate held.
    fn attached(&self) {}
    /// It is about to be unlinked, and is disabled already; gate held.
    fn detaching(&self) {}
    /// Whether it unlinks itself later (CG5).
    fn detach_deferred(&self) -> bool {
        false
    }
    /// Sets the flag and causes a pass (WL13).
    fn enable(&self) {
        self.base().enable();
    }
    /// Clears the flag.
    fn disable(&self) {
        self.base().set_enabled(false);
    }
}

/// Owner, enabled flag, work loop. The owner is not retained.
pub struct SourceBase {
    kit: IoKit,
    owner: Weak<Service>,
    owner_id: u32,
    slot: u32,
    enabled: AtomicBool,
    link: SpinLock<Option<Link>>,
    /// The first loop that it was attached to: nearly always the only one, so that who needs the loop in a hurry finds it without a lock.
    first: spin::Once<Arc<Core>>,
    /// Whether it is attached to `first` at this moment.
    on_first: AtomicBool,
}

/// The loop of a source, for as long as the source is borrowed.
pub(super) enum CoreRef<'a> {
    /// The first loop, which the source keeps.
    Kept(&'a Core),
    /// A later one.
    Shared(Arc<Core>),
}

impl core::ops::Deref for CoreRef<'_> {
    type Target = Core;
    #[inline]
    fn deref(&self) -> &Core {
        match self {
            Self::Kept(core) => core,
            Self::Shared(core) => core,
        }
    }
}

/// From a source to its loop: not a handle, so that sources do not keep the loop's thread alive.
#[derive(Clone)]
pub(crate) struct Link {
    core: Arc<Core>,
    handle: Weak<WorkLoop>,
}

impl SourceBase {
    pub(super) fn new(owner: &ServiceRef) -> Self {
        Self {
            kit: owner.kit().clone(),
            owner: Arc::downgrade(owner),
            owner_id: owner.id(),
            slot: owner.slot(),
            enabled: AtomicBool::new(true),
            link: SpinLock::new(None),
            first: spin::Once::new(),
            on_first: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn kernel(&self) -> &KernelRef {
        self.kit.kernel()
    }

    pub(super) fn kit(&self) -> &IoKit {
        &self.kit
    }

    /// The owner, if it still lives.
    pub fn owner(&self) -> Option<ServiceRef> {
        self.owner.upgrade()
    }

    /// The owner's registry id.
    pub fn owner_id(&self) -> u32 {
        self.owner_id
    }

    /// The owner's slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The enabled flag.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// IOEventSource's own enable: sets the flag and causes a pass (WL13).
    pub(super) fn enable(&self) {
        self.set_enabled(true);
        if let Some(core) = self.core_ref() {
            core.signal_work_available();
        }
    }

    pub(super) fn set_enabled(&self, enabled: bool) -> bool {
        self.enabled.swap(enabled, Ordering::AcqRel)
    }

    /// The loop that it is attached to.
    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.link.lock(self.kernel()).as_ref().map(|l| l.core.clone())
    }

    /// The loop that it is attached to, without a lock, if it is the first one.
    #[inline]
    pub(super) fn first_core(&self) -> Option<&Core> {
        self.first.get().filter(|_| self.on_first.load(Ordering::Acquire)).map(|core| &**core)
    }

    /// The loop that it is attached to, without a lock if it is the first one.
    #[inline]
    pub(super) fn core_ref(&self) -> Option<CoreRef<'_>> {
        match self.first_core() {
            Some(core) => Some(CoreRef::Kept(core)),
            None => self.core().map(CoreRef::Shared),
        }
    }

    /// A handle that keeps the loop alive.
    pub(super) fn handle(&self) -> Option<Arc<WorkLoop>> {
        let handle = self.link.lock(self.kernel()).as_ref().map(|l| l.handle.clone());
        handle?.upgrade()
    }

    pub(super) fn link(&self, core: &Arc<Core>, handle: &Arc<WorkLoop>) {
        *self.link.lock(self.kernel()) = Some(Link { core: core.clone(), handle: Arc::downgrade(handle) });
        let first = self.first.call_once(|| core.clone());
        self.on_first.store(Arc::ptr_eq(first, core), Ordering::Release);
    }

    pub(super) fn unlink(&self) -> Option<Link> {
        self.on_first.store(false, Ordering::Release);
        self.link.lock(self.kernel()).take()
    }

    /// Records an event about the owner; when, as [`mach::Kernel::trace_brief`].
    pub(super) fn trace(&self, kind: Kind, arg: u64) -> u64 {
        self.kernel().trace_brief(kind, Subject::of(self.owner_id).slot(self.slot), arg)
    }

    /// Reports the violation of `rule`.
    pub(super) fn violation(&self, rule: &str) {
        self.kernel().trace(Event::new(Kind::Violation).object(self.owner_id).slot(self.slot).text(rule));
    }
}
