//! Coverage of teardown: which steps of a service's life, which sites, which rule checks were exercised, and how often.
//!
//! What was never exercised is what a campaign says nothing about. The counts of many runs add up; they are the same whoever ran them in which order.

mod lcov;
mod state;

pub use lcov::Lcov;
pub use state::{STEPS, State};

use crate::execute::Run;
use devices::catalogue;
use devices::fault::plan::Plan;
use devices::fault::plane::Site;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use trace::{Event, Kind};
use verdict::{Checks, Verdict};

/// Slots that are told apart; the others belong to no card.
const SLOTS: usize = 32;
/// Kinds of event.
const KINDS: usize = 256;
/// Services whose state is known, at the most: a guest may make them for ever.
const MAX_SERVICES: usize = 65_536;

/// What can be exercised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Steps between two states of a service.
    Steps,
    /// Sites of the plan's cards, of the device and of the guest.
    Sites,
    /// Rules.
    Checks,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Steps, Self::Sites, Self::Checks];

    /// The word in reports and file names.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Sites => "sites",
            Self::Checks => "checks",
        }
    }
}

/// One thing that can be exercised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Of which group.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// How often it was.
    pub hits: u64,
}

/// The counts.
#[derive(Clone, Debug)]
pub struct Teardown {
    steps: BTreeMap<(State, State), u64>,
    /// The services of the current run.
    services: BTreeMap<u32, State>,
    guest: Vec<[u64; KINDS]>,
    device: BTreeMap<(u32, Site), u64>,
    checks: Checks,
}

impl Default for Teardown {
    fn default() -> Self {
        Self {
            steps: BTreeMap::new(),
            services: BTreeMap::new(),
            guest: vec![[0; KINDS]; SLOTS],
            device: BTreeMap::new(),
            checks: Checks::default(),
        }
    }
}

impl Teardown {
    /// A new run begins.
    pub fn begin(&mut self) {
        self.services.clear();
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        let count =
            self.guest.get_mut(event.slot as usize).and_then(|kinds| kinds.get_mut(event.kind as usize));
        if let Some(count) = count {
            *count += 1;
        }
        let Some(state) = State::after(event) else { return };
        let before = match self.services.get_mut(&event.object) {
            Some(now) => std::mem::replace(now, state),
            None => {
                if self.services.len() < MAX_SERVICES {
                    self.services.insert(event.object, state);
                }
                State::Detached
            }
        };
        if state == State::Freed {
            self.services.remove(&event.object);
        }
        *self.steps.entry((before, state)).or_default() += 1;
    }

    /// The run is over, on whichever machine.
    pub fn judged(&mut self, verdict: &Verdict) {
        self.checks.merge(&verdict.checks);
    }

    /// How often each site of each card was passed, as the machine counted it.
    pub fn passed(&mut self, sites: &[(u32, [u64; Site::ALL.len()])]) {
        for (slot, counts) in sites {
            for (site, count) in Site::ALL.into_iter().zip(counts) {
                *self.device.entry((*slot, site)).or_default() += count;
                if matches!(site, Site::DmaRead | Site::DmaWrite) {
                    self.checks.dma(*count);
                }
            }
        }
    }

    /// A run in the simulator is over.
    pub fn end(&mut self, run: &Run) {
        self.judged(&run.verdict);
        self.passed(&run.outcome.sites);
    }

    /// Adds what others have exercised.
    pub fn merge(&mut self, other: &Self) {
        other.steps.iter().for_each(|(step, count)| *self.steps.entry(*step).or_default() += count);
        for (own, other) in self.guest.iter_mut().zip(&other.guest) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
        other.device.iter().for_each(|(site, count)| *self.device.entry(*site).or_default() += count);
        self.checks.merge(&other.checks);
    }

    /// Everything that `plan` could exercise, and what else was.
    pub fn items(&self, plan: &Plan) -> Vec<Item> {
        let mut items = Vec::new();
        let step = |(from, to): (State, State)| format!("{} → {}", from.word(), to.word());
        let others = self.steps.keys().filter(|seen| !STEPS.contains(seen));
        for pair in STEPS.iter().chain(others) {
            let hits = self.steps.get(pair).copied().unwrap_or(0);
            items.push(Item { group: Group::Steps, name: step(*pair), hits });
        }
        for plug in &plan.plugs {
            let sites = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
            for site in sites {
                let hits = self.device.get(&(plug.slot, *site)).copied().unwrap_or(0);
                items.push(Item {
                    group: Group::Sites,
                    name: format!("{}.{}", plug.name, site.word()),
                    hits,
                });
            }
            for word in catalogue::guest_sites() {
                let kind = devices::fault::plane::guest_kind(word);
                let hits = kind.map_or(0, |kind| self.guest_count(plug.slot, kind));
                items.push(Item { group: Group::Sites, name: format!("{}.{word}", plug.name), hits });
            }
        }
        let rules = self.checks.rules();
        items.extend(rules.map(|c| Item { group: Group::Checks, name: c.rule.to_owned(), hits: c.times }));
        items
    }

