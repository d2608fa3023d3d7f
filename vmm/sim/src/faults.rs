//! What a plan does to the processors and the memory.

use std::sync::atomic::{AtomicU32, AtomicU64};

use devices::{fault::plan, platform::Ask};
use mach::seam::{PREEMPT_VECTOR, TIMER_VECTOR};
use trace::{
    Scarcity,
    ring::{COMMAND_VECTOR, Command},
};

use crate::{
    MAX_CPUS,
    state::{Cold, Hot},
};

/// Two interrupts at one instant: the loser is raised when the winner is taken.
#[derive(Debug)]
enum Race {
    /// The timer wins: what the device raises in this call waits for it.
    Timer {
        /// The CPU whose timer it is.
        cpu: usize,
        /// What waits.
        losers: Vec<(usize, u8)>,
    },
    /// The device wins: its interrupt is still to be raised. The CPUs whose timers wait.
    Device(Vec<usize>),
    /// The device wins: this vector on this CPU is awaited.
    Winner {
        /// The device's CPU.
        cpu: usize,
        /// Its vector.
        vector: u8,
        /// The CPUs whose timers wait.
        timers: Vec<usize>,
    },
}

/// The state of it.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Virtual time until which each CPU executes nothing; 0 = it runs.
    stalled_until: [u64; MAX_CPUS],
    /// Those that execute nothing, a bit each: asked at every step.
    stalled: u8,
    /// Slots whose clients shall die, bit n = slot n.
    kill: u32,
    scarce_after: AtomicU32,
    scarce_below: AtomicU32,
    scarce_state: AtomicU64,
    race: Option<Race>,
}

impl Faults {
    /// When the next stall ends; `u64::MAX` = none runs.
    pub fn next_end(&self) -> u64 {
        if self.stalled == 0 {
            return u64::MAX;
        }
        self.stalled_until.iter().copied().filter(|&time| time != 0).min().unwrap_or(u64::MAX)
    }

    /// The CPUs that execute nothing, a bit each.
    pub fn stalled(&self) -> u8 {
        self.stalled
    }

    /// Ends the stalls whose time is over.
    pub fn expire(&mut self, now: u64) {
        if self.stalled == 0 {
            return;
        }
        for (cpu, until) in self.stalled_until.iter_mut().enumerate().filter(|(_, until)| **until <= now) {
            *until = 0;
            self.stalled &= !(1 << cpu);
        }
    }

    /// Whether there is memory for one more allocation.
    pub fn has_memory(&self) -> bool {
        let Self { scarce_after: after, scarce_below: below, scarce_state: state, .. } = self;
        Scarcity { after, below, state }.allows()
    }

    /// The commands that the host has for the guest: `command`, and who shall die.
    pub fn commands(&mut self, command: Command) -> [Command; 2] {
        let kill = std::mem::take(&mut self.kill);
        [command, if kill == 0 { Command::None } else { Command::Kill(kill) }]
    }
}

impl Cold {
    /// The plan wants something of the machine.
    pub fn ask_machine(&mut self, h: &Hot, ask: Ask) {
        let now = h.now.get();
        match ask {
            Ask::Stall { cpu, duration } => {
                if let Some(until) = self.faults.stalled_until.get_mut(cpu as usize) {
                    *until = (*until).max(now.saturating_add(duration));
                    self.faults.stalled |= u8::from(*until != 0) << cpu;
                    self.refresh_due();
                    h.hurry(0);
                }
            }
            Ask::ClockJump { by } => {
                h.now.set(now.saturating_add(by));
                // The guest had none of that time.
                self.limits.time = self.limits.time.saturating_add(by);
                self.refresh_due();
                h.hurry(0);
            }
            Ask::Preempt { cpu } => {
                let cpu = cpu.map_or(h.cpu.get(), |cpu| cpu as usize);
                self.raise_now(h, cpu, PREEMPT_VECTOR);
            }
            Ask::FailAlloc { which, seed } => self.make_scarce(which, seed),
            Ask::Plenty => *self.faults.scarce_below.get_mut() = 0,
            Ask::Kill { slot } => {
                self.faults.kill |= 1_u32.checked_shl(slot).unwrap_or(0);
                self.raise(h, 0, COMMAND_VECTOR);
            }
            Ask::Race { timer_first } => self.start_race(timer_first),
        }
    }

