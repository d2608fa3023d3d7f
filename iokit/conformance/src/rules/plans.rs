//! Rules about devices, drivers and workloads: plans, judged by the verifier.

use crate::prelude::*;
use trace::Kind;

use crate::{lab::PlanJob, run::Run};

/// A plan for two CPUs.
const PLAN: PlanJob<'_> = PlanJob { cpus: 2, schedules: 1_000, text: "", kinds: &[Kind::IoDone] };

/// Something was done in each run.
fn assert_work_was_done(runs: &[Run]) {
    assert!(runs.iter().all(|run| run.count(Kind::IoDone) > 0));
}

/// Real cards on a real line, which both assert, one of them without end for a while, and which go and come back.
fn ic2_two_cards_on_one_line_and_a_storm(lab: &Lab<'_>) {
    let text = "plug edu0 edu slot=1 irq=intx\nplug edu1 edu slot=5 irq=intx\n\
                load edu0 clients=1 depth=2\nload edu1 clients=1 depth=2\n\
                at 500us storm edu0 rate=50kHz for=1ms\nat 2ms unplug edu0\nat 3ms replug edu0\n\
                expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=4ms\n";
    assert_work_was_done(&lab.plan_passes(&PlanJob { schedules: 300, text, ..PLAN }));
}

/// A card on the line of another one, whose driver has registered its interrupt, and enabled it or not: whether the one that comes later is heard.
fn ic3_a_driver_that_never_enables_its_interrupt_mutes_the_other_card(lab: &Lab<'_>) {
    for mute in [true, false] {
        let driver = if mute { "driver=mute" } else { "" };
        let text = format!(
            "plug edu1 edu slot=5 irq=intx {driver}\nplug edu0 edu slot=1 irq=intx absent=yes\n\
             load edu0 clients=1 depth=1\nat 1ms plug edu0\nrun for=4ms\n"
        );
        let kinds = &[Kind::Ready, Kind::Filter, Kind::IoDone];
        for run in lab.plan(&PlanJob { schedules: 500, text: &text, kinds, ..PLAN }) {
            // When the plan is over, and its drivers go, the line is free again.
            let ready = run.events.iter().find(|event| event.kind == Kind::Ready).expect("it was ready").time;
            let heard = run.events.iter().filter(|event| event.time < ready + 4_000_000 && event.slot == 1);
            let claimed = heard.clone().filter(|event| event.kind == Kind::Filter && event.arg == 1).count();
            let done = heard.filter(|event| event.kind == Kind::IoDone).count();
            match mute {
                true => assert_eq!((claimed, done), (0, 0), "{}", run.name()),
                false => assert!(claimed > 0 && done > 0, "{}: {claimed} claimed, {done} done", run.name()),
            }
        }
    }
}

fn up4_a_disk_that_tasks_use_works(lab: &Lab<'_>) {
    for cpus in [1, 2] {
        let text = "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
                    expect no-leaks\nrun for=2ms\n";
        assert_work_was_done(&lab.plan_passes(&PlanJob { cpus, schedules: 300, text, ..PLAN }));
    }
}

fn up4_a_disk_that_tasks_use_goes_and_comes_back(lab: &Lab<'_>) {
    let text = "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
                on disk0.mmio.write #30 unplug disk0\nat 3ms replug disk0\n\
                expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=5ms\n";
    assert_work_was_done(&lab.plan_passes(&PlanJob { schedules: 400, text, ..PLAN }));
}

fn up5_tasks_die_inside_their_calls(lab: &Lab<'_>) {
    let text = "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=3 depth=2 as=tasks\n\
                on disk0.call.enter #10 kill disk0\non disk0.gate.sleep #20 kill disk0\n\
                on disk0.willTerminate #1 kill disk0\nat 2ms unplug disk0\n\
                expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=4ms\n";
    assert_work_was_done(&lab.plan_passes(&PlanJob { text, ..PLAN }));
}

fn up6_a_task_reads_the_stream_from_the_queue_that_it_shares_with_the_driver(lab: &Lab<'_>) {
    let text = "plug daq0 daq slot=1\nload daq0 clients=2 depth=1 as=tasks\nexpect no-leaks\nrun for=6ms\n";
    assert_work_was_done(&lab.plan_passes(&PlanJob { schedules: 300, text, ..PLAN }));
}

fn up6_a_card_goes_while_tasks_read_its_stream(lab: &Lab<'_>) {
    let text = "plug daq0 daq slot=1\nload daq0 clients=2 depth=1 as=tasks\n\
                at 1ms kill daq0\nat 2ms unplug daq0\nat 3ms replug daq0\n\
                expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=5ms\n";
    lab.plan_passes(&PlanJob { schedules: 300, text, ..PLAN });
}

table! {
    ic2_two_cards_on_one_line_and_a_storm,
    ic3_a_driver_that_never_enables_its_interrupt_mutes_the_other_card,
    up4_a_disk_that_tasks_use_works,
    up4_a_disk_that_tasks_use_goes_and_comes_back,
    up5_tasks_die_inside_their_calls,
    up6_a_task_reads_the_stream_from_the_queue_that_it_shares_with_the_driver,
    up6_a_card_goes_while_tasks_read_its_stream,
}
