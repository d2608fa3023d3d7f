//! The verifier: one event at a time.

mod so_far;

use crate::checks::Checks;
use crate::expect::{self, Shown};
use crate::finding::{Finding, Rule};
use crate::lateness::Lateness;
use crate::ledger::{Entry, Ledger};
use crate::level::Level;
use crate::names::Names;
use crate::order::Order;
use crate::removal::{MAX_REMOVALS, Removal, is_removal};
use crate::threads::Threads;
use crate::turns::Turns;
use crate::verdict::{Ended, Verdict};
use devices::fault::plan::{Action, GuestFault, Plan};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use trace::{Event, Kind};

/// Findings kept; later ones are counted.
pub const MAX_FINDINGS: usize = 64;
/// Events shown with a finding.
const CONTEXT: usize = 24;
/// Threads told with a finding.
const MAX_THREADS: usize = 64;
/// Fault lines kept.
const MAX_FAULTS: usize = 4096;
/// The guest's rule about two classes of locks, `object` and `other`, whose names it announces like those of registry entries.
const LOCK_ORDER: &str = "lock-order";
/// Actions of plans that let time pass without the guest.
const TAKES_TIME: [&str; 3] = ["stall", "clock-jump", "preempt"];
/// Classes counted at the end.
const MAX_CLASSES: usize = 1024;

/// Consumes a trace and judges it.
pub struct Verifier {
    plan: Plan,
    names: Names,
    ledger: Ledger,
    lateness: Lateness,
    level: Level,
    threads: Threads,
    checks: Checks,
    order: Order,
    busy: BTreeSet<(u32, u32)>,
    turns: Turns,
    removals: Vec<Removal>,
    faults: Vec<(u64, String, String)>,
    acted: BTreeSet<(u32, String)>,
    findings: Vec<Finding>,
    findings_total: u64,
    seen: BTreeSet<(String, String)>,
    classes: Vec<(String, u64)>,
    recent: VecDeque<Event>,
    panicked: Option<String>,
    defect: Option<String>,
    done: bool,
    /// The machine's time passes while the host does other things.
    time_is_shared: bool,
    /// Until when the plan may have kept a CPU from going on, machine ns.
    time_lost: Option<u64>,
}

