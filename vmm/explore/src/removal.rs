//! Exhaustive removal: the card is pulled out at every event of a reference run.
//!
//! An event is named as plans name it: the n-th occurrence of a site, on the device's side or in the guest. A run that streams for long passes the
//! same situation again and again; events are alike if site, state of the stack, the events before in the same slot and the load are the same, and
//! of those that are alike the first is taken, unless all are wanted.

use crate::campaign::{Task, Tasks};
use crate::coverage::Coverage;
use crate::execute;
use crate::phase::Phase;
use crate::schedule::{Deviation, Schedule};
use devices::catalogue;
use devices::fault::plan::{Action, Expect, Plan, Rule, Span, Trigger};
use devices::fault::plane::Site;
use sim::chooser::{Decision, Kind};
use std::collections::{BTreeMap, HashSet};
use trace::Event;

/// Machine time that a run goes on behind a removal, in nanoseconds: teardown, the card's return, and work again.
const BEHIND: u64 = 2_000_000;
/// Period in which the card is put back, in nanoseconds of machine time.
const RETURN: u64 = 400_000;
/// What every run must show, in nanoseconds: far above what correct drivers need, whatever the schedule.
const WITHIN: u64 = 1_000_000_000;
/// Of a device's own site, occurrences that are all taken; from there on every so many.
const DENSE: u64 = 256;

/// What else happens at the removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Company {
    /// Nothing.
    Alone,
    /// Interrupts with nothing to say, from the occurrence before on.
    Interrupt,
    /// The CPU loses time there, up to its next deadline: a timer falls due, or devices finish, together with the removal. Only for events of the
    /// guest, whose time is known.
    Timer,
}

impl Company {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Company::Alone => "alone",
            Company::Interrupt => "interrupt",
            Company::Timer => "timer",
        }
    }
}

/// When and where an event of the reference run was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Plan time, ns.
    pub plan: u64,
    /// Machine time, ns.
    pub machine: u64,
    /// CPU.
    pub cpu: u8,
}

/// One removal to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Device.
    pub device: String,
    /// Site, as plans name it.
    pub site: String,
    /// Which occurrence.
    pub count: u64,
    /// State of the stack in the reference run, if it is known.
    pub phase: Option<Phase>,
    /// When it was in the reference run, if that is known.
    pub when: Option<When>,
    /// What else happens.
    pub company: Company,
}

/// All removals of a plan.
#[derive(Clone, Debug)]
pub struct Removals {
    base: Plan,
    /// What will be tried.
    pub injections: Vec<Injection>,
    /// Events of the reference run at which a card could go.
    pub events: u64,
    /// Machine time of the reference run that was looked at, ns.
    pub horizon: u64,
}

/// What to take.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// All events, not only those that differ.
    pub every: bool,
    /// Each removal also with an interrupt, and with a timer.
    pub pairs: bool,
    /// Machine time of the reference run to look at, ns.
    pub horizon: u64,
}

impl Removals {
    /// Looks at a reference run of `plan` and lists the removals.
    ///
    /// # Errors
    /// The plan has no device that can go, or cannot run.
    pub fn new(plan: &Plan, choice: Wanted) -> Result<Self, String> {
        let horizon = plan.run_for.min(choice.horizon);
        let mut base = Plan { run_for: horizon, lines: Vec::new(), ..plan.clone() };
        base.rules.retain(|rule| !moves_a_card(&rule.action) && !too_late(&rule.trigger, horizon));
        base.plugs.iter_mut().for_each(|plug| _ = plug.options.remove("absent"));
        base.expects = vec![
            Expect::Offline(WITHIN, Span::default()),
            Expect::Quiet(WITHIN, Span::default()),
            Expect::NoLeaks(Span::default()),
        ];
        if base.plugs.is_empty() {
            return Err("the plan plugs no device in, so none can be pulled out".to_owned());
        }
        let schedule = Schedule::List(Vec::new());
        let mut reference = Reference::default();
        let run = execute::run(&base, &schedule, &mut |event| reference.event(event))
            .map_err(|error| error.to_string())?;
        if let Some(cause) = run.cause {
            return Err(format!("the reference run, with no removal, breaks {cause} already"));
        }
        let mut removals = Self { base, injections: Vec::new(), events: 0, horizon };
        for index in 0..removals.base.plugs.len() {
            removals.of_guest(index, &reference, choice);
            removals.of_device(index, choice);
        }
        if choice.pairs {
            removals.pair();
        }
        Ok(removals)
    }

