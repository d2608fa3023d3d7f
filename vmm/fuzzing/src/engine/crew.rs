//! The OS threads that run inputs, and the watch over them.

use super::Seen;
use super::attempt::{attempt, hung};
use crate::target::{Target, Trouble};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How often the watch looks.
const LOOK: Duration = Duration::from_millis(50);

/// An input to run.
pub struct Job {
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub input: Vec<u8>,
}

/// What came of it.
pub struct Outcome {
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub input: Vec<u8>,
    /// Features that were not known when it ran.
    pub fresh: Vec<u64>,
    /// What broke.
    pub trouble: Option<Trouble>,
    /// It has not ended.
    pub hung: bool,
}

/// What a thread runs: number, bytes, since when.
type AtWork = (u64, Vec<u8>, Instant);

struct Shared {
    target: Arc<dyn Target>,
    queue: Mutex<Queue>,
    ready: Condvar,
    seen: RwLock<Seen>,
    /// What each thread runs, and since when.
    at_work: Vec<Mutex<Option<AtWork>>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The threads. They end when the crew is dropped; one that hangs is left behind.
pub struct Crew {
    shared: Arc<Shared>,
    results: Receiver<Outcome>,
    patience: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// Starts `threads` OS threads.
    pub fn new(target: Arc<dyn Target>, threads: usize, patience: Duration) -> Self {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            target,
            queue: Mutex::default(),
            ready: Condvar::new(),
            seen: RwLock::default(),
            at_work: (0..threads).map(|_| Mutex::new(None)).collect(),
        });
        let (sender, results) = channel();
        for index in 0..threads {
            let (shared, sender) = (shared.clone(), sender.clone());
            std::thread::spawn(move || work(&shared, index, &sender));
        }
        Self { shared, results, patience }
    }

    /// The features that are known. Not to be held while a round runs.
    pub fn seen(&self) -> &RwLock<Seen> {
        &self.shared.seen
    }

    /// Runs a round. `progress` hears how many of it have ended. Once `stop` is set, what has not begun is dropped.
    pub fn run(&self, jobs: Vec<Job>, stop: &AtomicBool, progress: &mut dyn FnMut(u64)) -> Vec<Outcome> {
        let mut left = jobs.len();
        lock(&self.shared.queue).jobs.extend(jobs);
        self.shared.ready.notify_all();
        let mut outcomes = Vec::with_capacity(left);
        while outcomes.len() < left {
            if stop.load(Ordering::Relaxed) {
                left -= lock(&self.shared.queue).jobs.drain(..).count();
            }
            match self.results.recv_timeout(LOOK) {
                Ok(outcome) => outcomes.push(outcome),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(outcome) = self.overdue() {
                        // What else is under way is lost with the round; nothing of it has broken yet.
                        outcomes.push(outcome);
                        return outcomes;
                    }
                    progress(outcomes.len() as u64);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        outcomes
    }

    /// An input that has run for too long.
    fn overdue(&self) -> Option<Outcome> {
        self.shared.at_work.iter().find_map(|slot| {
            let slot = lock(slot);
            let (number, input, since) = slot.as_ref()?;
            (since.elapsed() > self.patience).then(|| Outcome {
                number: *number,
                input: input.clone(),
                fresh: Vec::new(),
                trouble: Some(hung(self.patience.as_secs())),
                hung: true,
            })
        })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.closed = true;
        queue.jobs.clear();
        self.shared.ready.notify_all();
    }
}

fn work(shared: &Shared, index: usize, sender: &Sender<Outcome>) {
    while let Some(Job { number, input }) = next(shared) {
        *lock(&shared.at_work[index]) = Some((number, input.clone(), Instant::now()));
        let (mut fresh, trouble) = attempt(&*shared.target, &input);
        *lock(&shared.at_work[index]) = None;
        {
            let seen = shared.seen.read().unwrap_or_else(PoisonError::into_inner);
            fresh.retain(|feature| !seen.contains(feature));
        }
        // Nobody listens once the campaign is over.
        if sender.send(Outcome { number, input, fresh, trouble, hung: false }).is_err() {
            return;
        }
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut queue = lock(&shared.queue);
    loop {
        if queue.closed {
            return None;
        }
        if let Some(job) = queue.jobs.pop_front() {
            return Some(job);
        }
        queue = shared.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}