impl Verifier {
    /// A verifier for a run of `plan`.
    pub fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            names: Names::default(),
            ledger: Ledger::of(plan),
            lateness: Lateness::of(plan),
            level: Level::default(),
            threads: Threads::default(),
            checks: Checks::default(),
            order: Order::default(),
            busy: BTreeSet::new(),
            turns: Turns::default(),
            removals: Vec::new(),
            faults: Vec::new(),
            acted: BTreeSet::new(),
            findings: Vec::new(),
            findings_total: 0,
            seen: BTreeSet::new(),
            classes: Vec::new(),
            recent: VecDeque::with_capacity(CONTEXT),
            panicked: None,
            defect: None,
            done: false,
            time_is_shared: false,
            time_lost: None,
        }
    }

    /// The same for a machine whose time passes while its host runs something else: what takes long there may be the host's doing. An overstay is in
    /// the trace, and no finding; a request is late only if host and processors are seen to have kept up meanwhile.
    #[must_use]
    pub fn of_shared_time(mut self) -> Self {
        self.time_is_shared = true;
        self.lateness = self.lateness.of_shared_time();
        self
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        self.names.event(event);
        self.threads.event(event);
        self.checks.event(event);
        if worth_showing(event.kind) {
            if self.recent.len() == CONTEXT {
                self.recent.pop_front();
            }
            self.recent.push_back(*event);
        }
        for (rule, message) in self.order.event(event) {
            self.broken(event, rule.name(), format!("{}: {message}", self.names.line(event)));
        }
        if self.level.event(event) {
            self.broken(event, Rule::GateAtInterrupt.name(), self.names.line(event));
        }
        if let Some(waited) = self.lateness.event(event) {
            let message = format!("nothing came back for {}", expect::time(waited));
            self.broken(event, Rule::IoLate.name(), message);
        }
        match self.ledger.event(event) {
            Entry::None => {}
            Entry::Broken(rule, message) => self.broken(event, rule.name(), message),
            Entry::Returned(request) => {
                for removal in self.removals.iter_mut().filter(|r| r.slot == event.slot) {
                    removal.returned(request.number, event.time);
                }
            }
        }
        self.special(event);
        self.follow_removals(event);
    }

    fn special(&mut self, event: &Event) {
        match event.kind {
            Kind::Fault => self.fault(event),
            Kind::Violation => {
                let message = match event.text_str() {
                    LOCK_ORDER => format!(
                        "{} is taken inside of {}, which another way leads back to it",
                        self.names.class(event.object),
                        self.names.class(event.other)
                    ),
                    _ => format!("{} (detail {:#x})", self.names.object(event.object), event.arg),
                };
                self.broken(event, event.text_str(), message);
            }
            Kind::Overstay if !self.time_is_shared && !self.lost_time_since(event) => {
                let who = self.names.object(event.object);
                let message = format!("{who}: its {} took {} ns", event.text_str(), event.arg);
                self.broken(event, Rule::Overstay.name(), message);
            }
            Kind::Inversion => {
                let message = self.names.inversion(event);
                self.broken(event, Rule::Inversion.name(), message);
            }
            Kind::Turn => self.turns.event(event, self.names.plan_time(event.time)),
            Kind::TouchAfterRemoval => {
                let message =
                    format!("{} touched register {:#x}", self.names.object(event.object), event.arg);
                self.broken(event, Rule::TouchAfterRemoval.name(), message);
            }
            Kind::Panic => {
                self.panicked.get_or_insert_with(|| event.text_str().to_owned());
            }
            Kind::HostDefect => {
                let what = format!("{} {:#x}", event.text_str(), event.arg);
                self.defect.get_or_insert(what);
            }
            Kind::ClassCount if self.classes.len() < MAX_CLASSES => {
                self.classes.push((event.text_str().to_owned(), event.arg));
            }
            Kind::Done => self.done = true,
            Kind::Busy if event.arg != 0 => {
                self.busy.insert((event.slot, event.object));
            }
            Kind::Busy | Kind::Free => {
                self.busy.remove(&(event.slot, event.object));
            }
            _ => {}
        }
    }

    fn fault(&mut self, event: &Event) {
        let device = self.device(event.slot);
        let word = event.text_str();
        self.acted.insert((event.slot, word.to_owned()));
        if TAKES_TIME.contains(&word) {
            self.time_lost = self.time_lost.max(Some(event.time.saturating_add(longest_stall(&self.plan))));
        }
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((self.names.plan_time(event.time), device.clone(), word.to_owned()));
        }
        if is_removal(word) && self.removals.len() < MAX_REMOVALS {
            let requests = (self.ledger.issued(), self.ledger.in_flight(event.slot));
            let stack = self.order.attached(event.slot);
            let at = self.names.plan_time(event.time);
            self.removals.push(Removal::new(event, at, device, requests, stack));
        }
    }

    /// Whether the plan took time away while what this event tells of was running: then it is the plan that kept others waiting.
    fn lost_time_since(&self, overstay: &Event) -> bool {
        self.time_lost.is_some_and(|lost| lost >= overstay.time.saturating_sub(overstay.arg))
    }

    /// The last step for each event: the stories of removals go on.
    fn follow_removals(&mut self, event: &Event) {
        if self.removals.is_empty() || event.slot == 0 {
            return;
        }
        let open = |r: &&mut Removal| r.slot == event.slot && r.quiet_after.is_none();
        for removal in self.removals.iter_mut().filter(open) {
            removal.note(event, &self.names);
        }
        if !matches!(event.kind, Kind::Detach | Kind::Free | Kind::Busy) || self.is_tearing_down(event.slot) {
            return;
        }
        let order = &self.order;
        for removal in self.removals.iter_mut().filter(open) {
            removal.quiet_if_gone(event.time, |id| order.is_attached(id));
        }
    }

    /// Something of this slot is busy, or was terminated and is still attached.
    fn is_tearing_down(&self, slot: u32) -> bool {
        let busy = self.busy.range((slot, 0)..=(slot, u32::MAX)).next().is_some();
        busy || !self.order.unfinished(slot).is_empty()
    }

    fn device(&self, slot: u32) -> String {
        if slot == 0 {
            return "machine".to_owned();
        }
        match self.plan.plugs.iter().find(|plug| plug.slot == slot) {
            Some(plug) => plug.name.clone(),
            None => format!("slot{slot}"),
        }
    }

    fn broken(&mut self, event: &Event, rule: &str, message: String) {
        let events = self.recent.iter().map(|e| self.names.full_line(e)).collect();
        let device = (event.slot != 0).then(|| self.device(event.slot));
        let time = self.names.plan_time(event.time);
        self.found(Finding { rule: rule.to_owned(), time, device, message, events, threads: Vec::new() });
    }

    fn found(&mut self, mut finding: Finding) {
        self.findings_total += 1;
        let first = self.seen.len() < MAX_FINDINGS
            && self.seen.insert((finding.rule.clone(), finding.device.clone().unwrap_or_default()));
        // The first of each rule and device always stands, with what the threads were doing; repetitions only while there is room.
        if first {
            finding.threads = self.threads.describe(&self.names, MAX_THREADS);
        }
        if first || self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// The run is over: judges expectations and what is left.
    pub fn finish(mut self, ended: Ended) -> Verdict {
        let ended = self.settle(ended);
        self.judge_end(&ended);
        self.checks.end();
        let finished = ended == Ended::Done;
        let shown = Shown {
            plan: &self.plan,
            removals: &self.removals,
            turns: &self.turns,
            leaks: &self.classes,
            finished,
        };
        let expectations: Vec<_> =
            self.plan.expects.iter().map(|expect| expect::judge(expect, &shown)).collect();
        let never_acted = self.never_acted();
        let names: BTreeMap<u32, String> = self.plan.plugs.iter().map(|p| (p.slot, p.name.clone())).collect();
        let name = |slot: u32| names.get(&slot).cloned().unwrap_or_else(|| format!("slot{slot}"));
        let io = self.ledger.close().into_iter().map(|(slot, counts)| (name(slot), counts)).collect();
        let passed = self.findings_total == 0 && expectations.iter().all(|e| e.held) && finished;
        Verdict {
            passed,
            ended,
            io,
            faults: self.faults,
            removals: self.removals,
            expectations,
            findings: self.findings,
            findings_total: self.findings_total,
            classes: self.classes,
            never_acted,
            checks: self.checks,
        }
    }

    /// A machine that powered off without `run.done`, or after a panic, did not end well. Whatever a defective processor led to is not
    /// the guest's.
    fn settle(&self, ended: Ended) -> Ended {
        if let Some(what) = &self.defect {
            return Ended::HostDefect(what.clone());
        }
        match (ended, &self.panicked, self.done) {
            (Ended::Done, Some(message), _) => Ended::Panic(message.clone()),
            (Ended::Done, None, false) => {
                Ended::Bad("the guest powered off before the run was done".to_owned())
            }
            (ended, _, _) => ended,
        }
    }

    fn judge_end(&mut self, ended: &Ended) {
        let last = self.recent.back().copied().unwrap_or(Event::new(Kind::Done));
        let at_end = Event { slot: 0, ..last };
        match ended {
            Ended::Done => {}
            Ended::Panic(what) => self.broken(&at_end, Rule::Panic.name(), what.clone()),
            Ended::Hang(what) => self.broken(&at_end, Rule::Hang.name(), what.clone()),
            Ended::Bad(what) => self.broken(&at_end, Rule::BadEnd.name(), what.clone()),
            // What was not finished then is nobody's fault.
            Ended::HostDefect(_) | Ended::Quit => return,
        }
        // A request that never comes back holds its stack: it is the cause, and comes first.
        let slots: Vec<u32> = self.plan.plugs.iter().map(|p| p.slot).collect();
        for slot in slots {
            let lost = self.ledger.in_flight(slot);
            if lost > 0 {
                let event = Event { slot, ..last };
                self.broken(&event, Rule::IoLost.name(), format!("{lost} request(s) never came back"));
            }
        }
        for (slot, left) in self.order.all_unfinished() {
            let stuck: Vec<String> = left.iter().map(|&id| self.names.object(id)).collect();
            let event = Event { slot, ..last };
            self.broken(&event, Rule::NeverQuiet.name(), format!("still attached: {}", stuck.join(", ")));
        }
        // Leaks are a finding only after a run that was allowed to end in order.
        let leaks: Vec<String> =
            self.classes.iter().filter(|(_, n)| *n > 0).map(|(c, n)| format!("{c}: {n}")).collect();
        if *ended == Ended::Done && !leaks.is_empty() {
            self.broken(&at_end, Rule::Leak.name(), leaks.join(", "));
        }
    }

    fn never_acted(&self) -> Vec<String> {
        let slot_of = |name: &str| self.plan.plugs.iter().find(|p| p.name == name).map_or(0, |p| p.slot);
        let acted = |word: &str, device: &str| self.acted.contains(&(slot_of(device), word.to_owned()));
        self.plan
            .rules
            .iter()
            .filter_map(|rule| {
                let word = rule.action.word();
                match rule.action.device() {
                    Some(device) => (!acted(word, device)).then(|| format!("{word} {device}")),
                    None => (!self.acted.contains(&(0, word.to_owned()))).then(|| word.to_owned()),
                }
            })
            .collect()
    }
}

