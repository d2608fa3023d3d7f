//! One workload on one published service, from its beginning to its end.

use super::Load;
use super::client::{self, Client};
use super::exercise::{Exercise, Outcome, Shared, Worker};
use super::task;
use crate::bootargs::LoadArgs;
use crate::service::ServiceRef;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use mach::KernelRef;
use trace::{Kind, Subject};

/// What became of the requests.
#[derive(Default)]
struct Counts {
    issued: AtomicU64,
    done: AtomicU64,
    offline: AtomicU64,
    error: AtomicU64,
    corrupt: AtomicU64,
    /// Of those that were done: how many told of an overrun.
    overruns: AtomicU64,
    /// Samples lost in those.
    lost: AtomicU64,
}

/// A session. It ends when the last of its threads drops it.
pub(super) struct Session {
    load: Arc<Load>,
    device: String,
    slot: u32,
    exercise: Exercise,
    depth: u32,
    size: Option<u32>,
    counts: Counts,
    numbers: Arc<Vec<AtomicU64>>,
}

impl Session {
    /// Begins a session on `service`: one thread for each client, which does the rest.
    pub(super) fn begin(
        load: &Arc<Load>,
        service: &ServiceRef,
        exercise: Exercise,
        args: LoadArgs,
        numbers: Arc<Vec<AtomicU64>>,
    ) {
        let session = Arc::new(Self {
            load: load.clone(),
            device: String::from(&**service.device()),
            slot: service.slot(),
            exercise,
            depth: args.depth,
            size: args.size,
            counts: Counts::default(),
            numbers,
        });
        let kernel = service.kernel();
        kernel.log(format_args!("load {}: clients={} depth={}", session.device, args.clients, args.depth));
        for number in 0..args.clients {
            match args.tasks {
                true => task::spawn(&session, service, number),
                false => client::spawn(&session, service, number),
            }
        }
        // The last one to leave ends the session: that may be this one, if there was no memory for clients.
        session.leave();
    }

    /// A client has connected.
    pub(super) fn connected(&self, client: &Arc<Client>) {
        self.load.connected(self.slot, client);
    }

    pub(super) fn kernel(&self) -> &KernelRef {
        &self.load.kernel
    }

    /// What the threads of one client share.
    pub(super) fn shared(&self) -> Shared {
        self.exercise.shared(self.kernel(), self.depth, self.size)
    }

    /// What thread `index` of `client`, which has `shared`, does.
    pub(super) fn worker(&self, client: u32, index: u32, shared: &Shared) -> Worker {
        let threads = self.numbers.len() as u32 * self.depth;
        shared.worker(client * self.depth + index, threads)
    }

    /// What clients do.
    pub(super) fn exercise(&self) -> Exercise {
        self.exercise
    }

    /// What it belongs to.
    pub(super) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Clients that there are.
    pub(super) fn clients(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// Requests in flight of each client.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.load.is_stopping() || self.load.is_closed(self.slot)
    }

    /// Issues the next request of `client` on the user client `object`: its id, unique in the run.
    pub(super) fn issue(&self, client: u32, object: u32) -> u64 {
        let n = self.numbers[client as usize].fetch_add(1, Ordering::Relaxed);
        let id = u64::from(self.slot) << 48 | u64::from(client) << 32 | n & 0xffff_ffff;
        self.counts.issued.fetch_add(1, Ordering::Relaxed);
        self.trace(Kind::IoIssue, object, id, 0);
        id
    }

    /// Books what became of a request.
    pub(super) fn book(&self, object: u32, id: u64, outcome: Outcome) {
        let (kind, count, other) = match outcome {
            Outcome::Done => (Kind::IoDone, &self.counts.done, 0),
            // The request is done: it says what the driver could not keep.
            Outcome::Overrun(samples) => {
                self.counts.overruns.fetch_add(1, Ordering::Relaxed);
                self.counts.lost.fetch_add(u64::from(samples), Ordering::Relaxed);
                (Kind::IoDone, &self.counts.done, samples)
            }
            Outcome::Offline => (Kind::IoOffline, &self.counts.offline, 0),
            Outcome::Error(code) => (Kind::IoError, &self.counts.error, code),
            Outcome::Corrupt => (Kind::IoCorrupt, &self.counts.corrupt, 0),
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.trace(kind, object, id, other);
    }

    /// A request that was booked as done has given wrong data, as its client found afterwards.
    pub(super) fn found_wrong(&self, object: u32, id: u64) {
        self.counts.done.fetch_sub(1, Ordering::Relaxed);
        self.counts.corrupt.fetch_add(1, Ordering::Relaxed);
        self.trace(Kind::IoCorrupt, object, id, 0);
    }

    fn trace(&self, kind: Kind, object: u32, id: u64, other: u32) {
        self.kernel().trace_brief(kind, Subject::of(object).and(other).slot(self.slot), id);
    }

    /// A thread of the session is done with it; the last one prints the counts.
    pub(super) fn leave(self: Arc<Self>) {
        let Some(session) = Arc::into_inner(self) else { return };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &session.counts;
        session.kernel().log(format_args!(
            "load {}: issued={} done={} offline={} error={} corrupt={}",
            session.device,
            count(&counts.issued),
            count(&counts.done),
            count(&counts.offline),
            count(&counts.error),
            count(&counts.corrupt),
        ));
        let (overruns, lost) = (count(&counts.overruns), count(&counts.lost));
        if overruns != 0 {
            session.kernel().log(format_args!("load {}: overruns={overruns} samples={lost}", session.device));
        }
        if let Some(running) = session.load.running_in(session.slot) {
            running.fetch_sub(1, Ordering::AcqRel);
        }
        session.load.session_ended();
    }
}
