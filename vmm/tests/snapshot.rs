//! A machine that goes back to its `boot.ready`: every run of it is a whole run, and knows nothing of the one before.

use std::collections::BTreeSet;

use devices::fault::plan::Plan;
use trace::{Event, Kind};
use vmm::{Ending, Options, Snapshot, VmmError};

const MACHINE: &str = "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nplug disk0 virtio-blk slot=2 size=1M\n\
                       load edu0 clients=1 depth=2\nload disk0 clients=1 depth=1\n";

fn plan(rules: &str) -> Plan {
    Plan::parse("test", &format!("{MACHINE}{rules}run for=8ms\n")).expect("a plan without mistakes")
}

/// `None`, with a line that says why, without KVM.
fn boot(plan: &Plan) -> Option<Result<Snapshot, VmmError>> {
    match vmm::probe::quick() {
        Ok(host) => {
            let options = Options { slow_down: host.slow_down, ..Options::default() };
            Some(Snapshot::boot(plan, guest_image::IMAGE, &options))
        }
        Err(error) => {
            assert!(error.is_host(), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

/// What a run showed.
struct Shown {
    kinds: Vec<Kind>,
    /// Machine time of the first event behind `boot.ready`.
    first: u64,
    ready_at: u64,
    boot: Vec<Event>,
}

fn run(snapshot: &mut Snapshot, plan: &Plan) -> Shown {
    let mut flying = BTreeSet::new();
    let mut shown = Shown { kinds: Vec::new(), first: 0, ready_at: 0, boot: Vec::new() };
    let outcome = snapshot.run(plan, 0, &mut |event| {
        match event.kind {
            Kind::IoIssue => assert!(flying.insert(event.arg), "request {:#x} issued twice", event.arg),
            Kind::IoDone | Kind::IoOffline | Kind::IoError => {
                assert!(flying.remove(&event.arg), "request {:#x} came back twice", event.arg);
            }
            Kind::Ready => shown.ready_at = event.time,
            _ => {}
        }
        if shown.ready_at == 0 {
            shown.boot.push(*event);
        } else {
            assert!(event.time >= shown.ready_at, "machine time goes on from boot.ready: {event:?}");
            if event.kind != Kind::Ready && shown.first == 0 {
                shown.first = event.time;
            }
        }
        shown.kinds.push(event.kind);
    });
    let outcome = outcome.expect("it runs");
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    assert!(flying.is_empty(), "lost: {flying:x?}");
    assert_eq!(outcome.garbled, 0);
    shown
}

#[test]
fn runs_begin_where_the_boot_ended_and_share_nothing() {
    let Some(snapshot) = boot(&plan("")) else { return };
    let mut snapshot = snapshot.expect("it boots");
    let count = |shown: &Shown, kind: Kind| shown.kinds.iter().filter(|&&k| k == kind).count();
    let plain = run(&mut snapshot, &plan(""));
    let pages = snapshot.changed_pages().expect("a count");
    assert!(pages > 10 && pages < 4096, "{pages} of 4096 pages were changed");
    assert_eq!(count(&plain, Kind::Fault), 0);
    let removed = run(&mut snapshot, &plan("at 4ms unplug edu0\nat 5ms unplug disk0\n"));
    assert_eq!(count(&removed, Kind::Fault), 2);
    let again = run(&mut snapshot, &plan(""));
    assert_eq!((count(&again, Kind::Fault), count(&again, Kind::Gone)), (0, 0));
    for shown in [&plain, &removed, &again] {
        assert_eq!((shown.ready_at, &shown.boot), (plain.ready_at, &plain.boot));
        // Whatever a run took, the next one begins where the first one did, and not when it was over.
        assert!(shown.first < plain.ready_at + 8_000_000, "{} after {}", shown.first, plain.ready_at);
        assert!(count(shown, Kind::IoDone) > 0 && count(shown, Kind::Done) == 1);
    }
    snapshot.go_back().expect("it goes back");
    // What the machine itself writes on the way back (which kinds of event ring the doorbell) is on the bench page.
    assert!(snapshot.changed_pages().expect("a count") <= 2);
}

#[test]
fn what_cannot_go_back_is_refused() {
    let Some(two) = boot(&Plan { cpus: 2, ..plan("") }) else { return };
    assert!(matches!(two, Err(VmmError::Snapshot(what)) if what.contains("2 processors")));
    let file = "machine cpus=1 memory=16M\nplug disk0 virtio-blk slot=2 file=/nonexistent\nrun for=1ms\n";
    let file = boot(&Plan::parse("test", file).expect("a plan without mistakes")).expect("KVM is there");
    assert!(matches!(file, Err(VmmError::Snapshot(what)) if what.contains("disk0")));
    let mut snapshot = boot(&plan("")).expect("KVM is there").expect("it boots");
    let other = Plan::parse("test", "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nrun for=1ms\n");
    let error = snapshot.run(&other.expect("a plan without mistakes"), 0, &mut |_| {});
    assert!(matches!(error, Err(VmmError::Snapshot(what)) if what.contains("another machine")));
}
