//! What the controller does when: each thing at most once, in order of time, then of request.

use std::collections::BTreeMap;

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// The next command.
    Command,
    /// An endpoint: slot, number in the device context.
    Endpoint(u8, u8),
    /// The reset of a port, by its index, is over.
    Port(u8),
    /// The moderation interval of an interrupter is over.
    Interrupter(u16),
}

/// The list. It has one timer, so that a guest cannot pile up timers.
#[derive(Default)]
pub struct Agenda {
    jobs: BTreeMap<Job, (u64, u64)>,
    sequence: u64,
    armed: Option<u64>,
}

impl Agenda {
    /// Plans `job` for `time`, unless it is planned for earlier.
    pub fn plan(&mut self, job: Job, time: u64) {
        let entry = (time, self.sequence);
        self.sequence += 1;
        let old = self.jobs.entry(job).or_insert(entry);
        if time < old.0 {
            *old = entry;
        }
    }

    /// Forgets `job`.
    pub fn cancel(&mut self, job: Job) {
        self.jobs.remove(&job);
    }

    /// Forgets the jobs that `which` picks.
    pub fn cancel_all(&mut self, which: impl Fn(Job) -> bool) {
        self.jobs.retain(|job, _| !which(*job));
    }

    /// Takes the next job that is due.
    pub fn take(&mut self, now: u64) -> Option<Job> {
        let (&job, &(time, _)) = self.jobs.iter().min_by_key(|(_, when)| **when)?;
        if time > now {
            return None;
        }
        self.jobs.remove(&job);
        Some(job)
    }

    /// The time for which a tick must be asked, if none that is asked for comes early enough.
    pub fn arm(&mut self) -> Option<u64> {
        let next = self.jobs.values().map(|(time, _)| *time).min()?;
        if self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// The tick that was asked for at `time` came.
    pub fn ticked(&mut self, time: u64) {
        if self.armed == Some(time) {
            self.armed = None;
        }
    }
}