    /// Events of the guest, which the trace tells.
    fn of_guest(&mut self, index: usize, reference: &Reference, choice: Wanted) {
        let (slot, device) = (self.base.plugs[index].slot, self.base.plugs[index].name.clone());
        let mut alike = HashSet::new();
        let usable: HashSet<&str> = catalogue::guest_sites().collect();
        for moment in reference.moments.iter().filter(|moment| moment.slot == slot) {
            let site = moment.kind.word();
            if !usable.contains(site) || Site::from_word(site).is_some() {
                continue;
            }
            self.events += 1;
            if choice.every || alike.insert(moment.state) {
                self.injections.push(Injection {
                    device: device.clone(),
                    site: site.to_owned(),
                    count: moment.count,
                    phase: Some(moment.phase),
                    when: Some(moment.when),
                    company: Company::Alone,
                });
            }
        }
    }

    /// Sites of the device, which only the plane counts: how often each is passed is found by trying.
    fn of_device(&mut self, index: usize, choice: Wanted) {
        let plug = &self.base.plugs[index];
        let device = plug.name.clone();
        let sites = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
        for site in sites {
            let most = self.occurrences(&device, *site);
            self.events += most;
            let mut count = 1;
            while count <= most {
                self.injections.push(Injection {
                    device: device.clone(),
                    site: site.word().to_owned(),
                    count,
                    phase: None,
                    when: None,
                    company: Company::Alone,
                });
                count += if choice.every || count < DENSE { 1 } else { (most / DENSE).max(1) };
            }
        }
    }

    /// How often the reference run passes `site` within the horizon: the largest n for which a removal at the n-th happens.
    fn occurrences(&self, device: &str, site: Site) -> u64 {
        let happens = |count: u64| {
            let injection = Injection {
                device: device.to_owned(),
                site: site.word().to_owned(),
                count,
                phase: None,
                when: None,
                company: Company::Alone,
            };
            let plan = Plan { run_for: self.horizon, ..self.plan(&injection) };
            let run = execute::run(&plan, &self.schedule(&injection), &mut |_| {});
            run.is_ok_and(|run| !run.verdict.removals.is_empty())
        };
        let mut above = 1;
        while happens(above) {
            above *= 2;
        }
        // Invariant: `below` happens (or is 0), `above` does not.
        let mut below = above / 2;
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            match happens(middle) {
                true => below = middle,
                false => above = middle,
            }
        }
        below
    }

    fn pair(&mut self) {
        let alone = self.injections.clone();
        for injection in alone {
            self.injections.push(Injection { company: Company::Interrupt, ..injection.clone() });
            if injection.when.is_some() {
                self.injections.push(Injection { company: Company::Timer, ..injection });
            }
        }
    }

    /// The plan of one removal: at the event the card goes, and comes back soon.
    pub fn plan(&self, injection: &Injection) -> Plan {
        let Injection { device, site, count, when, .. } = injection;
        let at = |count: u64| Trigger::Nth { device: device.clone(), site: site.clone(), count };
        let rule =
            |trigger, action| Rule { trigger, action, span: Span::default(), marks: Default::default() };
        let mut plan = self.base.clone();
        plan.run_for = when.map_or(self.horizon, |when| when.plan) + BEHIND;
        if injection.company == Company::Interrupt {
            let storm = Action::Storm { device: device.clone(), rate_hz: 1_000_000, duration: 20_000 };
            plan.rules.push(rule(at((count - 1).max(1)), storm));
        }
        plan.rules.push(rule(at(*count), Action::Unplug(device.clone())));
        plan.rules.push(rule(Trigger::Every(RETURN), Action::Replug(device.clone())));
        plan
    }

    /// The schedule of one removal.
    pub fn schedule(&self, injection: &Injection) -> Schedule {
        match (injection.company, injection.when) {
            (Company::Timer, Some(When { machine, cpu, .. })) => {
                let cpus = 1 << cpu;
                let decision = Decision { now: machine, kind: Kind::Elapse, alternatives: 3, cpus, cpu };
                Schedule::List(vec![Deviation { decision, skip: 0, answer: 2 }])
            }
            _ => Schedule::List(Vec::new()),
        }
    }
}

