//! Exchanges: transfers on pipes of one device that make sense together only, and that a thread waits for together.
//!
//! ```text
//! caller, gate    all stages on their rings ─► a doorbell for each pipe, in their order ─► sleep
//! controller      works; an event for each stage, an interrupt for the last, or for one that failed
//! loop, gate      each stage's end, once ─► all are back: caller wakes
//! ```
//!
//! The device holds what is not its turn yet off with NAK. What a stage needs of the one before it, beyond that, is the caller's business: such stages are not
//! of the same exchange.

use super::controller::{Chain, Data, Done};
use super::pipe::Pipe;
use crate::family::bus::Bus as _;
use crate::ioreturn::{IOResult, IOReturn};
use crate::work_loop::{Gated, WorkLoop};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use mach::{WaitEvent, WaitMode};

/// A transfer of an exchange.
#[derive(Clone)]
pub struct Stage {
    /// Its pipe.
    pub pipe: Pipe,
    /// Its data.
    pub data: Data,
}

/// What became of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that each stage moved; 0 of one that did not end well.
    pub moved: Vec<u32>,
    /// The stage that failed first, and why. The others have come back well before that, or as Aborted, or as what they had become meanwhile.
    pub failed: Option<(usize, IOReturn)>,
}

/// Where an exchange is.
struct Progress {
    results: Vec<Option<IOResult<u32>>>,
    failed: Option<(usize, IOReturn)>,
}

impl Progress {
    fn new(stages: usize) -> Self {
        Self { results: vec![None; stages], failed: None }
    }

    /// Stage `n` has come back. True: it is the first that failed.
    fn came_back(&mut self, n: usize, result: IOResult<u32>) -> bool {
        self.results[n] = Some(result);
        match (result, self.failed) {
            (Err(why), None) => {
                self.failed = Some((n, why));
                true
            }
            _ => false,
        }
    }

    fn is_out(&self, n: usize) -> bool {
        self.results[n].is_none()
    }

    /// `None`: something is still on its way.
    fn outcome(&self) -> Option<Outcome> {
        let results: Option<Vec<IOResult<u32>>> = self.results.iter().copied().collect();
        let moved = results?.into_iter().map(|result| result.unwrap_or(0)).collect();
        Some(Outcome { moved, failed: self.failed })
    }
}

/// An exchange that is under way.
struct Running {
    work_loop: Arc<WorkLoop>,
    event: WaitEvent,
    pipes: Vec<Pipe>,
    progress: Gated<Progress>,
}

impl Running {
    /// Who is told when stage `n` has come back.
    fn done(self: &Arc<Self>, n: usize) -> Done {
        let running = self.clone();
        Box::new(move |result| {
            if running.progress.with(|progress| progress.came_back(n, result)) {
                running.abandon(n);
            }
            if running.progress.with(|progress| progress.outcome().is_some()) {
                running.work_loop.wakeup_gate(running.event, false);
            }
        })
    }

    /// Stage `n` has failed: nobody waits for the others any more. Those behind it on the same pipe are the controller's business.
    fn abandon(&self, n: usize) {
        let address = |n: usize| self.pipes[n].endpoint().address;
        let mut aborted = vec![address(n)];
        for other in 0..self.pipes.len() {
            if self.progress.with(|progress| progress.is_out(other)) && !aborted.contains(&address(other)) {
                aborted.push(address(other));
                self.pipes[other].abort();
            }
        }
    }

    /// Each run of stages on one pipe is a chain. Nothing but the last stage is worth an interrupt.
    fn chains(self: &Arc<Self>, stages: &[Stage], timeout: u64) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        for (n, stage) in stages.iter().enumerate() {
            let quiet = n + 1 < stages.len();
            let transfer = stage.pipe.make(stage.data.clone(), Some(timeout), quiet, self.done(n));
            let endpoint = stage.pipe.endpoint().address;
            match chains.last_mut().filter(|chain| chain.endpoint == endpoint) {
                Some(chain) => chain.transfers.push(transfer),
                None => chains.push(Chain { endpoint, transfers: vec![transfer] }),
            }
        }
        chains
    }

    fn wait(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.progress.with(|progress| progress.outcome()) {
                return outcome;
            }
            self.work_loop.sleep_gate(self.event, WaitMode::Uninterruptible, None);
        }
    }
}

/// Makes the stages of an exchange, all of which are begun at once, in this order; returns when all have come back. Each may take `timeout` machine ns from now
/// on. Stages on the same pipe follow one another. Gated; sleeps.
///
/// # Errors
/// Nothing was begun: Offline, the device is gone; NoResources; BadArgument, there are no stages, they are not all of one device, or a pipe is come back to.
pub fn exchange(stages: &[Stage], timeout: u64) -> IOResult<Outcome> {
    let first = &stages.first().ok_or(IOReturn::BadArgument)?.pipe;
    let device = first.device();
    if stages.iter().any(|stage| !Arc::ptr_eq(stage.pipe.device(), device)) {
        return Err(IOReturn::BadArgument);
    }
    let bus = device.bus();
    let work_loop = bus.host().work_loop().clone();
    let running = Arc::new(Running {
        event: bus.kernel().new_event(),
        pipes: stages.iter().map(|stage| stage.pipe.clone()).collect(),
        progress: Gated::new(&work_loop, Progress::new(stages.len())),
        work_loop,
    });
    first.begin(running.chains(stages, timeout))?;
    let mut outcome = running.wait();
    outcome.failed = outcome.failed.map(|(n, why)| (n, device.judge(why)));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_nothing_is_left_out() {
        let mut progress = Progress::new(3);
        assert!(!progress.came_back(0, Ok(31)));
        assert!(progress.came_back(2, Err(IOReturn::PipeStalled)));
        assert_eq!((progress.outcome(), progress.is_out(1)), (None, true));
        assert!(!progress.came_back(1, Err(IOReturn::Aborted)));
        let failed = Some((2, IOReturn::PipeStalled));
        assert_eq!(progress.outcome(), Some(Outcome { moved: vec![31, 0, 0], failed }));
    }
}
