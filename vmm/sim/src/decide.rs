//! The slow path of a point: what happens next.

use mach::seam::RESCHEDULE_VECTOR;
use trace::ring::{COMMAND_VECTOR, Command};

use crate::{
    chooser::{Decision, Kind},
    cost, debug,
    ending::{end, never},
    fibre::{Suspend, suspend, suspend_or_end, upcall},
    outcome::Ended,
    state::{Cold, Hot, Mode, cold, hot, mask_of},
};

/// What a CPU does next.
pub(crate) enum Step {
    /// Runs on.
    Run,
    /// Gives way: another CPU is now the running one.
    Yield,
    /// Takes an interrupt.
    Take(u8),
    /// Looks again: time has passed.
    Again,
    /// Whoever steers the machine looks at it.
    Look,
    /// The run ends.
    End(Ended),
}

/// Called at a point when [`Hot::alarm`] is due. Returns when this CPU runs on, with the same thread.
#[cold]
#[inline(never)]
pub(crate) fn slow() {
    if !hot(|h| h.links.get()).on_fibre() {
        return;
    }
    if !running() {
        never();
    }
    loop {
        // Asked before the step: afterwards another CPU may be the running one.
        let idles = hot(idles);
        match hot(|h| cold(|c| c.step(h))) {
            Step::Run => return,
            Step::Yield => {
                if !give_way(idles) {
                    return;
                }
                hot(|h| cold(|c| c.resumed(h)));
            }
            Step::Take(vector) => {
                take(vector);
                if !running() {
                    return;
                }
            }
            Step::Again => {}
            Step::Look => {
                // If the run was ended there, this fibre does not come back.
                debug::look(|| {
                    suspend(Suspend::Look);
                    true
                });
            }
            Step::End(ended) => end(ended),
        }
    }
}

/// Whether an idle thread's own code runs, which looks whether the kernel was stopped before it does anything else. An interrupt's handler on
/// the same stack is none of it: that is masked.
fn idles(h: &Hot) -> bool {
    h.on_boot_context() && h.masked.get() & h.bit() == 0
}

/// Lets another CPU run. False when the run has ended meanwhile and this thread `idles`: it finds the way out.
fn give_way(idles: bool) -> bool {
    if idles {
        return suspend_or_end(Suspend::Next);
    }
    suspend(Suspend::Next);
    true
}

fn running() -> bool {
    hot(|h| h.mode.get()) == Mode::Running
}

/// One turn of a spin loop.
pub(crate) fn relax() {
    match hot(|h| cold(|c| c.relax(h))) {
        Step::Yield => suspend(Suspend::Next),
        Step::End(ended) => end(ended),
        Step::Run | Step::Take(_) | Step::Again | Step::Look => {}
    }
    if hot(|h| h.now.get() >= h.alarm.get()) {
        slow();
    }
}

/// Halts the CPU until it has taken an interrupt.
pub(crate) fn idle() {
    hot(|h| {
        h.halted.set(h.halted.get() | h.bit());
        h.masked.set(h.masked.get() & !h.bit());
    });
    loop {
        match hot(|h| cold(|c| c.idle(h))) {
            Step::Yield => {
                if !suspend_or_end(Suspend::Next) {
                    return;
                }
            }
            Step::Take(vector) => {
                hot(|h| h.halted.set(h.halted.get() & !h.bit()));
                take(vector);
                if running() {
                    slow();
                }
                return;
            }
            Step::Look => {
                if !debug::look(|| suspend_or_end(Suspend::Look)) {
                    return;
                }
            }
            Step::Run | Step::Again => {}
            Step::End(ended) => end(ended),
        }
    }
}

/// Takes `vector` on the running CPU, on the running fibre's stack.
fn take(vector: u8) {
    hot(|h| h.masked.set(h.masked.get() | h.bit()));
    let preempt = if vector == COMMAND_VECTOR {
        let commands = cold(|c| {
            let command = std::mem::replace(&mut c.command, Command::None);
            c.faults.commands(command)
        });
        for command in commands.into_iter().filter(|command| *command != Command::None) {
            upcall(|kernel| kernel.command(command));
        }
        false
    } else {
        upcall(|kernel| kernel.interrupt(vector))
    };
    hot(|h| cold(|c| c.end_of_interrupt(h, vector)));
    if preempt {
        upcall(|kernel| kernel.preempt());
    }
    hot(|h| h.masked.set(h.masked.get() & !h.bit()));
}

impl Cold {
    /// This CPU runs again: by a decision, so it passes at least one point before the next. (Two CPUs that spin, and a chooser that
    /// always changes, would otherwise send the turn back and forth between them for ever.)
    fn resumed(&mut self, h: &Hot) {
        self.decide_at = self.decide_at.max(h.now.get().saturating_add(cost::POINT));
    }

