//! What a work loop consists of.

use alloc::{sync::Arc, vec::Vec};
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use mach::{KernelRef, LockClass, RecursiveLock, SpinLock, WaitEvent};
use trace::{Event, Kind, Subject};

use super::{EventSource, WorkLoop, overstay};
use crate::{
    ioreturn::{IOResult, IOReturn},
    service::Service,
};

/// The loop itself, shared by its handle ([`WorkLoop`]), its thread and its sources.
///
/// Sources and core hold each other until a source is removed or the last handle goes (WL12).
pub(crate) struct Core {
    kernel: KernelRef,
    /// [`mach::Kernel::traced`], which never changes.
    pub(super) traced: bool,
    /// What takes longer than this many ns overstays (OV1); `None`: nobody wants to know.
    pub(super) limit: Option<NonZeroU64>,
    pub(super) owner: u32,
    pub(super) slot: u32,
    pub(super) gate: RecursiveLock,
    /// The trace is read, or there is a [`Core::maximum`]: what the short way through the gate asks.
    pub(super) observed: AtomicBool,
    /// Machine time of the first level's close, if there is a maximum.
    pub(super) closed_at: AtomicU64,
    /// WL14, ns; 0 = none.
    pub(super) maximum: AtomicU64,
    /// WL14: panic instead of reporting.
    pub(super) maximum_is_fatal: AtomicBool,
    /// How long the gate's owner has kept it closed.
    pub(super) stretch: overstay::Stretch,
    pub(super) work: SpinLock<Work>,
    pub(super) event: WaitEvent,
    /// The loop's thread; 0 = none yet.
    pub(super) thread: AtomicU32,
    /// Changed with the gate held; the spin lock lets WL8 look without it.
    pub(super) chains: SpinLock<Chains>,
    pub(super) restart: AtomicBool,
}

/// The work-to-do flag and its like, under the spin lock (WL5, WL6).
#[derive(Default)]
pub(super) struct Work {
    pub(super) to_do: bool,
    pub(super) terminate: bool,
}

/// WL3: sources that have work to check, and those that do not; each in order of adding.
#[derive(Default)]
pub(super) struct Chains {
    pub(super) active: Vec<Arc<dyn EventSource>>,
    pub(super) passive: Vec<Arc<dyn EventSource>>,
}

impl Chains {
    fn of(&mut self, active: bool) -> &mut Vec<Arc<dyn EventSource>> {
        if active { &mut self.active } else { &mut self.passive }
    }
}

/// Gates of one class of owners are taken in the same order: what any of them is taken inside of, or outside of, is watched.
fn gate_class(owner: &Service) -> LockClass {
    owner.kernel().lock_class(&alloc::format!("{} gate", owner.class().name))
}

impl Core {
    pub(super) fn new(owner: &Service) -> Self {
        let kernel = owner.kernel();
        Self {
            kernel: kernel.clone(),
            traced: kernel.traced(),
            limit: overstay::limit(owner.kit()),
            owner: owner.id(),
            slot: owner.slot(),
            gate: RecursiveLock::in_class(kernel, gate_class(owner)),
            observed: AtomicBool::new(kernel.traced()),
            closed_at: AtomicU64::new(0),
            maximum: AtomicU64::new(0),
            maximum_is_fatal: AtomicBool::new(false),
            stretch: overstay::Stretch::new(),
            work: SpinLock::new(Work::default()),
            event: kernel.new_event(),
            thread: AtomicU32::new(0),
            chains: SpinLock::new(Chains::default()),
            restart: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// Records an event about this loop; when, as [`mach::Kernel::trace_brief`].
    #[inline]
    pub(crate) fn trace(&self, kind: Kind, arg: u64) -> u64 {
        if self.traced { self.tell(kind, arg) } else { 0 }
    }

    #[inline]
    fn tell(&self, kind: Kind, arg: u64) -> u64 {
        self.kernel.machine().trace_brief(kind, Subject::of(self.owner).slot(self.slot), arg)
    }

    /// Reports the violation of `rule`.
    pub(crate) fn violation(&self, rule: &str, arg: u64) {
        self.kernel()
            .trace(Event::new(Kind::Violation).object(self.owner).slot(self.slot).arg(arg).text(rule));
    }

    /// Both chains, active first.
    pub(super) fn sources(&self) -> Vec<Arc<dyn EventSource>> {
        let chains = self.chains.lock(self.kernel());
        chains.active.iter().chain(&chains.passive).cloned().collect()
    }

    pub(super) fn add(self: &Arc<Self>, handle: &Arc<WorkLoop>, source: &Arc<dyn EventSource>) -> IOResult {
        let _gate = self.enter();
        if source.base().core().is_some() {
            return Ok(());
        }
        if source.is_active() {
            self.start_thread()?;
        }
        source.base().link(self, handle);
        self.chains.lock(self.kernel()).of(source.is_active()).push(source.clone());
        source.attached();
        self.restart.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) fn remove(self: &Arc<Self>, source: &Arc<dyn EventSource>) -> IOResult {
        let _gate = self.enter();
        match source.base().core() {
            None => return Ok(()),
            Some(core) if !Arc::ptr_eq(&core, self) => return Err(IOReturn::BadArgument),
            Some(_) => {}
        }
        let unlinked = {
            let mut chains = self.chains.lock(self.kernel());
            let chain = chains.of(source.is_active());
            chain.iter().position(|s| Arc::ptr_eq(s, source)).map(|at| chain.remove(at))
        };
        self.detach_source(source);
        self.restart.store(true, Ordering::Release);
        drop(unlinked);
        Ok(())
    }

    /// Disables a source and cuts its link; gate held.
    pub(super) fn detach_source(&self, source: &Arc<dyn EventSource>) {
        source.disable();
        source.detaching();
        if !source.detach_deferred() {
            drop(source.base().unlink());
        }
        let base = source.base();
        base.trace(Kind::SourceRemoved, 0);
    }
}
