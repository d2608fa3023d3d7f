//! What the machine calls: a CPU starts, a context runs first, an interrupt was taken (see [`crate::seam`]).

use crate::band;
use crate::kernel::Kernel;
use crate::policy::Policy;
use crate::seam::{PREEMPT_VECTOR, RESCHEDULE_VECTOR, TIMER_VECTOR};
use crate::thread::RunState;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use trace::{Kind, Subject};

/// Names of the idle threads, by CPU: a machine has eight at the most.
const IDLE: [&str; 8] = ["idle0", "idle1", "idle2", "idle3", "idle4", "idle5", "idle6", "idle7"];

impl Kernel {
    /// Upcall: this CPU starts; its boot context becomes its idle thread. Called masked; does not return before the machine is torn down.
    pub fn start_cpu(self: &Arc<Self>, cpu: usize) {
        let idle = self.new_thread(IDLE[cpu % IDLE.len()], band::IDLE, Policy::Fixed, None);
        idle.context.set(self.machine.adopt(idle.id()));
        idle.on_cpu.store(true, Ordering::Relaxed);
        idle.sched.lock().state = RunState::Running;
        self.cpus[cpu].dispatched.store(idle.id(), Ordering::Release);
        self.announce(&idle);
        let mut sched = self.sched_lock();
        sched.threads.insert(idle.id(), idle.clone());
        self.publish(&mut sched, &idle);
        sched.cpus[cpu].current = Some(idle.clone());
        sched.cpus[cpu].idle = Some(idle);
        drop(sched);
        let first = if cpu == 0 { self.lock_raw(&self.first).take() } else { None };
        if let Some(body) = first
            && self.spawn_boxed("first", band::KERNEL, Policy::Fixed, body).is_err()
        {
            self.machine.fatal(format_args!("no memory for the first thread"));
        }
        self.idle_loop(cpu);
    }

    fn idle_loop(&self, cpu: usize) {
        while !self.is_stopped() {
            self.machine.mask();
            let someone_waits = !self.sched_lock().queues.is_empty();
            if someone_waits || self.cpus[cpu].reschedule.load(Ordering::Relaxed) {
                self.reschedule(false);
                self.machine.unmask();
            } else {
                self.machine.idle();
            }
        }
    }

    /// Upcall: first activation of a context. Called masked.
    pub fn thread_entry(self: &Arc<Self>) {
        self.finish_switch();
        let thread = self.current();
        let body = thread.body.lock().take();
        self.machine.unmask();
        if let Some(body) = body {
            body(self);
        }
        drop(thread);
        if !self.is_stopped() {
            self.exit_thread();
        }
    }

    /// Upcall: an interrupt was taken. Called masked. True: [`Kernel::preempt`] is wanted.
    pub fn interrupt(self: &Arc<Self>, vector: u8) -> bool {
        let cpu = self.machine.cpu();
        let local = &self.cpus[cpu];
        local.interrupt_depth.fetch_add(1, Ordering::Relaxed);
        self.trace_brief(Kind::Interrupt, Subject::NONE, vector.into());
        match vector {
            TIMER_VECTOR => self.timer_interrupt(cpu),
            RESCHEDULE_VECTOR => local.reschedule.store(true, Ordering::Relaxed),
            PREEMPT_VECTOR => self.use_up_quantum(cpu),
            vector => self.interrupts.deliver(self, vector),
        }
        self.trace_brief(Kind::InterruptEnd, Subject::NONE, vector.into());
        let depth = local.interrupt_depth.fetch_sub(1, Ordering::Relaxed) - 1;
        depth == 0 && local.reschedule.load(Ordering::Relaxed)
    }

    /// Upcall: give way on the interrupted thread's own stack. Called masked.
    pub fn preempt(&self) {
        if !self.is_stopped() {
            self.reschedule(false);
        }
    }
}