    fn step(&mut self, h: &Hot) -> Step {
        if self.wanted(h) {
            return Step::Look;
        }
        if h.now.get() >= self.due {
            if let Some(ended) = self.expire(h) {
                return Step::End(ended);
            }
            // What the machine itself recorded just now may be what somebody waits for.
            if self.wanted(h) {
                return Step::Look;
            }
        }
        if let Some(step) = self.step_stalled(h) {
            return step;
        }
        if h.now.get() >= self.decide_at {
            if let Some(ended) = self.exceeded(h) {
                return Step::End(ended);
            }
            self.elapse(h);
            let pause = self.chooser.pause(h.now.get()).max(cost::POINT);
            self.decide_at = h.now.get().saturating_add(pause);
            if self.choose_cpu(h, self.runnable(h) | h.bit()) {
                return Step::Yield;
            }
        }
        let cpu = h.cpu.get();
        let mut alarm = self.due.min(self.decide_at);
        if h.pending.get() & !h.masked.get() & h.bit() != 0 {
            let at = self.interrupts.deliver_at(cpu);
            if h.now.get() >= at {
                return self.choose_vector(h);
            }
            alarm = alarm.min(at);
        }
        h.alarm.set(alarm);
        Step::Run
    }

    fn relax(&mut self, h: &Hot) -> Step {
        let cpu = h.cpu.get();
        let points = h.points[cpu].get();
        // A loop that also masks and unmasks passes one more point a turn.
        let spinning = points.wrapping_sub(h.relaxed[cpu].get()) <= 1;
        let spins = if spinning { h.spins[cpu].get() + 1 } else { 0 };
        h.spins[cpu].set(spins);
        h.points[cpu].set(points + 1);
        h.relaxed[cpu].set(points + 1);
        if spins > self.limits.spins {
            let masked = if h.masked.get() & h.bit() != 0 { " with interrupts masked" } else { "" };
            let thread = h.thread[cpu].get();
            return Step::End(Ended::Stuck { reason: format!("CPU {cpu}, thread {thread}, spins{masked}") });
        }
        let others = self.runnable(h) & !h.bit();
        let busy = (0..self.cpus).any(|other| others >> other & 1 != 0 && !h.is_spinning(other));
        let price = cost::relax(spins, busy);
        let until_due = self.due.saturating_sub(h.now.get());
        // Whoever spins for a CPU that is stalled spins until the stall is over.
        let stalled = !busy && spins >= cost::SPINS && self.faults.stalled() != 0;
        let price = if stalled { until_due } else { price.min(until_due) }.max(cost::RELAX);
        h.now.set(h.now.get() + price);
        if others == 0 || !self.choose_cpu(h, others) { Step::Run } else { Step::Yield }
    }

    fn idle(&mut self, h: &Hot) -> Step {
        if self.wanted(h) {
            return Step::Look;
        }
        if h.now.get() >= self.due {
            if let Some(ended) = self.expire(h) {
                return Step::End(ended);
            }
            // What the machine itself recorded just now may be what somebody waits for.
            if self.wanted(h) {
                return Step::Look;
            }
        }
        // Before time passes by what is due next.
        if self.wanted(h) {
            return Step::Look;
        }
        if let Some(step) = self.step_stalled(h) {
            return step;
        }
        if h.pending.get() & h.bit() != 0 {
            return self.choose_vector(h);
        }
        let runnable = self.runnable(h);
        if runnable != 0 {
            self.choose_cpu(h, runnable);
            return Step::Yield;
        }
        if self.due >= self.limits.time {
            return Step::End(Ended::Deadlock);
        }
        // At least 1 ns: a device that always has something due at once must not stop the clock.
        h.now.set(self.due.max(h.now.get() + 1));
        Step::Again
    }

    /// CPUs that can run: not halted, or with something to take; and not stalled.
    fn runnable(&self, h: &Hot) -> u8 {
        (!h.halted.get() | h.pending.get()) & mask_of(self.cpus) & !self.faults.stalled()
    }

    /// What a CPU does that is stalled: another one runs, or time passes. `None` if it is not.
    fn step_stalled(&mut self, h: &Hot) -> Option<Step> {
        if self.faults.stalled() & h.bit() == 0 {
            return None;
        }
        let others = self.runnable(h);
        if others != 0 {
            self.choose_cpu(h, others);
            return Some(Step::Yield);
        }
        h.now.set(self.due.max(h.now.get() + 1));
        Some(Step::Again)
    }

    /// Makes one of `candidates` the running CPU. True if that is another one than before.
    fn choose_cpu(&mut self, h: &Hot, candidates: u8) -> bool {
        let cpu = h.cpu.get();
        let alternatives = candidates.count_ones();
        let mut nth = match alternatives {
            0 => return false,
            1 => 0,
            _ => self.ask(h, Kind::Cpu, alternatives, candidates),
        };
        let mut rest = candidates;
        if candidates & h.bit() != 0 {
            if nth == 0 {
                return false;
            }
            nth -= 1;
            rest &= !h.bit();
        }
        for _ in 0..nth {
            rest &= rest - 1;
        }
        h.run_cpu(rest.trailing_zeros() as usize);
        h.cpu.get() != cpu
    }

