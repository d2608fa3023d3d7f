//! The one value that all of IOKit hangs off.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mach::{KernelRef, RecursiveLock, SpinGuard, SpinLock, WaitEvent};

use crate::{
    bootargs::{BootArgs, Era},
    class::{Class, ClassCount, ClassTable, IO_REGISTRY_ROOT},
    cycle::Cycles,
    matching::{Catalogue, Matcher, Notifications},
    ports::Ports,
    registry::{bundle::Bundles, property_lock},
    service::{Plain, ServiceBuilder, ServiceRef, WaitGraph},
    termination::Terminator,
};

/// Wait events of services becoming quiet: this and the service's id. (The kernel's own events count up from 1.)
const QUIET_EVENTS: u64 = 1 << 62;
/// Wait events of phase 1 ending.
const PHASE_1_EVENTS: u64 = 1 << 61;

/// IOKit: a handle, cheap to clone. Everything that would be a global elsewhere is in here.
#[derive(Clone)]
pub struct IoKit(Arc<Kit>);

/// What runs before the stacks are torn down at the end of a run.
pub type FinishHook = Box<dyn FnOnce(&IoKit) + Send>;

struct Kit {
    kernel: KernelRef,
    args: BootArgs,
    ids: AtomicU32,
    no_device: Arc<str>,
    classes: SpinLock<ClassTable>,
    root: SpinLock<Option<ServiceRef>>,
    finishing: AtomicBool,
    finish_hooks: SpinLock<Vec<FinishHook>>,
    /// Slots whose devices shall lose a client, bit n = slot n; and who waits for that.
    doomed: AtomicU32,
    doom: WaitEvent,
    catalogue: Catalogue,
    notifications: Notifications,
    matcher: Matcher,
    terminator: Terminator,
    waits: WaitGraph,
    bundles: Bundles,
    /// Era ≤ 10.4: one property lock for all entries (R2).
    property_lock: RecursiveLock,
    /// Held while links of planes other than the service plane change.
    planes: SpinLock<()>,
    ports: Ports,
    cycles: Cycles,
}

impl IoKit {
    /// An empty registry with its root, and no threads yet: see [`crate::boot`].
    pub fn new(kernel: &KernelRef, args: &BootArgs) -> Self {
        if args.era <= Era::E105 {
            kernel.set_fail_safe(mach::FAIL_SAFE_800_QUANTA);
        }
        kernel.set_preemption(args.preemption);
        if let Some(nanos) = args.fail_safe {
            kernel.set_fail_safe(nanos);
        }
        let kit = Self(Arc::new(Kit {
            kernel: kernel.clone(),
            args: args.clone(),
            ids: AtomicU32::new(1),
            no_device: "".into(),
            classes: SpinLock::new(ClassTable::default()),
            root: SpinLock::new(None),
            finishing: AtomicBool::new(false),
            finish_hooks: SpinLock::new(Vec::new()),
            doomed: AtomicU32::new(0),
            doom: kernel.new_event(),
            catalogue: Catalogue::new(),
            notifications: Notifications::new(),
            matcher: Matcher::new(kernel),
            terminator: Terminator::new(kernel),
            waits: WaitGraph::new(),
            bundles: Bundles::new(kernel),
            property_lock: property_lock(kernel),
            planes: SpinLock::new(()),
            ports: Ports::default(),
            cycles: Cycles::new(),
        }));
        let root = ServiceBuilder::new(&kit, Box::new(Plain(&IO_REGISTRY_ROOT))).named("Root").build();
        *kit.0.root.lock(kernel) = Some(root);
        kit
    }

    /// The kernel.
    #[inline]
    pub fn kernel(&self) -> &KernelRef {
        &self.0.kernel
    }

    /// The kernel command line.
    pub fn args(&self) -> &BootArgs {
        &self.0.args
    }

    /// The root of the registry; `None` after [`IoKit::shutdown`].
    pub fn root(&self) -> Option<ServiceRef> {
        self.0.root.lock(self.kernel()).clone()
    }

    /// The personalities.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// The driver bundles.
    pub fn bundles(&self) -> &Bundles {
        &self.0.bundles
    }

