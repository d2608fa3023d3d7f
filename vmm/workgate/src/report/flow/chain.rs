//! What one fault led to.

use super::origin::{Interrupt, Place, Step, Way};
use trace::{Event, Kind};

/// What a fault does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// The device raises its interrupt.
    Raises,
    /// The card comes, and its port says so.
    Comes,
    /// It goes.
    Goes,
    /// Something that the trace does not tell.
    Unknown,
}

impl Effect {
    fn of(word: &str) -> Self {
        match word {
            "spurious" | "stick" | "storm" => Self::Raises,
            "link-up" | "plug" | "replug" => Self::Comes,
            "eject" | "link-down" | "unplug" => Self::Goes,
            _ => Self::Unknown,
        }
    }

    /// It is the port that interrupts.
    fn is_of_port(self) -> bool {
        matches!(self, Self::Comes | Self::Goes)
    }

    /// What the kernel does only because it noticed this. (Clients attach to a service and are terminated for reasons of their own.)
    fn is_noticed(self, kind: Kind) -> bool {
        match self {
            Self::Comes => kind == Kind::Register,
            Self::Goes => kind == Kind::Gone,
            Self::Raises | Self::Unknown => false,
        }
    }
}

/// How far a chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Fault,
    Interrupt,
    Action,
    Client,
}

/// Where an arrow ends, or the first begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub step: Step,
    /// The trace proves that what stands before it led to it; else it is only what came next on this device.
    pub caused: bool,
}

/// The points from a fault to a client.
pub struct Chain {
    /// Number of the fault's event in the trace.
    number: u64,
    effect: Effect,
    points: Vec<Point>,
    reached: Stage,
    /// Number of the interrupt in the chain.
    interrupt: Option<u64>,
    /// The interrupt is the fault's doing.
    raised: bool,
    /// It ends with a client whose request came back because of the interrupt.
    answered: bool,
    /// Nothing better can come.
    settled: bool,
}

impl Chain {
    /// A fault, event `number` of the trace.
    pub fn new(fault: &Event, number: u64) -> Self {
        let step = Step { time: fault.time, place: Place::Plan };
        Self {
            number,
            effect: Effect::of(fault.text_str()),
            points: vec![Point { step, caused: false }],
            reached: Stage::Fault,
            interrupt: None,
            raised: false,
            answered: false,
            settled: false,
        }
    }

    /// The points.
    pub fn points(self) -> Vec<Point> {
        self.points
    }

    /// When the fault was.
    pub fn time(&self) -> u64 {
        self.points.first().map_or(0, |point| point.step.time)
    }

    /// The filter of `event` has looked at `interrupt`. `known`: the device interrupts with that vector only, and its driver listened before the fault.
    ///
    /// An interrupt that the device raises is taken once, or together with one that was pending already: so the first that is taken after the fault is the
    /// one that the fault raised.
    pub fn filter(&mut self, event: &Event, interrupt: &Interrupt, known: bool) {
        let (raised, mine) = (self.effect == Effect::Raises && known, event.arg == 1);
        let next = mine && self.reached == Stage::Fault && !self.effect.is_of_port();
        let first = raised && !self.raised && !self.answered;
        if (next || first) && self.is_before(interrupt) {
            self.points.truncate(1);
            self.push(Stage::Interrupt, interrupt.step, raised);
            (self.interrupt, self.raised) = (Some(interrupt.number), raised);
            // What its driver does not take leads nowhere.
            self.settled = !mine;
        }
    }

    /// An action of the device begins; `way`: why its thread runs.
    pub fn action(&mut self, event: &Event, way: Option<&Way>) {
        if self.reached < Stage::Action && !self.effect.is_of_port() && !self.settled {
            let caused = way.is_some_and(|way| self.interrupt == Some(way.interrupt.number));
            self.push(Stage::Action, on_thread(event), caused);
        }
    }

    /// The kernel deals with a card that came or went; `way`: why the thread runs that does.
    pub fn noticed(&mut self, event: &Event, way: &Way) {
        if !self.effect.is_noticed(event.kind) || self.raised || !self.is_before(&way.interrupt) {
            return;
        }
        if !self.answered || self.interrupt != Some(way.interrupt.number) {
            self.follow(way, Stage::Action, event);
            self.answered = false;
        }
        self.raised = true;
        self.settled = self.answered;
        self.points[1].caused = true;
    }

    /// A request to the device came back; `way`: why, if that is known.
    pub fn answer(&mut self, event: &Event, way: Option<&Way>) {
        if self.settled {
            return;
        }
        let way = way.filter(|way| self.is_before(&way.interrupt));
        match way {
            Some(way) if !self.answered && self.fits(way) => {
                let raised = self.raised;
                self.follow(way, Stage::Client, event);
                self.points[1].caused = raised;
                self.answered = true;
                self.settled = raised || !self.effect.is_of_port();
            }
            _ if self.reached < Stage::Client => self.push(Stage::Client, on_thread(event), false),
            _ => {}
        }
    }

    /// The way begins with the interrupt that the fault raised; or nobody knows which one that is.
    fn fits(&self, way: &Way) -> bool {
        !self.raised || self.interrupt == Some(way.interrupt.number)
    }

    /// The interrupt that was being served when the fault came is not its doing.
    fn is_before(&self, interrupt: &Interrupt) -> bool {
        self.number < interrupt.number && self.time() <= interrupt.step.time
    }

    fn push(&mut self, stage: Stage, step: Step, caused: bool) {
        self.reached = stage;
        self.points.push(Point { step, caused });
    }

    /// The fault, then `way`, then `event`: all proven but the first arrow.
    fn follow(&mut self, way: &Way, stage: Stage, event: &Event) {
        let rest = way.steps.iter().copied().chain([on_thread(event)]);
        self.points.truncate(1);
        self.points.push(Point { step: way.interrupt.step, caused: false });
        self.points.extend(rest.map(|step| Point { step, caused: true }));
        (self.reached, self.interrupt) = (stage, Some(way.interrupt.number));
    }
}

fn on_thread(event: &Event) -> Step {
    Step { time: event.time, place: Place::Thread(event.thread) }
}