    fn make_scarce(&mut self, which: plan::Scarcity, seed: u64) {
        let faults = &mut self.faults;
        match which {
            plan::Scarcity::Nth(n) => {
                *faults.scarce_after.get_mut() = u32::try_from(n).unwrap_or(u32::MAX);
            }
            plan::Scarcity::Chance { chance, .. } => {
                *faults.scarce_below.get_mut() = chance.of_32_bits();
                *faults.scarce_state.get_mut() = seed;
            }
        }
    }

    /// Two interrupts meet: a timer that has just gone off, if one has, and what the device raises next.
    fn start_race(&mut self, timer_first: bool) {
        let pending: Vec<usize> =
            (0..self.cpus).filter(|&cpu| self.interrupts.is_pending(cpu, TIMER_VECTOR)).collect();
        let Some(&cpu) = pending.first() else { return };
        self.faults.race =
            Some(if timer_first { Race::Timer { cpu, losers: Vec::new() } } else { Race::Device(pending) });
    }

    /// The call in which a race began is over: what was not raised in it takes no part.
    pub fn end_call(&mut self) {
        let idle = match &self.faults.race {
            Some(Race::Device(_)) => true,
            Some(Race::Timer { losers, .. }) => losers.is_empty(),
            Some(Race::Winner { .. }) | None => false,
        };
        if idle {
            self.faults.race = None;
        }
    }

    /// A device raises `vector` on `cpu`; true if a race says when.
    pub fn raise_in_race(&mut self, h: &Hot, cpu: usize, vector: u8) -> bool {
        match self.faults.race.take() {
            None => false,
            Some(Race::Timer { cpu: timer, mut losers }) => {
                let wins = self.interrupts.is_pending(timer, TIMER_VECTOR);
                if wins {
                    losers.push((cpu, vector));
                    self.faults.race = Some(Race::Timer { cpu: timer, losers });
                }
                wins
            }
            Some(Race::Device(timers)) => {
                for &cpu in &timers {
                    self.withdraw(h, cpu, TIMER_VECTOR);
                }
                self.faults.race = Some(Race::Winner { cpu, vector, timers });
                self.raise_now(h, cpu, vector);
                true
            }
            winner @ Some(Race::Winner { .. }) => {
                self.faults.race = winner;
                false
            }
        }
    }

    /// `cpu` takes `vector`: if a race waited for that, the losers are raised now.
    pub fn taken(&mut self, h: &Hot, cpu: usize, vector: u8) {
        let won = match &self.faults.race {
            Some(Race::Timer { cpu: timer, .. }) => (*timer, TIMER_VECTOR) == (cpu, vector),
            Some(Race::Winner { cpu: winner, vector: which, .. }) => (*winner, *which) == (cpu, vector),
            Some(Race::Device(_)) | None => false,
        };
        if !won {
            return;
        }
        match self.faults.race.take() {
            Some(Race::Timer { losers, .. }) => {
                losers.into_iter().for_each(|(cpu, vector)| self.raise_now(h, cpu, vector));
            }
            Some(Race::Winner { timers, .. }) => {
                timers.into_iter().for_each(|cpu| self.raise_now(h, cpu, TIMER_VECTOR));
            }
            Some(Race::Device(_)) | None => {}
        }
    }

    /// Makes `vector` pending on `cpu`, to be taken at once: no chooser is asked.
    fn raise_now(&mut self, h: &Hot, cpu: usize, vector: u8) {
        if cpu >= self.cpus {
            return;
        }
        self.interrupts.raise(cpu, vector, h.now.get());
        h.pending.set(h.pending.get() | 1 << cpu);
        if h.cpu.get() == cpu {
            h.hurry(0);
        }
    }

    /// Takes back a vector that is pending.
    fn withdraw(&mut self, h: &Hot, cpu: usize, vector: u8) {
        if !self.interrupts.withdraw(cpu, vector) {
            h.pending.set(h.pending.get() & !(1 << cpu));
        }
    }
}
