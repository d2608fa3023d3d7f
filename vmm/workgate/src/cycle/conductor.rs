//! Who cycles the device: looks at a machine between two of its steps, does the next move, and says when to look again.
//!
//! A pass: the device (driver, clients) comes, all of its loads do I/O, it goes, it is gone, and what is left is counted. Each turn looks at what the trace
//! has told so far, so that it does not matter why the machine let this one look.

use super::bench::Bench;
use super::coming::{Arrival, Coming};
use super::follow::Follow;
use super::request::{Move, Request};
use super::sample::{Sample, Series};
use super::settling::Settling;
use super::stage::{PATIENCE, Stage};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Kind;
use trace::ring::Command;

/// Machine time from one census to the next.
const BREATH: u64 = 100_000;
/// A device that works goes with a request in flight, if there is one within so long.
const IDLE: u64 = 1_000_000;

/// What a turn came to.
enum Next {
    /// Another stage: look again at once.
    On,
    /// Nothing can happen before something does.
    Wait,
}

/// Cycles a device.
pub struct Conductor<'a> {
    request: &'a Request,
    follow: &'a RefCell<Follow>,
    /// Told of each pass that is over.
    tell: Box<dyn FnMut(&Sample) + 'a>,
    /// Set when the machine is to let this one look.
    pub attention: Arc<AtomicBool>,
    /// Set when it is to end.
    stop: Arc<AtomicBool>,
    stage: Stage,
    /// The pass, from 1; 0 before the first.
    pass: u64,
    coming: Coming,
    /// Machine time at which it was at work, and how long it took to go.
    up: u64,
    down: u64,
    /// Half of the time that a request took until then.
    half_way: u64,
    settling: Settling,
    /// Every pass.
    pub series: Series,
    /// Machine time of the beginning of the first pass and of the last.
    pub span: Option<(u64, u64)>,
    /// Why it could not go on.
    pub trouble: Option<String>,
    /// It was ended from outside.
    pub interrupted: bool,
}

impl<'a> Conductor<'a> {
    /// For a run of the plan of `request`, whose trace `follow` follows.
    pub fn new(
        request: &'a Request,
        follow: &'a RefCell<Follow>,
        (attention, stop): (Arc<AtomicBool>, Arc<AtomicBool>),
        tell: impl FnMut(&Sample) + 'a,
    ) -> Self {
        Self {
            request,
            follow,
            tell: Box::new(tell),
            attention,
            stop,
            stage: Stage::Boot,
            pass: 0,
            coming: Coming::default(),
            up: 0,
            down: 0,
            half_way: 0,
            settling: Settling::default(),
            series: Series::default(),
            span: None,
            trouble: None,
            interrupted: false,
        }
    }

    /// Passes that have begun.
    pub fn begun(&self) -> u64 {
        self.pass
    }

    /// The pass that is under way, and what it is at, for a run that ended on the way.
    pub fn place(&self) -> String {
        self.stage.place(self.request, self.pass)
    }

    /// Looks, and does what is to be done now.
    pub fn turn(&mut self, bench: &mut dyn Bench) {
        if self.stop.load(Ordering::Relaxed) && !self.interrupted {
            self.interrupted = true;
            bench.end();
        }
        if self.interrupted {
            return;
        }
        while let Next::On = self.step(bench) {}
    }

    fn step(&mut self, bench: &mut dyn Bench) -> Next {
        let now = bench.now();
        match self.stage {
            Stage::Boot => match self.follow.borrow().zero {
                None => {
                    bench.at_event(Kind::Ready, None, 1);
                    return Next::Wait;
                }
                Some(zero) => self.stage = Stage::Resting { until: zero },
            },
            Stage::Coming => return self.coming(bench, now),
            Stage::Working { until } if now < until => return self.wait(bench, until),
            Stage::Working { until } => {
                if let Some(later) = self.later(now, until) {
                    bench.at_event(Kind::IoIssue, None, 1);
                    return self.wait(bench, later);
                }
                self.follow.borrow_mut().stepped = None;
                self.make(bench, false);
                self.stage = Stage::Going { since: now };
            }
            Stage::Going { since } => return self.going(bench, now, since),
            Stage::Counting { nth, asked } => return self.counting(bench, now, nth, asked),
            Stage::Breathing { until, .. } if now < until => return self.wait(bench, until),
            Stage::Breathing { nth, .. } => self.count(bench, nth + 1),
            Stage::Resting { until } if now < until => return self.wait(bench, until),
            Stage::Resting { .. } if self.pass == self.request.passes => self.end(bench),
            Stage::Resting { .. } => self.begin(bench, now),
            Stage::Ending => return Next::Wait,
        }
        Next::On
    }

    /// The next pass begins.
    fn begin(&mut self, bench: &mut dyn Bench, now: u64) {
        self.pass += 1;
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        {
            let mut follow = self.follow.borrow_mut();
            self.coming = Coming::new(self.request, &follow, now);
            follow.stepped = None;
            // What came back while nobody measured is no part of this pass.
            let _ = follow.take_taken();
        }
        self.make(bench, true);
        self.stage = Stage::Coming;
    }

    /// Makes the move by which the device comes or goes.
    fn make(&self, bench: &mut dyn Bench, come: bool) {
        let request = self.request;
        let made = match (come, self.pass) {
            (false, _) => Some(&request.go),
            // It is there from the beginning, or is plugged in for the first time.
            (true, 1) => request.first.as_ref(),
            (true, _) => Some(&request.come),
        };
        match made {
            Some(Move::Act(action)) => bench.act(&request.plan, action),
            Some(asked) => asked.command().into_iter().for_each(|command| bench.command(command)),
            None => {}
        }
    }

