//! The input decides what a plan leaves open: whose turn it is, how late interrupts are, where time is lost.

use super::{Setting, runs};
use crate::plans::scenarios;
use crate::target::{Features, Target, Trouble};
use devices::fault::plan::Plan;
use explore::Schedule;

/// Bytes of a schedule: about as many decisions.
const MOST: usize = 2048;

/// The target.
pub struct Schedules {
    plans: Vec<Plan>,
}

impl Schedules {
    /// Schedules of the user's plan, or of the busy plans.
    pub fn new(setting: Setting) -> Self {
        let mut plans = setting.plan.clone().map_or_else(scenarios::busy, |plan| vec![plan]);
        plans.iter_mut().for_each(|plan| setting.apply(plan));
        Self { plans }
    }

    /// The first byte says which plan, the second is the seed of its dice, the others are answers.
    fn task(&self, input: &[u8]) -> (&Plan, Schedule) {
        let (which, dice, bytes) = match input {
            [] => (0, 0, &[][..]),
            [which] => (*which, 0, &[][..]),
            [which, dice, bytes @ ..] => (*which, *dice, &bytes[..bytes.len().min(MOST)]),
        };
        let plan = &self.plans[usize::from(which) % self.plans.len()];
        (plan, Schedule::Bytes { bytes: bytes.to_vec(), dice: dice.into() })
    }
}

impl Target for Schedules {
    fn name(&self) -> &'static str {
        "schedules"
    }

    fn about(&self) -> &'static str {
        "bytes decide whose turn it is, how late interrupts are and where time is lost in a busy plan"
    }

    fn most(&self) -> usize {
        2 + MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for which in 0..self.plans.len() as u8 {
            let mut rng = sim::Rng::new(u64::from(which));
            seeds.push(vec![which, 0]);
            for length in [64, 512] {
                let bytes = (0..length).map(|_| rng.next_u64() as u8);
                seeds.push([which, 0].into_iter().chain(bytes).collect());
            }
        }
        seeds
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let (plan, schedule) = self.task(input);
        runs::run(plan, &schedule, features)
    }

    fn plan(&self, input: &[u8]) -> Option<(Plan, Schedule)> {
        let (plan, schedule) = self.task(input);
        Some((plan.clone(), schedule))
    }

    fn describe(&self, input: &[u8]) -> String {
        let (plan, schedule) = self.task(input);
        runs::describe(plan, &schedule)
    }
}