    /// The notification requests.
    pub fn notifications(&self) -> &Notifications {
        &self.0.notifications
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.0.matcher
    }

    pub(crate) fn terminator(&self) -> &Terminator {
        &self.0.terminator
    }

    pub(crate) fn wait_graph(&self) -> &WaitGraph {
        &self.0.waits
    }

    /// The property lock of eras that have one for all.
    pub(crate) fn property_lock(&self) -> &RecursiveLock {
        &self.0.property_lock
    }

    /// The ports by which user tasks reach services.
    pub(crate) fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// What steps of cycles need to know.
    pub(crate) fn cycles(&self) -> &Cycles {
        &self.0.cycles
    }

    /// What changes links of planes other than the service plane holds.
    pub(crate) fn lock_planes(&self) -> SpinGuard<'_, ()> {
        self.0.planes.lock(self.kernel())
    }

    pub(crate) fn next_id(&self) -> u32 {
        self.0.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn no_device(&self) -> Arc<str> {
        self.0.no_device.clone()
    }

    /// The event that waiters for service `id` to become quiet wait on.
    pub(crate) fn service_event(&self, id: u32) -> WaitEvent {
        WaitEvent(QUIET_EVENTS | u64::from(id))
    }

    /// The event that waiters for the end of phase 1 of service `id` wait on.
    pub(crate) fn phase_1_event(&self, id: u32) -> WaitEvent {
        WaitEvent(PHASE_1_EVENTS | u64::from(id))
    }

    /// The instance count of `class`.
    pub fn class_count(&self, class: &'static Class) -> Arc<ClassCount> {
        self.0.classes.lock(self.kernel()).count_of(class)
    }

    /// Instances of the class called `name`; 0 if there never were any.
    pub fn instances(&self, name: &str) -> u32 {
        self.0.classes.lock(self.kernel()).find(name).map_or(0, |c| c.instances())
    }

    /// The counts of all classes, in order of first use.
    pub fn class_counts(&self) -> Vec<Arc<ClassCount>> {
        self.0.classes.lock(self.kernel()).all()
    }

    /// Adds a hook for the end of the run: stop what keeps the stacks in use. Hooks run in the order they were added.
    pub fn on_finish(&self, hook: impl FnOnce(&IoKit) + Send + 'static) {
        self.0.finish_hooks.lock(self.kernel()).push(Box::new(hook));
    }

    /// Notes that the run is to end.
    pub(crate) fn ask_to_finish(&self) {
        self.0.finishing.store(true, Ordering::Release);
    }

    /// Whether the run is to end.
    pub(crate) fn finish_is_asked(&self) -> bool {
        self.0.finishing.load(Ordering::Acquire)
    }

    /// A client of each of these slots' devices shall die (bit n = slot n). Legal at interrupt level.
    pub(crate) fn doom(&self, slots: u32) {
        self.0.doomed.fetch_or(slots, Ordering::AcqRel);
        self.kernel().wakeup(self.0.doom);
    }

    /// Whose clients shall die; asking takes the order.
    pub(crate) fn take_doomed(&self) -> u32 {
        self.0.doomed.swap(0, Ordering::AcqRel)
    }

    /// What whoever lets clients die waits on.
    pub(crate) fn doom_event(&self) -> WaitEvent {
        self.0.doom
    }

    pub(crate) fn take_finish_hooks(&self) -> Vec<FinishHook> {
        core::mem::take(&mut *self.0.finish_hooks.lock(self.kernel()))
    }

    /// Breaks the reference cycles between this value and what hangs off it, so that a machine that is dropped frees all.
    /// Nothing of IOKit may run afterwards.
    pub fn shutdown(&self) {
        if self.ports().are_open() {
            self.close_to_tasks();
        }
        let root = self.0.root.lock(self.kernel()).take();
        if let Some(root) = root {
            root.unlink_tree();
        }
        drop(self.take_finish_hooks());
        self.0.catalogue.clear(self);
        self.0.bundles.clear(self);
        self.0.notifications.clear(self);
        self.0.matcher.clear(self);
        self.0.terminator.clear(self);
    }
}