    fn choose_vector(&mut self, h: &Hot) -> Step {
        let cpu = h.cpu.get();
        let nth = match self.interrupts.pending(cpu) {
            0 | 1 => 0,
            n => self.ask(h, Kind::Vector, n, h.bit()),
        };
        let Some((vector, more)) = self.interrupts.take(cpu, nth) else { return Step::Again };
        if !more {
            h.pending.set(h.pending.get() & !h.bit());
        }
        self.taken(h, cpu, vector);
        Step::Take(vector)
    }

    /// Lets the CPU lose time, if the chooser wants it and there is something to lose it to.
    fn elapse(&mut self, h: &Hot) {
        let now = h.now.get();
        let room = self.due.saturating_sub(now).min(cost::ELAPSE);
        if self.due >= self.limits.time || room < cost::POINT {
            return;
        }
        match self.ask(h, Kind::Elapse, 3, h.bit()) {
            0 => {}
            1 => h.now.set(now + room / 2),
            _ => h.now.set(now + room),
        }
        if h.now.get() >= self.due {
            self.expire(h);
        }
    }

    fn ask(&mut self, h: &Hot, kind: Kind, alternatives: u32, cpus: u8) -> u32 {
        let decision = Decision { now: h.now.get(), kind, alternatives, cpus, cpu: h.cpu.get() as u8 };
        self.chooser.choose(decision).min(alternatives - 1)
    }

    /// Does what is due: timers, devices, the end of the plan. The answer ends the run.
    fn expire(&mut self, h: &Hot) -> Option<Ended> {
        let now = h.now.get();
        self.faults.expire(now);
        while let Some((cpu, vector)) = self.interrupts.expire(now) {
            self.raise(h, cpu, vector);
        }
        if now >= self.bus.next_deadline() {
            self.advance_platform(h);
        }
        if now >= self.look_at {
            self.look_at = u64::MAX;
            self.notice_alarm();
        }
        if self.plan.finish_due(now) {
            self.command = Command::Finish;
            self.raise(h, 0, COMMAND_VECTOR);
        }
        self.refresh_due();
        if now >= self.limits.time {
            return Some(Ended::Stuck { reason: format!("the run has not ended by {now} ns") });
        }
        None
    }

    /// Looks up the next deadline again.
    pub fn refresh_due(&mut self) {
        let deadlines = [
            self.interrupts.next_timer(),
            self.bus.next_deadline(),
            self.plan.finish_at,
            self.look_at,
            self.faults.next_end(),
            self.limits.time,
        ];
        self.due = deadlines.into_iter().min().unwrap_or(u64::MAX);
    }

    /// Makes `vector` pending on `cpu`; the chooser says how late it is taken.
    pub fn raise(&mut self, h: &Hot, cpu: usize, vector: u8) {
        self.raise_at(h, cpu, vector, h.now.get());
    }

    /// [`Cold::raise`], to be taken at `earliest` or later.
    fn raise_at(&mut self, h: &Hot, cpu: usize, vector: u8, earliest: u64) {
        if cpu >= self.cpus || self.interrupts.is_pending(cpu, vector) {
            return;
        }
        let alternatives = cost::LATENCY.len() as u32;
        let nth = self.ask(h, Kind::Latency, alternatives, 1 << cpu);
        let late = cost::LATENCY[nth as usize] * cost::POINT;
        self.interrupts.raise(cpu, vector, earliest.saturating_add(late));
        h.pending.set(h.pending.get() | 1 << cpu);
        if h.cpu.get() == cpu {
            h.hurry(0);
        }
    }

    /// Raises what a line asks for.
    pub fn raise_line(&mut self, h: &Hot, fired: Option<(usize, u8)>) {
        if let Some((cpu, vector)) = fired {
            self.raise(h, cpu, vector);
        }
    }

    fn end_of_interrupt(&mut self, h: &Hot, vector: u8) {
        if vector != RESCHEDULE_VECTOR {
            // The interrupted code gets a little further before a line that nobody served interrupts it again.
            let earliest = h.now.get() + cost::LINE_AGAIN;
            if let Some((cpu, vector)) = self.interrupts.end_of_interrupt(h.cpu.get(), vector) {
                self.raise_at(h, cpu, vector, earliest);
            }
        }
    }

    fn exceeded(&self, h: &Hot) -> Option<Ended> {
        let points = h.total_points();
        if points > self.limits.points {
            return Some(Ended::Stuck { reason: format!("the run has not ended after {points} points") });
        }
        let idle = points.saturating_sub(self.recorder.progress);
        (idle > self.limits.idle_points)
            .then(|| Ended::Stuck { reason: format!("nothing has gone forward for {idle} points") })
    }
}
