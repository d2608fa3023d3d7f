//! Who cycles the device: looks at a machine between two of its steps, does the next move, and says when to look again.
//!
//! A pass: the device (driver, clients) comes, all of its loads do I/O, it goes, it is gone, and what is left is counted. Each turn looks at what the trace
//! has told so far, so that it does not matter why the machine let this one look.

use super::bench::Bench;
use super::follow::{Figures, Follow};
use super::request::{Move, Request};
use super::sample::{Sample, Series};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Kind;
use trace::ring::Command;

/// Machine time that each half of a pass may take: more than any timeout of a driver that is right.
const PATIENCE: u64 = 2_000_000_000;
/// Censuses behind one pass at the most: threads that are about to end have so long to let go of what they hold.
const CENSUSES: u32 = 24;
/// Censuses in a row that say the same: who has not let go by then does not.
const STEADY: u32 = 8;
/// Machine time from one census to the next.
const BREATH: u64 = 100_000;
/// A device without a load counts as at work when nothing of it has started for so long.
const STILL: u64 = 1_000_000;

/// Where a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The machine boots.
    Boot,
    /// The device comes; since then.
    Coming,
    /// It works until this machine time.
    Working { until: u64 },
    /// It was told to go at this machine time.
    Going { since: u64 },
    /// It is gone; the guest is asked for census number `nth` since this pass was over.
    Counting { nth: u32, asked: u64 },
    /// The next census is asked for at this machine time.
    Breathing { nth: u32, until: u64 },
    /// The next pass begins at this machine time.
    Resting { until: u64 },
    /// The guest was asked to end.
    Ending,
}

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
    /// Machine time at which it began, and was at work.
    began: u64,
    up: u64,
    down: u64,
    /// Requests of each loaded slot at its beginning, and services that had started.
    before: Vec<u64>,
    started: u64,
    still_since: u64,
    last: Option<Sample>,
    /// The census before the last one, and how many in a row were like it.
    seen: Figures,
    steady: u32,
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
            began: 0,
            up: 0,
            down: 0,
            before: Vec::new(),
            started: 0,
            still_since: 0,
            last: None,
            seen: Figures::new(),
            steady: 0,
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
        let what = match self.stage {
            Stage::Boot => return "before the first pass".to_owned(),
            Stage::Coming | Stage::Working { .. } => self.request.come.word(),
            Stage::Going { .. } => self.request.go.word(),
            Stage::Counting { .. } | Stage::Breathing { .. } | Stage::Resting { .. } => {
                "what is left is counted"
            }
            Stage::Ending => return format!("behind pass {}", self.pass),
        };
        format!("in pass {} ({what})", self.pass)
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
            Stage::Working { .. } => {
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
        self.began = now;
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        {
            let mut follow = self.follow.borrow_mut();
            self.before = self.request.loaded.iter().map(|slot| follow.done_in(*slot)).collect();
            (self.started, self.still_since) = (follow.started, now);
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
        let Some((slot, missing)) = self.missing() else { return self.without_load(bench, now) };
        if missing == 0 {
            return self.work(now);
        }
        let limit = self.began.saturating_add(PATIENCE);
        if now >= limit {
            let (device, wanted) = (self.name(slot), self.request.requests);
            let done = wanted - missing.min(wanted);
            return self.fail(
                bench,
                format!(
                    "{device} did not work within {} of its coming: {done} of {wanted} requests came back",
                    verdict::time(PATIENCE)
                ),
            );
        }
        bench.at_event(Kind::IoDone, Some(slot), missing);
        self.wait(bench, limit)
    }

    /// The loaded slot that has most to do before it has been at work, and how many requests that is; `None`: nothing has a load.
    fn missing(&self) -> Option<(u32, u64)> {
        let follow = self.follow.borrow();
        let loaded = self.request.loaded.iter().zip(&self.before);
        let missing = loaded.map(|(slot, before)| {
            (*slot, self.request.requests.saturating_sub(follow.done_in(*slot) - before))
        });
        missing.max_by_key(|(_, missing)| *missing)
    }

    /// A device without a load is at work when something of it has started, and nothing more does.
    fn without_load(&mut self, bench: &mut dyn Bench, now: u64) -> Next {
        let (started, gone) = {
            let follow = self.follow.borrow();
            (follow.started, follow.is_gone())
        };
        if started != self.started {
            (self.started, self.still_since) = (started, now);
        }
        let still = self.still_since.saturating_add(STILL);
        if !gone && now >= still {
            return self.work(self.still_since);
        }
        let limit = self.began.saturating_add(PATIENCE);
        if now >= limit {
            let device = &self.request.device;
            let after = verdict::time(PATIENCE);
            return self.fail(bench, format!("nothing is attached for {device} {after} after its coming"));
        }
        bench.at_event(Kind::Started, None, 1);
        self.wait(bench, if gone { limit } else { still.min(limit) })
    }

    /// The device has been at work since `up`.
    fn work(&mut self, up: u64) -> Next {
        self.up = up;
        let half = self.request.period.map_or(0, |period| period / 2);
        self.stage = Stage::Working { until: self.began.saturating_add(half) };
        Next::On
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
        if !self.has_settled() && nth < CENSUSES {
            self.stage = Stage::Breathing { nth, until: now.saturating_add(BREATH) };
            return Next::On;
        }
        self.take_sample();
        let until = match self.request.period {
            Some(period) if self.pass < self.request.passes => self.began.saturating_add(period),
            _ => now,
        };
        self.stage = Stage::Resting { until };
        Next::On
    }

    /// Whether everything is as it was behind the pass before, or does not change any more.
    fn has_settled(&mut self) -> bool {
        let follow = self.follow.borrow();
        let as_before = |last: &Sample| (&last.figures, last.open) == (&follow.figures, follow.open());
        if self.last.as_ref().is_some_and(as_before) {
            return true;
        }
        let same = self.seen == follow.figures;
        self.steady = if same { self.steady + 1 } else { 1 };
        if !same {
            self.seen = follow.figures.clone();
        }
        self.steady >= STEADY
    }

    fn take_sample(&mut self) {
        self.steady = 0;
        let mut follow = self.follow.borrow_mut();
        let sample = Sample {
            pass: self.pass,
            at: self.began.saturating_sub(follow.zero.unwrap_or(0)),
            up: self.up.saturating_sub(self.began),
            down: self.down,
            requests: follow.take_taken(),
            open: follow.open(),
            figures: follow.figures.clone(),
        };
        drop(follow);
        self.series.push(&sample);
        (self.tell)(&sample);
        self.last = Some(sample);
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

    fn name(&self, slot: u32) -> String {
        let plug = self.request.plan.plugs.iter().find(|plug| plug.slot == slot);
        plug.map_or_else(|| format!("slot {slot}"), |plug| plug.name.clone())
    }
}
