//! What a plan does to processors and memory, exactly.

use devices::fault::plan::Plan;
use sim::Ended;
use trace::{Event, Kind};

/// Runs the plan to its orderly end: the time at which it ended, and all events.
fn run(plan: &Plan, seed: u64) -> (u64, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = sim::run(plan, seed, &mut |event| events.push(*event)).expect("a machine");
    assert_eq!(outcome.ended, Ended::Done, "seed {seed}");
    (outcome.virtual_time, events)
}

/// What the plan did, if the event says that it did something.
fn fault(event: &Event) -> Option<&str> {
    (event.kind == Kind::Fault).then(|| event.text_str())
}

/// Machine time of plan time zero.
fn zero(events: &[Event]) -> u64 {
    events.iter().find(|event| event.kind == Kind::Ready).map(|event| event.time).expect("the plan began")
}

/// The events from `from` to `to` ns of plan time, both excluded.
fn between(events: &[Event], from: u64, to: u64) -> Vec<Event> {
    let zero = zero(events);
    events.iter().filter(|event| event.time > zero + from && event.time < zero + to).copied().collect()
}

fn plan(rules: &str) -> Plan {
    let text = format!(
        "plug edu0 edu slot=1\nplug disk0 virtio-blk slot=2\n\
         load edu0 clients=2 depth=2\nload disk0 clients=2 depth=2\n{rules}\n"
    );
    Plan::parse("test", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn a_stalled_cpu_executes_nothing_and_the_other_goes_on() {
    let plan = plan("at 1ms stall cpu=1 for=500us\nrun for=3ms");
    let mut busy = 0;
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        // A CPU stops at its next point: what it was at costs at most a context switch and a register.
        let meanwhile = between(&events, 1_002_000, 1_499_000);
        let of = |cpu| meanwhile.iter().filter(|event| event.kind != Kind::Fault && event.cpu == cpu).count();
        assert_eq!(of(1), 0, "seed {seed}");
        // One that waits for what the stalled one holds has nothing to do.
        busy += usize::from(of(0) > 50);
        assert!(between(&events, 1_500_000, 3_000_000).iter().any(|event| event.cpu == 1), "seed {seed}");
    }
    assert!(busy >= 8, "{busy} of 12");
}

#[test]
fn all_cpus_may_be_stalled_at_once_and_time_goes_on() {
    let plan = plan("at 1ms stall cpu=0 for=400us\nat 1ms stall cpu=1 for=600us\nrun for=3ms");
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        let silent = between(&events, 1_002_000, 1_399_000);
        assert!(silent.iter().all(|event| event.kind == Kind::Fault), "seed {seed}: {silent:?}");
        assert!(between(&events, 1_400_000, 1_599_000).iter().all(|event| event.cpu == 0), "seed {seed}");
    }
}

#[test]
fn the_clock_jumps_between_two_events() {
    let plan = plan("at 1ms clock-jump by=300ms\nrun for=303ms");
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        let zero = zero(&events);
        let at = events.iter().position(|event| fault(event) == Some("clock-jump")).expect("it jumped");
        assert!(events[at].time - zero < 1_030_000, "seed {seed}");
        assert!(events[at + 1].time - events[at].time >= 300_000_000, "seed {seed}");
        assert!(between(&events, 1_100_000, 300_900_000).is_empty(), "seed {seed}");
    }
}

#[test]
fn the_allocation_that_is_named_fails() {
    let plan = plan("at 1ms unplug edu0\nat 1ms fail-alloc #2\nat 2ms replug edu0\nrun for=6ms");
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        let refused: Vec<_> = events.iter().filter(|event| event.kind == Kind::NoMemory).collect();
        assert_eq!(refused.len(), 1, "seed {seed}");
        assert!(["dma", "thread", "user client"].contains(&refused[0].text_str()), "seed {seed}");
    }
}

#[test]
fn memory_that_is_scarce_for_a_while_is_there_again_afterwards() {
    let plan = plan(
        "at 1ms fail-alloc p=1 for=2ms\nat 1ms unplug edu0\nat 2ms replug edu0\n\
         at 4ms unplug edu0\nat 5ms replug edu0\nrun for=9ms",
    );
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        let zero = zero(&events);
        let refused: Vec<u64> =
            events.iter().filter(|e| e.kind == Kind::NoMemory).map(|e| e.time - zero).collect();
        assert!(!refused.is_empty(), "seed {seed}: the driver got its DMA memory");
        assert!(refused.iter().all(|time| (1_000_000..=3_020_000).contains(time)), "seed {seed}");
        let back = between(&events, 5_000_000, 9_000_000);
        assert!(back.iter().any(|e| e.kind == Kind::IoDone && e.slot == 1), "seed {seed}");
    }
}