    fn coming(&mut self, bench: &mut dyn Bench, now: u64) -> Next {
        if let Some(refused) = self.refused(&self.request.come) {
            return self.fail(bench, refused);
        }
        let arrival = self.coming.look(self.request, &self.follow.borrow(), now);
        match arrival {
            Arrival::AtWork(since) => self.work(since, now),
            Arrival::NotYet { kind, slot, count, until } => {
                bench.at_event(kind, slot, count);
                self.wait(bench, until)
            }
            Arrival::Late(why) => self.fail(bench, why),
        }
    }

    /// The device has been at work since `up`.
    fn work(&mut self, up: u64, now: u64) -> Next {
        self.up = up;
        self.half_way = self.follow.borrow().taken().half / 2;
        let half = self.request.period.map_or(0, |period| period / 2);
        self.stage = Stage::Working { until: self.coming.began.saturating_add(half).max(now) };
        Next::On
    }

    /// When to look again if hardware that could go since `since` is to stay for now: a removal with nothing in flight breaks little, and a request has just come back
    /// when the device is at work. So it goes when one is in the middle of its way, if there is one in time.
    fn later(&self, now: u64, since: u64) -> Option<u64> {
        let may_wait = matches!(self.request.go, Move::Act(_)) && !self.request.loaded.is_empty();
        let limit = since.saturating_add(IDLE);
        let middle = self.follow.borrow().oldest().map(|issued| issued.saturating_add(self.half_way));
        let later = middle.unwrap_or(limit).min(limit);
        (may_wait && now < later).then_some(later)
    }

    fn going(&mut self, bench: &mut dyn Bench, now: u64, since: u64) -> Next {
        if let Some(refused) = self.refused(&self.request.go) {
            return self.fail(bench, refused);
        }
        if self.has_gone() {
            self.down = now.saturating_sub(since);
            self.count(bench, 1);
            return Next::On;
        }
        let limit = since.saturating_add(PATIENCE);
        if now >= limit {
            let (left, after) = (self.follow.borrow().alive(), verdict::time(PATIENCE));
            let (device, go) = (&self.request.device, self.request.go.word());
            let left = if left.is_empty() { String::new() } else { format!(": {}", left.join(", ")) };
            return self.fail(bench, format!("{device} is not gone {after} after {go}{left}"));
        }
        match &self.request.go {
            Move::Act(_) => bench.at_event(Kind::Free, None, 1),
            Move::Ask(..) => bench.at_event(Kind::Stepped, None, 1),
        }
        self.wait(bench, limit)
    }

    fn has_gone(&self) -> bool {
        let mut follow = self.follow.borrow_mut();
        match &self.request.go {
            Move::Act(_) => follow.is_gone(),
            Move::Ask(step, _) => follow.take_step(*step).is_some_and(|(code, _)| code == 0),
        }
    }

    /// What the guest says against a step that it was asked for.
    fn refused(&self, asked: &Move) -> Option<String> {
        let Move::Ask(step, _) = asked else { return None };
        let follow = self.follow.borrow();
        let (_, code, what) =
            follow.stepped.as_ref().filter(|(n, code, _)| *n == *step as u32 && *code != 0)?;
        let why = u32::try_from(*code).ok().and_then(iokit::IOReturn::from_code);
        let why = why.map_or_else(|| format!("{code:#x}"), |why| why.to_string());
        let (left, device) = (follow.alive().join(", "), &self.request.device);
        Some(format!("{} of {device} is refused: {what}: {why} (attached: {left})", step.word()))
    }

    /// Asks for a census.
    fn count(&mut self, bench: &mut dyn Bench, nth: u32) {
        let asked = self.follow.borrow().censuses;
        bench.command(Command::Census);
        self.stage = Stage::Counting { nth, asked };
    }

    fn counting(&mut self, bench: &mut dyn Bench, now: u64, nth: u32, asked: u64) -> Next {
        if self.follow.borrow().censuses == asked {
            bench.at_event(Kind::CensusEnd, None, 1);
            return Next::Wait;
        }
        if !self.settling.is_over(&self.follow.borrow(), nth) {
            self.stage = Stage::Breathing { nth, until: now.saturating_add(BREATH) };
            return Next::On;
        }
        self.take_sample();
        let until = match self.request.period {
            Some(period) if self.pass < self.request.passes => self.coming.began.saturating_add(period),
            _ => now,
        };
        self.stage = Stage::Resting { until };
        Next::On
    }

    fn take_sample(&mut self) {
        let mut follow = self.follow.borrow_mut();
        let sample = Sample {
            pass: self.pass,
            at: self.coming.began.saturating_sub(follow.zero.unwrap_or(0)),
            up: self.up.saturating_sub(self.coming.began),
            down: self.down,
            requests: follow.take_taken(),
            open: follow.open(),
            figures: follow.figures.clone(),
        };
        drop(follow);
        self.series.push(&sample);
        (self.tell)(&sample);
        self.settling.next_pass(&sample);
    }

    fn fail(&mut self, bench: &mut dyn Bench, what: String) -> Next {
        self.trouble = Some(format!("pass {}: {what}", self.pass));
        self.end(bench);
        Next::Wait
    }

    fn end(&mut self, bench: &mut dyn Bench) {
        self.stage = Stage::Ending;
        if !bench.finish() {
            bench.end();
        }
    }

    /// Looks again at machine time `until`, if nothing happens before.
    fn wait(&self, bench: &mut dyn Bench, until: u64) -> Next {
        let zero = self.follow.borrow().zero.unwrap_or(0);
        bench.at_time(until, until.saturating_sub(zero));
        Next::Wait
    }
}
