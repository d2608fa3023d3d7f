//! Rules about devices, drivers and workloads: plans, judged by the verifier.

use crate::prelude::*;
use trace::Kind;

use crate::{lab::PlanJob, run::Run};

/// A plan for two CPUs.
const PLAN: PlanJob<'_> = PlanJob { cpus: 2, text: "", kinds: &[Kind::IoDone] };

/// A time of a plan, in its words: so many microseconds where all of the guest takes its time as hardware would, and so many where a host may interpret the guest's
/// kernel, which then gets less done in the same machine time.
fn us(lab: &Lab<'_>, (here, there): (u64, u64)) -> String {
    format!("{}us", if lab.tries_many() { here } else { there })
}

/// Something was done in each run.
fn assert_work_was_done(runs: &[Run]) {
    assert!(runs.iter().all(|run| run.count(Kind::IoDone) > 0));
}

/// Real cards on a real line, which both assert, one of them without end for a while, and which go and come back.
fn ic2_two_cards_on_one_line_and_a_storm(lab: &Lab<'_>) {
    let [storm, long, gone, back, end] =
        [(500, 2_500), (1_000, 5_000), (2_000, 10_000), (3_000, 15_000), (4_000, 20_000)]
            .map(|times| us(lab, times));
    let text = format!(
        "plug edu0 edu slot=1 irq=intx\nplug edu1 edu slot=5 irq=intx\n\
         load edu0 clients=1 depth=2\nload edu1 clients=1 depth=2\n\
         at {storm} storm edu0 rate=50kHz for={long}\nat {gone} unplug edu0\nat {back} replug edu0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for={end}\n"
    );
    assert_work_was_done(&lab.plan_passes(&PlanJob { text: &text, ..PLAN }));
}

/// A card on the line of another one, whose driver has registered its interrupt, and enabled it or not: whether the one that comes later is heard before
/// the first one goes. Afterwards it is.
fn ic3_a_driver_that_never_enables_its_interrupt_mutes_the_other_card(lab: &Lab<'_>) {
    let [comes, goes, end] = [(1_000, 5_000), (3_000, 20_000), (4_000, 30_000)].map(|times| us(lab, times));
    for mute in [true, false] {
        let driver = if mute { "driver=mute" } else { "" };
        let text = format!(
            "plug edu1 edu slot=5 irq=intx {driver}\nplug edu0 edu slot=1 irq=intx absent=yes\n\
             load edu0 clients=1 depth=1\nat {comes} plug edu0\nat {goes} unplug edu1\nrun for={end}\n"
        );
        let kinds = &[Kind::Fault, Kind::Filter, Kind::IoDone];
        for run in lab.plan(&PlanJob { text: &text, kinds, ..PLAN }) {
            let unplug = run.events.iter().position(|event| event.kind == Kind::Fault && event.slot == 5);
            let (before, after) = run.events.split_at(unplug.expect("the other card went"));
            let claimed =
                before.iter().filter(|e| e.kind == Kind::Filter && e.slot == 1 && e.arg == 1).count();
            let done = before.iter().filter(|event| event.kind == Kind::IoDone).count();
            match mute {
                true => assert_eq!((claimed, done), (0, 0), "{}", run.name()),
                false => assert!(claimed > 0 && done > 0, "{}: {claimed} claimed, {done} done", run.name()),
            }
            assert!(after.iter().any(|event| event.kind == Kind::IoDone), "{}: heard at last", run.name());
        }
    }
}

fn up4_a_disk_that_tasks_use_works(lab: &Lab<'_>) {
    for cpus in [1, 2] {
        let text = format!(
            "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
             expect no-leaks\nrun for={}\n",
            us(lab, (1_000, 12_000))
        );
        assert_work_was_done(&lab.plan_passes(&PlanJob { cpus, text: &text, ..PLAN }));
    }
}

fn up4_a_disk_that_tasks_use_goes_and_comes_back(lab: &Lab<'_>) {
    let [back, end] = [(3_000, 20_000), (4_000, 28_000)].map(|times| us(lab, times));
    let text = format!(
        "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
         on disk0.call.enter #8 unplug disk0\nat {back} replug disk0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for={end}\n"
    );
    assert_work_was_done(&lab.plan_passes(&PlanJob { text: &text, ..PLAN }));
}

/// The hardware spoils some of what a tester reads back. It says so, and the books explain it by the fault; nothing else is wrong.
fn up4_what_a_tester_finds_wrong_is_booked(lab: &Lab<'_>) {
    let text = format!(
        "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=1 depth=2 as=tasks\n\
         on disk0.dma.write p=0.05 corrupt disk0\nexpect no-leaks\nrun for={}\n",
        us(lab, (1_000, 12_000))
    );
    let runs = lab.plan_passes(&PlanJob { text: &text, kinds: &[Kind::IoCorrupt], ..PLAN });
    lab.under_some(&runs, "something was read back wrong", |run| run.count(Kind::IoCorrupt) > 0);
}

/// In a call, asleep in the gate, and while the disk goes.
fn up5_tasks_die_inside_their_calls(lab: &Lab<'_>) {
    let text = format!(
        "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=3 depth=2 as=tasks\n\
         on disk0.call.enter #4 kill disk0\non disk0.gate.sleep #6 kill disk0\n\
         on disk0.willTerminate #1 kill disk0\non disk0.call.enter #10 unplug disk0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for={}\n",
        us(lab, (4_000, 20_000))
    );
    assert_work_was_done(&lab.plan_passes(&PlanJob { text: &text, ..PLAN }));
}

/// What a reader takes out it compares with what the card must have sampled; the verdict has what it says.
fn up6_a_task_reads_the_stream_from_the_queue_that_it_shares_with_the_driver(lab: &Lab<'_>) {
    let text = format!(
        "plug daq0 daq slot=1 period=100us\nload daq0 clients=2 depth=1 as=tasks\nexpect no-leaks\nrun for={}\n",
        us(lab, (5_000, 24_000))
    );
    lab.plan_passes(&PlanJob { text: &text, ..PLAN });
}

fn up6_a_card_goes_while_tasks_read_its_stream(lab: &Lab<'_>) {
    let [killed, gone, back, end] =
        [(1_000, 5_000), (2_000, 10_000), (3_000, 15_000), (5_000, 25_000)].map(|times| us(lab, times));
    let text = format!(
        "plug daq0 daq slot=1\nload daq0 clients=2 depth=1 as=tasks\n\
         at {killed} kill daq0\nat {gone} unplug daq0\nat {back} replug daq0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for={end}\n"
    );
    let runs = lab.plan_passes(&PlanJob { text: &text, ..PLAN });
    // A reader whose card goes ends by itself, and says what it has read.
    let has_read = |line: &String| line.contains("daq reader: done=") && !line.contains("done=0 ");
    lab.under_some(&runs, "a reader read something", |run| run.console.iter().any(has_read));
}

table! {
    ic2_two_cards_on_one_line_and_a_storm,
    ic3_a_driver_that_never_enables_its_interrupt_mutes_the_other_card,
    up4_a_disk_that_tasks_use_works,
    up4_a_disk_that_tasks_use_goes_and_comes_back,
    up4_what_a_tester_finds_wrong_is_booked,
    up5_tasks_die_inside_their_calls,
    up6_a_task_reads_the_stream_from_the_queue_that_it_shares_with_the_driver,
    up6_a_card_goes_while_tasks_read_its_stream,
}
