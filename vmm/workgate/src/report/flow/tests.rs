//! Each link of a chain, and what looks like one and is none.

use super::*;
use mach::seam::TIMER_VECTOR;

const VECTOR: u64 = 0x31;
const DRIVER: u32 = 40;
const LOOP: u32 = 7;
const CLIENT: u32 = 9;
const OTHER: u32 = 11;
const REQUEST: u64 = 77;

fn on(thread: u32, kind: Kind) -> Event {
    Event { thread, ..Event::new(kind) }
}

fn fault(word: &str) -> Event {
    on(0, Kind::Fault).slot(1).text(word)
}

/// A wake-up of `woken` that `waker` made, or an interrupt while it ran.
fn wake(waker: u32, woken: u32) -> Event {
    on(waker, Kind::Wake).object(woken)
}

/// `thread` waits, and `next` runs.
fn waits(thread: u32, next: u32) -> Event {
    on(thread, Kind::Dispatch).object(next).other(thread)
}

fn issue() -> Event {
    on(CLIENT, Kind::IoIssue).slot(1).arg(REQUEST)
}

fn done() -> Event {
    on(CLIENT, Kind::IoDone).slot(1).arg(REQUEST)
}

/// The filter of the driver in `slot`, in an interrupt; what it wakes.
fn interrupt(slot: u32, mine: bool, woken: &[u32]) -> Vec<Event> {
    let filter = on(OTHER, Kind::Filter).object(DRIVER + slot).slot(slot).arg(mine.into());
    let mut events = vec![on(OTHER, Kind::Interrupt).arg(VECTOR + u64::from(slot)), filter];
    events.extend(woken.iter().map(|woken| wake(OTHER, *woken)));
    events.push(on(OTHER, Kind::InterruptEnd));
    events
}

/// An action of the driver in `slot` on the loop's thread, which wakes `woken`.
fn action(slot: u32, woken: u32) -> Vec<Event> {
    let begin = on(LOOP, Kind::ActionStart).object(DRIVER + slot).slot(slot);
    vec![begin, wake(LOOP, woken), on(LOOP, Kind::ActionEnd).object(DRIVER + slot).slot(slot)]
}

/// An interrupt of the port that nobody's filter sees, and the thread that it wakes.
fn port(woken: u32) -> Vec<Event> {
    vec![on(OTHER, Kind::Interrupt).arg(0x30), wake(OTHER, woken), on(OTHER, Kind::InterruptEnd)]
}

/// Places in the only chain, each behind `-` if that is proven, `.` if not. Event `n` is at `n` ns.
fn chain(events: &[Vec<Event>]) -> String {
    let mut flows = Flows::default();
    for (time, event) in events.concat().iter().enumerate() {
        flows.event(&Event { time: time as u64, ..*event });
    }
    let chains = flows.finish();
    assert!(chains.len() <= 1, "{chains:?}");
    assert!(chains.iter().all(|points| points.is_sorted_by_key(|point| point.step.time)));
    let told = |point: &Point| match (point.caused, point.step.place) {
        (_, Place::Plan) => "plan".to_owned(),
        (true, Place::Interrupts(cpu)) => format!(" - irq{cpu}"),
        (false, Place::Interrupts(cpu)) => format!(" . irq{cpu}"),
        (true, Place::Thread(id)) => format!(" - {id}"),
        (false, Place::Thread(id)) => format!(" . {id}"),
    };
    chains.iter().flatten().map(told).collect()
}

/// The driver has listened to one interrupt.
fn before() -> Vec<Event> {
    [vec![issue()], interrupt(1, false, &[])].concat()
}

#[test]
fn an_interrupt_of_the_plan_leads_over_loop_and_action_to_the_client() {
    let raised = [vec![fault("spurious")], interrupt(1, true, &[LOOP])].concat();
    let chain = chain(&[before(), raised, action(1, CLIENT), vec![done()]]);
    assert_eq!(chain, "plan - irq0 - 7 - 9");
}

#[test]
fn a_request_that_comes_back_before_the_interrupt_is_not_the_end_of_it() {
    let early = vec![fault("spurious"), Event { thread: 30, arg: 5, ..done() }];
    assert_eq!(chain(&[before(), early.clone()]), "plan . 30");
    let raised = [interrupt(1, true, &[LOOP]), action(1, CLIENT), vec![done()]].concat();
    assert_eq!(chain(&[before(), early, raised]), "plan - irq0 - 7 - 9");
}

#[test]
fn of_other_faults_only_what_the_interrupt_led_to_is_proven() {
    let events =
        [before(), vec![fault("delay")], interrupt(1, true, &[LOOP]), action(1, CLIENT), vec![done()]];
    assert_eq!(chain(&events), "plan . irq0 - 7 - 9");
}