/// For how long a thread that lost its turn may have to wait for another: two quanta (S3).
const TURN: u64 = 20_000_000;

/// The longest time, ns, that an action of the plan takes from the guest. It is taken soon after the action is told, not at once; and
/// others may wait as long for what the one who lost it holds.
fn longest_stall(plan: &Plan) -> u64 {
    let stalls = plan.rules.iter().filter_map(|rule| match rule.action {
        Action::Guest(GuestFault::Stall { duration, .. }) => Some(duration),
        Action::Guest(GuestFault::ClockJump { by }) => Some(by),
        Action::Guest(GuestFault::Preempt { .. }) => Some(TURN),
        _ => None,
    });
    stalls.max().unwrap_or(0)
}

/// High-rate bookkeeping would push everything of interest out of a finding's context.
fn worth_showing(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Dispatch | Kind::Wake | Kind::Name | Kind::Class | Kind::InterruptEnd | Kind::ClassCount
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::fault::plan::{Expect, Plug, Span};

    fn plan() -> Plan {
        let edu0 = Plug {
            name: "edu0".to_owned(),
            model: "edu".to_owned(),
            slot: 1,
            options: BTreeMap::new(),
            span: Span::default(),
            marks: Default::default(),
        };
        let expects = vec![
            Expect::Offline(100, Span::default()),
            Expect::Quiet(1000, Span::default()),
            Expect::NoLeaks(Span::default()),
        ];
        Plan { plugs: vec![edu0], expects, ..Plan::default() }
    }

    fn verify(events: &[(u64, Event)], ended: Ended) -> Verdict {
        let mut verifier = Verifier::new(&plan());
        for (time, event) in events {
            verifier.event(&Event { time: *time, ..*event });
        }
        verifier.finish(ended)
    }

    fn on(kind: Kind, object: u32) -> Event {
        Event::new(kind).slot(1).object(object)
    }

    /// A nub is removed with two requests in flight, which come back; then it is torn down.
    fn removal() -> Vec<(u64, Event)> {
        vec![
            (1, on(Kind::Name, 2).text("edu0")),
            (1, on(Kind::Attach, 2).other(1)),
            (10, on(Kind::IoIssue, 2).arg(1)),
            (11, on(Kind::IoIssue, 2).arg(2)),
            (20, on(Kind::Fault, 0).text("unplug")),
            (21, on(Kind::Terminate, 2)),
            (21, on(Kind::Inactive, 2)),
            (30, on(Kind::IoDone, 2).arg(1)),
            (70, on(Kind::IoOffline, 2).arg(2)),
            (80, on(Kind::Finalize, 2)),
            (81, on(Kind::Stop, 2).other(1)),
            (82, on(Kind::Detach, 2).other(1)),
            (83, on(Kind::Free, 2)),
            (90, Event::new(Kind::ClassCount).text("EduDriver")),
            (91, Event::new(Kind::Done)),
        ]
    }

    #[test]
    fn a_removal_in_order_passes() {
        let verdict = verify(&removal(), Ended::Done);
        assert!(verdict.passed, "{}", crate::render(&verdict));
        let told = &verdict.removals[0];
        assert_eq!((told.in_flight, told.offline_after, told.quiet_after), (2, Some(50), Some(62)));
        assert!(told.order.contains(&"edu0@2.finalize()".to_owned()), "{:?}", told.order);
    }

    #[test]
    fn a_request_whose_stamp_is_behind_the_removals_counts_by_its_place() {
        let mut events = removal();
        // The guest went on between the host's stamp and the event's place in the trace.
        events[3].0 = 25;
        let verdict = verify(&events, Ended::Done);
        assert!(verdict.passed, "{}", crate::render(&verdict));
        assert_eq!(verdict.removals[0].offline_after, Some(50));
    }

    #[test]
    fn each_thing_left_out_is_found() {
        let without = |kind: Kind| -> Vec<String> {
            let events: Vec<_> = removal().into_iter().filter(|(_, e)| e.kind != kind).collect();
            let verdict = verify(&events, Ended::Done);
            assert!(!verdict.passed, "without {}", kind.word());
            verdict.findings.into_iter().map(|f| f.rule).collect()
        };
        assert_eq!(without(Kind::IoOffline), ["io-lost"]);
        assert_eq!(without(Kind::Done), ["bad-end"]);
        assert_eq!(without(Kind::Fault), Vec::<String>::new(), "but the expectation fails");
    }

    #[test]
    fn a_defective_processor_is_no_finding_and_no_pass() {
        let mut events: Vec<_> = removal().into_iter().take(5).collect();
        events.push((30, Event::new(Kind::HostDefect).text("masked interrupt").arg(0x31)));
        for ended in [Ended::Done, Ended::Hang("its processor is defective".to_owned())] {
            let verdict = verify(&events, ended);
            assert!(!verdict.passed && verdict.findings.is_empty(), "{}", crate::render(&verdict));
            assert_eq!(verdict.ended, Ended::HostDefect("masked interrupt 0x31".to_owned()));
        }
    }

    #[test]
    fn a_stack_that_stays_is_never_quiet() {
        let gone = [Kind::Finalize, Kind::Stop, Kind::Detach, Kind::Free];
        let events: Vec<_> = removal().into_iter().filter(|(_, e)| !gone.contains(&e.kind)).collect();
        let verdict = verify(&events, Ended::Done);
        assert_eq!(verdict.findings[0].rule, "never-quiet");
        assert!(!verdict.expectations[1].held);
    }

    #[test]
    fn a_leak_and_a_guest_violation_are_named() {
        let mut events = removal();
        events[13].1.arg = 2;
        events.insert(5, (20, on(Kind::Violation, 2).text("close-before-return")));
        let verdict = verify(&events, Ended::Done);
        let rules: Vec<_> = verdict.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules, ["close-before-return", "leak"]);
        assert_eq!(verdict.findings[0].device.as_deref(), Some("edu0"));
    }

    #[test]
    fn an_overstay_is_a_finding_unless_the_host_or_the_plan_took_the_time() {
        let events = || {
            let mut events = removal();
            events.insert(2, (5, on(Kind::Overstay, 2).arg(2_000_000).text("timer")));
            events
        };
        let verdict = verify(&events(), Ended::Done);
        assert_eq!(verdict.findings[0].rule, "overstay");
        assert!(
            verdict.findings[0].message.contains("timer took 2000000 ns"),
            "{}",
            verdict.findings[0].message
        );
        // From 2 to 5 ns. The plan took time away at 3 ns, or at 1 ns for longer: then others may have waited for that CPU.
        let findings = |plan: &Plan, at| {
            let mut events = events();
            events.insert(2, (at, Event::new(Kind::Fault).text("stall")));
            events[3].1.arg = 3;
            let mut verifier = Verifier::new(plan);
            events.iter().for_each(|(time, event)| verifier.event(&Event { time: *time, ..*event }));
            verifier.finish(Ended::Done).findings.iter().filter(|f| f.rule == "overstay").count()
        };
        assert_eq!((findings(&plan(), 3), findings(&plan(), 1)), (0, 1));
        let text = "plug edu0 edu slot=1\nat 1ms stall cpu=0 for=1us\nrun for=2ms\n";
        let stalls = Plan::parse("stalls.plan", text).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(findings(&stalls, 1), 0);
        let mut verifier = Verifier::new(&plan()).of_shared_time();
        events().iter().for_each(|(time, event)| verifier.event(&Event { time: *time, ..*event }));
        assert!(verifier.finish(Ended::Done).passed);
    }

    #[test]
    fn a_circle_of_lock_classes_is_told_by_their_names() {
        let mut events = removal();
        let circle = Event::new(Kind::Violation).object(1 << 30 | 2).other(1 << 30 | 1).text("lock-order");
        let names = [("EduDriver gate", 1), ("properties", 2)];
        let named = names.map(|(name, n)| (20, Event::new(Kind::Name).object(1 << 30 | n).text(name)));
        events.splice(5..5, named.into_iter().chain([(20, circle)]));
        let verdict = verify(&events, Ended::Done);
        let found: Vec<_> = verdict.findings.iter().map(|f| (f.rule.as_str(), f.message.as_str())).collect();
        let message = "properties is taken inside of EduDriver gate, which another way leads back to it";
        assert_eq!(found, [("lock-order", message)]);
    }

    #[test]
    fn findings_are_bounded_but_counted() {
        let mut verifier = Verifier::new(&plan());
        for n in 0..1000 {
            verifier.event(&on(Kind::IoDone, 2).arg(n));
        }
        let verdict = verifier.finish(Ended::Done);
        assert!(verdict.findings.len() <= MAX_FINDINGS + 1);
        assert!(verdict.findings_total >= 1000);
    }
}
