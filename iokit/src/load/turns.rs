//! Threads of the plan: they compute in turns, some in a driver's gate, and tell how late each turn was done.
//!
//! `thread.N=name:high,priority:97,policy:real-time,run:NS,every:NS,start:NS,gate:SLOT`. What a scheduling plan needs: something that
//! wants a CPU at a priority of its own choosing.

use super::Load;
use crate::IoKit;
use crate::bootargs::{ThreadArgs, ThreadPolicy};
use crate::driver::daq::DAQ_DRIVER;
use crate::driver::edu::EDU_DRIVER;
use crate::family::storage::IO_MEDIA;
use crate::matching::NotificationKind;
use crate::service::Service;
use crate::value::Properties;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use mach::{KernelRef, Policy, QUANTUM, SpinLock, Thread, WaitMode};
use trace::{Event, Kind};

/// By slot: the service whose gate threads of the plan compute in. It may have gone.
pub(super) type Gates = SpinLock<BTreeMap<u32, Weak<Service>>>;

impl Load {
    /// Begins to keep account of the services whose gates the plan's threads want.
    pub(super) fn watch_gates(self: &Arc<Self>, kit: &IoKit) {
        if kit.args().threads.iter().all(|thread| thread.gate.is_none()) {
            return;
        }
        for class in [EDU_DRIVER.name, IO_MEDIA.name, DAQ_DRIVER.name] {
            let load = self.clone();
            let wanted = (class, Properties::new());
            kit.notifications().add(kit, NotificationKind::FirstPublish, wanted, 0, move |service| {
                load.gates.lock(&load.kernel).insert(service.slot(), Arc::downgrade(service));
            });
        }
    }

    /// Starts the plan's threads: its time begins now.
    pub(super) fn start_threads(self: &Arc<Self>, kit: &IoKit) {
        let zero = self.kernel.now();
        for args in &kit.args().threads {
            let (own, args) = (self.clone(), args.clone());
            let (name, priority) = (args.name.clone(), args.priority);
            let policy = policy(args.policy, zero);
            let first = zero.saturating_add(args.start);
            self.running.fetch_add(1, core::sync::atomic::Ordering::AcqRel);
            let body = move |kernel: &KernelRef| {
                own.turns(kernel, &args, first);
                own.session_ended();
            };
            if self.kernel.spawn(&name, priority, policy, body).is_err() {
                self.kernel.log(format_args!("load: no memory for thread {name}"));
                self.session_ended();
            }
        }
    }

    fn turns(&self, kernel: &KernelRef, args: &ThreadArgs, first: u64) {
        let me = kernel.current();
        let mut due = first;
        while self.sleep_until(due) {
            if args.policy == ThreadPolicy::RealTime {
                me.set_policy(kernel, Policy::RealTime { deadline: due.saturating_add(args.every) });
            }
            if !self.turn(kernel, &me, args) || self.is_stopping() {
                continue;
            }
            let late = kernel.now().saturating_sub(due);
            kernel.trace(Event::new(Kind::Turn).object(me.id()).arg(late).text(&args.name));
            // Turns that were missed altogether are not made up for.
            let missed = late / args.every;
            due = due.saturating_add(args.every.saturating_mul(missed + 1));
        }
    }

    /// One turn; false if the gate that it needs is not there.
    fn turn(&self, kernel: &KernelRef, me: &Arc<Thread>, args: &ThreadArgs) -> bool {
        let compute = || self.compute(kernel, me, args.run);
        let Some(slot) = args.gate else {
            compute();
            return true;
        };
        let service = self.gates.lock(kernel).get(&slot).and_then(Weak::upgrade);
        match service.as_ref().and_then(|service| service.work_loop()) {
            Some(work_loop) => {
                work_loop.run_action(compute);
                true
            }
            None => {
                self.sleep_until(kernel.now().saturating_add(args.every));
                false
            }
        }
    }

    /// Uses the CPU for `run` ns, or until the run ends.
    fn compute(&self, kernel: &KernelRef, me: &Arc<Thread>, run: Option<u64>) {
        let begun = me.running_time(kernel);
        while !self.is_stopping() && run.is_none_or(|run| me.running_time(kernel) - begun < run) {
            kernel.relax();
        }
    }

    /// Sleeps until machine time `due`; false if the run ends.
    fn sleep_until(&self, due: u64) -> bool {
        while !self.is_stopping() {
            if self.kernel.now() >= due {
                return true;
            }
            self.kernel.assert_wait(self.stop, WaitMode::Uninterruptible, Some(due));
            if self.is_stopping() {
                self.kernel.clear_own_wait();
                return false;
            }
            self.kernel.block();
        }
        false
    }
}

fn policy(of: ThreadPolicy, zero: u64) -> Policy {
    match of {
        ThreadPolicy::Fixed => Policy::Fixed,
        ThreadPolicy::Timeshare => Policy::Timeshare,
        // Each turn has a deadline of its own.
        ThreadPolicy::RealTime => Policy::RealTime { deadline: zero },
        ThreadPolicy::RoundRobin => Policy::RoundRobin { quantum: QUANTUM },
    }
}