#[test]
fn an_interrupt_that_the_filter_refuses_leads_nowhere() {
    let raised = [vec![fault("storm")], interrupt(1, false, &[])].concat();
    assert_eq!(chain(&[before(), raised, action(1, CLIENT), vec![done()]]), "plan - irq0");
}

#[test]
fn an_interrupt_of_another_device_is_not_in_the_chain() {
    let others = [vec![fault("spurious")], interrupt(2, true, &[LOOP]), action(2, OTHER)].concat();
    assert_eq!(chain(&[before(), others.clone()]), "");
    let mine = [interrupt(1, true, &[LOOP]), action(1, CLIENT), vec![done()]].concat();
    let mut flows = Flows::default();
    for (time, event) in [before(), others, mine].concat().iter().enumerate() {
        flows.event(&Event { time: time as u64, ..*event });
    }
    let interrupt = flows.finish()[0][1].step;
    // Behind the four events of `before`, the fault, four and three of the other device.
    assert_eq!((interrupt.time, interrupt.place), (12, Place::Interrupts(0)));
}

#[test]
fn an_interrupt_from_before_the_fault_is_not_its_doing() {
    let mut serving = interrupt(1, true, &[LOOP]);
    serving.insert(1, fault("spurious"));
    assert_eq!(chain(&[before(), serving]), "");
}

#[test]
fn an_interrupt_before_the_driver_listens_proves_nothing() {
    let raised = [vec![fault("spurious")], interrupt(1, true, &[LOOP])].concat();
    assert_eq!(chain(std::slice::from_ref(&raised)), "plan . irq0");
    let removed = vec![on(OTHER, Kind::SourceRemoved).slot(1)];
    assert_eq!(chain(&[before(), removed, raised]), "plan . irq0");
}

