//! What a plan cannot mean for a guest that is not Workgate's own: one that takes no orders, tells nothing, and is judged by nobody.

use crate::fault::plan::{Action, Expect, GuestFault, Plan, PlanError, Rule, Span, Trigger};
use crate::fault::plane::guest_kind;

const ONLY_OURS: &str = "hardware, and rules that only hardware takes part in";

/// Every statement that needs a guest of Workgate's own, besides what [`super::check`] finds. Empty = the plan can be any guest's hardware.
pub fn check_foreign(plan: &Plan) -> Vec<PlanError> {
    let loads = plan.loads.iter().map(|load| (load.span, "`load`: this guest has its own work"));
    let threads =
        plan.threads.iter().map(|thread| (thread.span, "`thread`: this guest has threads of its own"));
    let expects =
        plan.expects.iter().map(|expect| (span_of(expect), "`expect`: nobody hears what this guest does"));
    let rules = plan.rules.iter().filter_map(|rule| trouble(rule).map(|told| (rule.span, told)));
    let mut errors: Vec<PlanError> = loads
        .chain(threads)
        .chain(expects)
        .chain(rules)
        .map(|(span, told)| PlanError::new(span, told).expected(ONLY_OURS))
        .collect();
    errors.sort_by_key(|error| error.span.start);
    errors.into_iter().map(|error| error.in_plan(&plan.name)).collect()
}

fn span_of(expect: &Expect) -> Span {
    match expect {
        Expect::Offline(_, span) | Expect::Quiet(_, span) | Expect::NoLeaks(span) => *span,
        Expect::Turn { span, .. } => *span,
    }
}

fn trouble(rule: &Rule) -> Option<&'static str> {
    if let Trigger::Nth { site, .. } | Trigger::Chance { site, .. } = &rule.trigger
        && guest_kind(site).is_some()
    {
        return Some("nobody hears of this site in this guest");
    }
    match &rule.action {
        Action::Kill(_) => Some("`kill`: the clients of this guest are not known"),
        Action::Race { .. } => Some("`race`: the timers of this guest are not known"),
        Action::Guest(GuestFault::FailAlloc(_)) => Some("`fail-alloc`: this guest has its own memory"),
        Action::Guest(GuestFault::Preempt { .. }) => Some("`preempt`: this guest has its own scheduler"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let plan = Plan::parse("t", text).expect("a plan");
        check_foreign(&plan).iter().map(|error| error.line).collect()
    }

    #[test]
    fn hardware_and_its_faults_are_any_guests() {
        let text = "machine cpus=2 memory=64M\nplug e edu slot=1\nplug d virtio-blk slot=2\non e.mmio.write #4 unplug e\n\
                    at 1s replug e\nat 1ms storm d rate=10kHz for=1ms\nat 2ms stall cpu=0 for=1ms\nrun for=5s\n";
        assert_eq!(lines(text), Vec::<usize>::new());
    }

    #[test]
    fn what_only_our_guest_does_is_refused_where_it_stands() {
        let text = "plug e edu slot=1\nload e clients=1 depth=1\non e.willTerminate #1 unplug e\nat 1ms kill e\nat 1ms race e timer=before\n\
                    at 1ms preempt\nat 1ms fail-alloc #1\nexpect no-leaks\nexpect quiet within=1s\nrun for=5ms\n";
        assert_eq!(lines(text), [2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