    fn guest_count(&self, slot: u32, kind: Kind) -> u64 {
        let kinds = self.guest.get(slot as usize);
        kinds.and_then(|kinds| kinds.get(kind as usize)).copied().unwrap_or(0)
    }
}

/// For people: how much of each group was exercised; `never`: and what was not.
pub fn table(items: &[Item], with_never: bool) -> String {
    let mut out = String::new();
    for group in Group::ALL {
        let of = || items.iter().filter(move |item| item.group == group);
        let never: Vec<&str> = of().filter(|item| item.hits == 0).map(|item| item.name.as_str()).collect();
        let (all, hits) = (of().count(), of().map(|item| item.hits).sum::<u64>());
        // Writing into a string cannot fail.
        _ = writeln!(out, "{:<8} {:>3} of {all:>3} exercised, {hits} times", group.word(), all - never.len());
        if with_never && !never.is_empty() {
            _ = writeln!(out, "         never: {}", never.join(", "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute;
    use crate::schedule::Schedule;

    fn plan(driver: &str) -> Plan {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1{driver}\nload edu0 clients=2 depth=2\n\
             at 200us unplug edu0\nat 400us replug edu0\nrun for=1ms\n"
        );
        Plan::parse("t.plan", &text).expect("a good plan")
    }

    fn exercised(plan: &Plan, seeds: std::ops::Range<u64>) -> Teardown {
        let mut teardown = Teardown::default();
        for seed in seeds {
            teardown.begin();
            let run = execute::run(plan, &Schedule::Seed(seed), &mut |event| teardown.event(event));
            teardown.end(&run.expect("it starts"));
        }
        teardown
    }

    fn hits(items: &[Item], name: &str) -> u64 {
        items.iter().find(|item| item.name == name).unwrap_or_else(|| panic!("no {name}")).hits
    }

    #[test]
    fn a_removal_walks_through_the_life_of_its_stack() {
        let plan = plan("");
        let items = exercised(&plan, 0..1).items(&plan);
        for name in [
            "detached → attached",
            "starting → started",
            "inactive → willTerminate",
            "willTerminate → didTerminate",
            "finalized → stopped",
            "stopped → detached",
            "detached → freed",
            "edu0.mmio.write",
            "edu0.dma.write",
            "edu0.gate.close",
            "edu0.willTerminate",
            "terminate-order",
            "gate-at-interrupt",
            "dma-outside-buffer",
            "leak",
        ] {
            assert!(hits(&items, name) > 0, "{name} was not exercised\n{}", table(&items, true));
        }
        assert_eq!(hits(&items, "starting → failed"), 0);
        assert_eq!(hits(&items, "io-lost"), 1, "judged once, at the end");
        assert!(table(&items, true).contains("never: "), "{}", table(&items, true));
    }

    #[test]
    fn no_step_of_a_correct_driver_is_outside_the_table() {
        let plan = plan("");
        let items = exercised(&plan, 0..30).items(&plan);
        let steps = items.iter().filter(|item| item.group == Group::Steps).count();
        assert_eq!(steps, STEPS.len(), "{:?}", &items[STEPS.len()..steps]);
    }

    #[test]
    fn counts_of_many_add_up_in_any_order() {
        let plan = plan("");
        let whole = exercised(&plan, 0..4).items(&plan);
        let (mut parts, first) = (exercised(&plan, 2..4), exercised(&plan, 0..2));
        parts.merge(&first);
        assert_eq!(parts.items(&plan), whole);
    }

    #[test]
    fn a_hostile_guest_costs_no_more_than_the_bounds() {
        let mut teardown = Teardown::default();
        for object in 0..70_000 {
            teardown.event(&Event::new(Kind::Attach).object(object).slot(object));
        }
        assert_eq!(teardown.services.len(), MAX_SERVICES);
    }
}
