//! The watchdog of a plan's run: every wait has an end.

use crate::armed::Armed;
use crate::ending::Ending;
use crate::machine::Machine;
use crate::options::Limits;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use trace::ring::Command;
use trace::{Event, Kind};

/// How long the end of a run may wait for timers, in machine time, ns: as long as the guest itself waits for requests that have not come back.
const TIMERS_NS: u64 = 20_000_000_000;

/// The kinds of event that the watchdog looks at.
pub const KINDS: [Kind; 4] = [Kind::Panic, Kind::HostDefect, Kind::TimerArm, Kind::TimerCancel];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until `boot.ready`.
    Booting,
    /// Until the plan's time is over.
    Running,
    /// From the finish command until power-off.
    Finishing,
}

/// Follows a run and ends it if it does not go on.
pub struct Watch {
    run_for: Option<u64>,
    limits: Limits,
    stage: Stage,
    since: Instant,
    life: Instant,
    exits: u64,
    armed: Armed,
    /// Machine time of the finish command.
    finish_at: u64,
}

impl Watch {
    /// The watch of a plan that runs for `run_for` ns of machine time.
    pub fn plan(run_for: u64, limits: Limits) -> Self {
        Self::new(Some(run_for), limits)
    }

    /// No watch: the guest may do what it likes.
    pub fn none() -> Self {
        Self::new(None, Limits::default())
    }

    fn new(run_for: Option<u64>, limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            run_for,
            limits,
            stage: Stage::Booting,
            since: now,
            life: now,
            exits: 0,
            armed: Armed::default(),
            finish_at: 0,
        }
    }

    /// How long the event loop may wait before it looks again.
    pub fn patience(&self) -> Duration {
        match self.run_for {
            Some(_) => Duration::from_millis(10),
            None => Duration::from_secs(1),
        }
    }

    /// Looks at what has come since the last time: whether `anything` has, and events among which those of [`KINDS`] are. Moves on to the next stage, or ends a
    /// machine that hangs.
    pub fn look(&mut self, machine: &Machine, anything: bool, events: &[Event]) {
        let Some(run_for) = self.run_for else { return };
        let exits = machine.exits.load(Ordering::Relaxed);
        if anything || exits != self.exits {
            self.life = Instant::now();
            self.exits = exits;
        }
        let mut grave = None;
        for event in events {
            match event.kind {
                Kind::TimerArm | Kind::TimerCancel => self.armed.event(event),
                kind => grave = grave.or_else(|| end_of(kind)),
            }
        }
        match self.stage {
            Stage::Booting => {
                if machine.ready_at.load(Ordering::Acquire) != u64::MAX {
                    self.enter(Stage::Running);
                }
            }
            Stage::Running => {
                let ready = machine.ready_at.load(Ordering::Acquire);
                if machine.clock.now() >= ready.saturating_add(run_for) {
                    self.enter(Stage::Finishing);
                    self.finish_at = machine.clock.now();
                    machine.command(Command::Finish);
                }
            }
            Stage::Finishing => self.wait_for_timers(machine.clock.now()),
        }
        self.bite(machine, grave);
    }

    /// A driver that waits for the time after which it gives a device up neither hangs nor is late.
    fn wait_for_timers(&mut self, now: u64) {
        if self.armed.any_after(now) && now < self.finish_at.saturating_add(TIMERS_NS) {
            self.held();
        }
    }

    /// The machine was held: what it did not do meanwhile is not its fault.
    pub fn held(&mut self) {
        let now = Instant::now();
        (self.since, self.life) = (now, now);
    }

    /// The plan ends now, if there is one.
    pub fn finish(&mut self) {
        self.run_for = self.run_for.map(|_| 0);
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
        self.life = self.since;
    }

    /// Ends a machine that hangs, or that has come to a `grave` event.
    fn bite(&self, machine: &Machine, grave: Option<&'static str>) {
        let silent = self.life.elapsed() > self.limits.silence;
        let what = match self.stage {
            Stage::Booting if silent => "it never said boot.ready",
            Stage::Finishing if silent => "it does not answer the command to finish",
            Stage::Finishing if self.since.elapsed() > self.limits.finish => "it does not come to an end",
            _ => match grave {
                Some(what) => what,
                None => return,
            },
        };
        machine.end(Ending::Hang { what: what.to_owned() });
    }
}

/// What an event says that nothing comes after. After a panic the guest stops; it need not manage to power off.
fn end_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Panic => Some("it panicked"),
        Kind::HostDefect => Some("its processor is defective"),
        _ => None,
    }
}