impl Tasks for Removals {
    fn count(&self) -> Option<u64> {
        Some(self.injections.len() as u64)
    }

    fn task(&self, number: u64) -> Task {
        let injection = &self.injections[number as usize];
        Task { plan: self.plan(injection), schedule: self.schedule(injection) }
    }
}

fn moves_a_card(action: &Action) -> bool {
    matches!(action, Action::Unplug(_) | Action::Eject(_) | Action::Replug(_) | Action::Plug(_))
}

fn too_late(trigger: &Trigger, horizon: u64) -> bool {
    matches!(trigger, Trigger::At(time) | Trigger::Every(time) if *time >= horizon)
}

/// An event of the reference run.
struct Moment {
    slot: u32,
    kind: trace::Kind,
    count: u64,
    when: When,
    phase: Phase,
    state: (u64, Phase),
}

/// The reference run's events at which a card could go.
#[derive(Default)]
struct Reference {
    coverage: Coverage,
    zero: u64,
    counts: BTreeMap<(u32, u16), u64>,
    history: BTreeMap<u32, u64>,
    moments: Vec<Moment>,
}

/// Bits of history that an event leaves: 16 for each of the four last.
const HISTORY: u32 = 16;

impl Reference {
    fn event(&mut self, event: &Event) {
        if event.kind == trace::Kind::Ready {
            self.zero = event.time;
        }
        let phase = self.coverage.phases().of(event.slot);
        self.coverage.event(event);
        if event.slot == 0 {
            return;
        }
        let count = self.counts.entry((event.slot, event.kind as u16)).or_default();
        *count += 1;
        let history = self.history.entry(event.slot).or_default();
        *history = *history << HISTORY | u64::from(event.kind as u16);
        self.moments.push(Moment {
            slot: event.slot,
            kind: event.kind,
            count: *count,
            when: When { plan: event.time.saturating_sub(self.zero), machine: event.time, cpu: event.cpu },
            phase,
            state: (*history, phase),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{self, Options, Summary};
    use std::sync::atomic::AtomicBool;

    fn removals(driver: &str, wanted: Wanted) -> Removals {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1{driver}\nload edu0 clients=1 depth=2\n\
             at 200us unplug edu0\nrun for=1ms\n"
        );
        let plan = Plan::parse("t.plan", &text).expect("a good plan");
        Removals::new(&plan, wanted).expect("a good reference")
    }

    /// One of eight, so that the test is short.
    fn explore(removals: &Removals) -> Summary {
        let stop = AtomicBool::new(false);
        let options = Options { runs: None, jobs: 2, shard: (0, 8), first_only: false, stop: &stop };
        campaign::run(removals, &options, &mut |_, _| {})
    }

    const WANTED: Wanted = Wanted { every: false, pairs: false, horizon: 120_000 };

    #[test]
    fn a_correct_driver_bears_removal_at_every_event() {
        let removals = removals("", WANTED);
        let sites: HashSet<&str> = removals.injections.iter().map(|i| i.site.as_str()).collect();
        for site in ["start", "gate.close", "mmio.read", "dma.write", "config.write", "irq.raise", "io.issue"]
        {
            assert!(sites.contains(site), "{site}: {sites:?}");
        }
        assert!(removals.injections.len() > 100 && removals.events > removals.injections.len() as u64);
        let summary = explore(&removals);
        assert_eq!((summary.runs, summary.findings.len()), (removals.injections.len().div_ceil(8) as u64, 0));
    }

    #[test]
    fn removal_at_every_event_finds_a_driver_that_closes_early() {
        let summary = explore(&removals(" driver=close-early", WANTED));
        assert!(summary.findings.keys().any(|cause| cause.rule == "close-before-return"), "{summary:?}");
    }

    #[test]
    fn pairs_come_on_top() {
        let (alone, pairs) = (removals("", WANTED), removals("", Wanted { pairs: true, ..WANTED }));
        let count = |company| pairs.injections.iter().filter(|i| i.company == company).count();
        let known = alone.injections.iter().filter(|i| i.when.is_some()).count();
        assert_eq!(count(Company::Interrupt), alone.injections.len());
        assert_eq!(count(Company::Timer), known);
        let timer = pairs.injections.iter().find(|i| i.company == Company::Timer).expect("there are some");
        assert!(matches!(pairs.schedule(timer), Schedule::List(list) if list.len() == 1));
    }
}