#[test]
fn a_thread_that_was_not_woken_by_it_runs_its_action_for_other_reasons() {
    let raised = [vec![fault("spurious")], interrupt(1, true, &[])].concat();
    let events = [before(), raised.clone(), action(1, CLIENT), vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 . 7 . 9");
    // The same owner on another thread, or the same thread for another owner.
    let woken = [vec![fault("spurious")], interrupt(1, true, &[OTHER])].concat();
    assert_eq!(chain(&[before(), woken, action(1, CLIENT), vec![done()]]), "plan - irq0 . 7 . 9");
    let woken = [vec![fault("spurious")], interrupt(1, true, &[LOOP]), action(2, CLIENT)].concat();
    assert_eq!(chain(&[before(), woken, vec![done()]]), "plan - irq0 . 9");
}

#[test]
fn an_unrelated_thread_woken_in_between_is_not_in_the_chain() {
    let mut inner = action(1, CLIENT);
    inner.insert(1, wake(LOOP, OTHER));
    inner.insert(3, wake(OTHER, 12));
    let raised = [vec![fault("spurious")], interrupt(1, true, &[LOOP])].concat();
    assert_eq!(chain(&[before(), raised.clone(), inner, vec![done()]]), "plan - irq0 - 7 - 9");
    // The client is woken by somebody else before it returns: it had waited again.
    let again = vec![wake(OTHER, CLIENT), done()];
    assert_eq!(chain(&[before(), raised, action(1, CLIENT), again]), "plan - irq0 - 7 . 9");
}

#[test]
fn a_client_that_waits_again_or_asks_for_something_else_is_not_in_the_chain() {
    let raised = [vec![fault("spurious")], interrupt(1, true, &[LOOP]), action(1, CLIENT)].concat();
    for again in [on(CLIENT, Kind::CommandSleep).slot(1), waits(CLIENT, OTHER), issue()] {
        let events = [before(), raised.clone(), vec![again, done()]];
        assert_eq!(chain(&events), "plan - irq0 - 7 . 9", "{again:?}");
    }
    let another = vec![Event { arg: REQUEST + 1, ..done() }];
    assert_eq!(chain(&[before(), raised, another]), "plan - irq0 - 7 . 9");
}

#[test]
fn a_gate_or_a_deadline_is_no_reason() {
    let raised = [vec![fault("spurious")], interrupt(1, true, &[LOOP])].concat();
    let gate = vec![on(CLIENT, Kind::GateWait).slot(1), waits(CLIENT, OTHER)];
    let events = [before(), gate.clone(), raised.clone(), action(1, CLIENT), vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 - 7 . 9");
    // But who waits for a gate on its way goes on with what it was woken for.
    let handed = vec![wake(OTHER, CLIENT), done()];
    let events = [before(), raised.clone(), action(1, CLIENT), gate, handed];
    assert_eq!(chain(&events), "plan - irq0 - 7 - 9");
    let timed_out = |events: Vec<Event>| {
        let late = |event: Event| if event.kind == Kind::Wake { event.arg(1) } else { event };
        events.into_iter().map(late).collect::<Vec<_>>()
    };
    let events = [before(), raised, timed_out(action(1, CLIENT)), vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 - 7 . 9");
}

/// The hot-plug thread notices that the card is gone, and has the requests to it ended by another thread.
fn removal(hot_plug: u32, ends: u32) -> Vec<Event> {
    vec![
        on(hot_plug, Kind::Gone).slot(1),
        wake(hot_plug, ends),
        waits(hot_plug, ends),
        on(ends, Kind::WillTerminate).slot(1),
        on(ends, Kind::CommandWakeup).slot(1),
        wake(ends, CLIENT),
        waits(ends, CLIENT),
    ]
}

#[test]
fn a_removal_leads_over_the_port_and_the_threads_of_the_teardown_to_the_client() {
    let events = [before(), vec![fault("unplug")], port(20), removal(20, 21), vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 - 20 - 21 - 9");
    // A request that comes back on its own meanwhile is not the end of it.
    let early = vec![Event { thread: 30, arg: 5, ..done() }];
    let events = [before(), vec![fault("unplug")], early, port(20), removal(20, 21), vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 - 20 - 21 - 9");
}

#[test]
fn a_removal_is_noticed_after_clients_have_their_answers() {
    // A controller's interrupt ends the transfer, and the same one has the hub's thread look at its ports.
    let mut action = action(2, CLIENT);
    action.insert(2, wake(LOOP, 20));
    let woken = [vec![fault("unplug")], interrupt(2, true, &[LOOP]), action].concat();
    let noticed = vec![done(), on(20, Kind::Gone).slot(1)];
    assert_eq!(chain(&[before(), woken.clone(), vec![done()]]), "plan . irq0 - 7 - 9");
    assert_eq!(chain(&[before(), woken, noticed]), "plan - irq0 - 7 - 9");
}

#[test]
fn a_client_that_comes_or_goes_is_no_sign_of_a_card_that_does() {
    for (word, kind) in [("unplug", Kind::Terminate), ("unplug", Kind::Register), ("replug", Kind::Attach)] {
        let events = [vec![fault(word)], port(20), vec![on(20, kind).slot(1)], vec![done()]];
        assert_eq!(chain(&events), "plan . 9", "{word}: {kind:?}");
    }
    let events = [vec![fault("replug")], port(20), vec![on(20, Kind::Register).slot(1)], vec![done()]];
    assert_eq!(chain(&events), "plan - irq0 - 20 . 9");
}

#[test]
fn a_card_that_a_deadline_misses_was_not_noticed_by_an_interrupt() {
    let mut late = port(20);
    late[0].arg = u64::from(TIMER_VECTOR);
    let events = [before(), vec![fault("unplug")], late, removal(20, 21), vec![done()]];
    assert_eq!(chain(&events), "plan . 9");
}

#[test]
fn a_fault_without_consequence_has_no_arrow_and_many_are_bounded() {
    let mut flows = Flows::default();
    for number in 0..10_000 {
        let event = |event: Event| Event { time: number, ..event };
        flows.event(&event(fault("drop")));
        flows.event(&event(done()));
    }
    flows.event(&Event { time: 10_000, ..fault("drop") });
    let chains = flows.finish();
    assert_eq!(chains.len(), MAX_FLOWS);
    assert!(chains.iter().all(|points| points.len() == 2));
}

#[test]
fn a_hostile_trace_is_bounded() {
    let mut flows = Flows::default();
    flows.event(&fault("unplug"));
    for number in 0..1_000_000_u32 {
        // Every thread wakes the next one, each for the device; every slot has a filter.
        let thread = (number % 10_000) << 8;
        let kinds = [Kind::Interrupt, Kind::Filter, Kind::Wake, Kind::InterruptEnd, Kind::IoDone, Kind::Wake];
        let event = on(thread, kinds[number as usize % 6]).object(thread + 1).slot(number % 300).arg(1);
        flows.event(&Event { cpu: (number / 6) as u8, ..event });
    }
    assert!(flows.vectors.len() <= MAX_SLOTS && flows.open.len() == 1);
    assert!((65_000..=65_536).contains(&flows.origins.len()), "{}", flows.origins.len());
    assert!(flows.finish().iter().all(|points| points.len() < 16));
}
