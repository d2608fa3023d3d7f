//! The workload: client threads that keep requests in flight and check every completion.
//!
//! `load.N=clients:C,depth:D` starts a session whenever the device in slot N is published: C connections, each with D threads
//! at user priority that are blocked in an external method most of the time. With `,as:tasks` each client is a user task that runs a program,
//! and what becomes of its calls is booked where they enter the kernel. A session ends when its
//! device goes, or with the run; then it prints its counts.

mod account;
mod camera;
mod client;
mod coverage;
mod cycle;
mod daq;
mod disk;
mod exercise;
mod hid;
mod node;
mod pattern;
mod reaper;
mod serial;
mod session;
mod task;
mod turns;

use crate::IoKit;
use crate::driver::daq::DAQ_DRIVER;
use crate::driver::edu::EDU_DRIVER;
use crate::driver::firewire_camera::FIREWIRE_CAMERA_DRIVER;
use crate::driver::firewire_node::FIREWIRE_NODE_DRIVER;
use crate::driver::raid;
use crate::driver::usb_hid::USB_HID_DRIVER;
use crate::driver::usb_serial::USB_SERIAL_DRIVER;
use crate::family::storage::IO_MEDIA;
use crate::matching::NotificationKind;
use crate::service::ServiceRef;
use crate::value::Properties;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use client::Client;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use exercise::Exercise;
use mach::{KernelRef, SpinLock, WaitEvent, WaitMode};
use session::Session;
use task::TaskClient;

/// How long the end of the run waits for requests in flight, in machine ns.
const FINISH_LIMIT_NS: u64 = 20_000_000_000;

/// What can be exercised, and how.
static EXERCISES: [(&str, Exercise); 7] = [
    (EDU_DRIVER.name, Exercise::Edu),
    (IO_MEDIA.name, Exercise::Disk),
    (DAQ_DRIVER.name, Exercise::Daq),
    (USB_HID_DRIVER.name, Exercise::Hid),
    (USB_SERIAL_DRIVER.name, Exercise::Serial),
    (FIREWIRE_NODE_DRIVER.name, Exercise::Node),
    (FIREWIRE_CAMERA_DRIVER.name, Exercise::Camera),
];

/// Slots that a plan's devices may have, and 0.
const SLOTS: usize = 32;

/// The workloads of a run.
pub(crate) struct Load {
    kernel: KernelRef,
    /// Nothing is issued any more.
    stopping: AtomicBool,
    /// Sessions that have not ended.
    running: AtomicU32,
    /// The same by slot.
    running_in: [AtomicU32; SLOTS],
    /// Slots whose clients stay away, bit n = slot n.
    closed: AtomicU32,
    idle: WaitEvent,
    /// By slot: the next request number of each client, kept across sessions so that request ids are unique in the run.
    numbers: SpinLock<BTreeMap<u32, Arc<Vec<AtomicU64>>>>,
    /// Rings when nothing is issued any more.
    stop: WaitEvent,
    gates: turns::Gates,
    /// The clients of all sessions, with their slots; some may have gone.
    clients: SpinLock<Vec<(u32, Weak<Client>)>>,
    /// Those that are tasks.
    tasks: SpinLock<Vec<Arc<TaskClient>>>,
}

/// Waits for the nubs that have a workload, and starts its clients when they publish; stops them at the end of the run. `None`: the plan has no workload.
/// [`Load::begin`] starts the plan's own threads, when its time begins.
pub(crate) fn start(kit: &IoKit) -> Option<Arc<Load>> {
    (!kit.args().loads.is_empty() || !kit.args().threads.is_empty()).then(|| prepare(kit))
}

fn prepare(kit: &IoKit) -> Arc<Load> {
    let load = Arc::new(Load {
        kernel: kit.kernel().clone(),
        stopping: AtomicBool::new(false),
        running: AtomicU32::new(0),
        running_in: Default::default(),
        closed: AtomicU32::new(0),
        idle: kit.kernel().new_event(),
        numbers: SpinLock::new(BTreeMap::new()),
        clients: SpinLock::new(Vec::new()),
        stop: kit.kernel().new_event(),
        gates: SpinLock::new(BTreeMap::new()),
        tasks: SpinLock::new(Vec::new()),
    });
    load.watch_gates(kit);
    if kit.args().loads.iter().any(|load| load.tasks) {
        kit.open_to_tasks();
    }
    load.start_reaper(kit);
    for (class, exercise) in EXERCISES {
        let load = load.clone();
        let wanted = (class, Properties::new());
        kit.notifications().add(kit, NotificationKind::FirstPublish, wanted, 0, move |service| {
            load.published(service, exercise);
        });
    }
    let own = load.clone();
    kit.on_finish(move |_| own.finish());
    load
}

impl Load {
    /// Plan time begins.
    pub(crate) fn begin(self: Arc<Self>, kit: &IoKit) {
        self.start_threads(kit);
    }

    /// A service that can be exercised was published: begins a session if its slot has a workload.
    fn published(self: &Arc<Self>, service: &ServiceRef, exercise: Exercise) {
        let Some(args) = service.kit().args().load(service.slot()) else { return };
        // A disk of a mirror is the mirror's: who wrote to it behind its back would find other data than his.
        if exercise == Exercise::Disk && raid::is_member(service) || self.is_closed(service.slot()) {
            return;
        }
        self.running.fetch_add(1, Ordering::AcqRel);
        if let Some(running) = self.running_in(service.slot()) {
            running.fetch_add(1, Ordering::AcqRel);
        }
        let numbers = self.numbers(service.slot(), args.clients);
        Session::begin(self, service, exercise, args, numbers);
    }

    fn numbers(&self, slot: u32, clients: u32) -> Arc<Vec<AtomicU64>> {
        let fresh = || Arc::new((0..clients).map(|_| AtomicU64::new(0)).collect());
        self.numbers.lock(&self.kernel).entry(slot).or_insert_with(fresh).clone()
    }

    /// A client of the device in `slot` has connected.
    fn connected(&self, slot: u32, client: &Arc<Client>) {
        let mut clients = self.clients.lock(&self.kernel);
        clients.retain(|(_, client)| client.strong_count() != 0);
        clients.push((slot, Arc::downgrade(client)));
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn session_ended(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.kernel.wakeup(self.idle);
    }

    /// Lets every session end, and waits for the requests in flight.
    fn finish(&self) {
        self.stopping.store(true, Ordering::Release);
        self.kernel.wakeup(self.stop);
        self.end_tasks();
        let deadline = self.kernel.now().saturating_add(FINISH_LIMIT_NS);
        loop {
            self.kernel.assert_wait(self.idle, WaitMode::Uninterruptible, Some(deadline));
            let running = self.running.load(Ordering::Acquire);
            if running == 0 || self.kernel.now() >= deadline {
                self.kernel.clear_own_wait();
                if running != 0 {
                    self.kernel.log(format_args!("load: {running} session(s) did not end"));
                }
                return;
            }
            self.kernel.block();
        }
    }
}