#[test]
fn a_client_dies_inside_a_call_and_its_others_are_refused() {
    let plan = plan("on edu0.gate.sleep #5 kill edu0\nrun for=4ms");
    for seed in 0..12 {
        let (_, events) = run(&plan, seed);
        let killed = events.iter().position(|e| fault(e) == Some("kill")).expect("a kill");
        let finish = zero(&events) + plan.run_for;
        let dead = events[killed..].iter().find(|e| e.kind == Kind::PortDead).expect("a port died");
        assert!(dead.slot == 1 && dead.time < finish, "seed {seed}: {dead:?}");
        let exits = events.iter().filter(|e| e.kind == Kind::CallExit && e.object == dead.object);
        assert!(exits.clone().any(|e| e.time > dead.time), "seed {seed}: no call was in flight");
        let last = exits.map(|e| e.time).max().expect("calls");
        let finalized = events.iter().find(|e| e.kind == Kind::Finalize && e.object == dead.object);
        assert!(finalized.is_some_and(|e| e.time > last), "seed {seed}: calls hold back finalize");
        assert_eq!(events.iter().filter(|e| e.kind == Kind::PortDead && e.time < finish).count(), 1);
    }
}

#[test]
fn a_forced_preemption_lets_a_thread_of_the_same_level_run() {
    let forced = plan("every 20us preempt cpu=0\nevery 20us preempt cpu=1\nrun for=3ms");
    let quiet = plan("run for=3ms");
    let (mut with, mut without) = (0, 0);
    for seed in 0..12 {
        let count = |plan| {
            let (_, events) = run(plan, seed);
            let preempt =
                |e: &&Event| e.kind == Kind::Interrupt && e.arg == u64::from(mach::seam::PREEMPT_VECTOR);
            events.iter().filter(preempt).count()
        };
        with += count(&forced);
        without += count(&quiet);
    }
    assert!(without == 0 && with > 12 * 150, "{with} {without}");
}

/// The vectors of interrupts at `time`, in the order in which they were taken, from there on.
fn taken_at(events: &[Event], time: u64) -> Vec<u64> {
    let late = 1_000_000;
    let near = |e: &&Event| e.kind == Kind::Interrupt && (time..time + late).contains(&e.time);
    let reschedule = u64::from(mach::seam::RESCHEDULE_VECTOR);
    events.iter().filter(near).map(|e| e.arg).filter(|vector| *vector != reschedule).take(2).collect()
}

#[test]
fn a_race_is_won_by_whom_the_plan_wants() {
    let timer = u64::from(mach::seam::TIMER_VECTOR);
    for (word, first) in [("before", true), ("after", false)] {
        for irq in ["msi", "intx"] {
            let text = format!(
                "plug edu0 edu slot=1 irq={irq} dma=10ms factorial=10ms\nload edu0 clients=1 depth=1\n\
                 at 5ms race edu0 timer={word}\nrun for=1200ms\n"
            );
            let plan = Plan::parse("test", &text).expect("a plan");
            for seed in 0..16 {
                let (_, events) = run(&plan, seed);
                let armed =
                    events.iter().find(|e| e.kind == Kind::TimerArm && e.slot == 1).expect("a watchdog");
                assert!(events.iter().any(|e| fault(e) == Some("race")), "{word} {irq} seed {seed}");
                let taken = taken_at(&events, armed.arg);
                assert_eq!(taken.len(), 2, "{word} {irq} seed {seed}");
                assert_eq!(taken[0] == timer, first, "{word} {irq} seed {seed}: {taken:?}");
                assert_eq!(taken[1] == timer, !first, "{word} {irq} seed {seed}: {taken:?}");
            }
        }
    }
}

#[test]
fn the_dice_of_a_plan_follow_the_seed_and_not_the_schedule() {
    let plan = plan("on edu0.irq.raise p=0.5 drop edu0\non disk0.dma.write p=0.2 corrupt disk0\nrun for=4ms");
    let words = |seed| {
        let mut events = Vec::new();
        let sim = sim::Sim::builder().fault_seed(seed).chooser(Box::new(sim::chooser::Plain));
        sim::run_on(sim, &plan, &mut |event: &Event| events.push(*event)).expect("a machine");
        events.iter().filter_map(|e| fault(e).map(|word| (e.time, word.to_owned()))).collect::<Vec<_>>()
    };
    assert_eq!(words(1), words(1));
    assert_ne!(words(1), words(2));
}
