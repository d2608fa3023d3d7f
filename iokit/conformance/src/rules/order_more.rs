//! More of (e) and (g): who waits for phase 1, and what two removals at once make of a service with two providers.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use iokit::{IoKit, Options, ServiceRef, State};
use trace::Kind;

use crate::{
    mock::{BUS, DRIVER, Mock, NUB, bus_and_nub, make_work_loop, user},
    world::{Run, shared, thread, until},
};

fn order_e_another_thread_waits_until_phase_1_is_over(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let (inside, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (seen, goes) = (inside.clone(), go.clone());
        Mock::new(&DRIVER)
            .request(move |me, nub| {
                seen.store(true, Ordering::SeqCst);
                while !goes.load(Ordering::SeqCst) {
                    me.kernel().delay(10_000);
                }
                me.default_request_terminate(nub)
            })
            .under(&nub, "D");
        let first = nub.clone();
        let first = thread(kit, move |_| assert!(first.terminate(Options::empty())));
        until(kit, &inside);
        let (second, back) = (nub.clone(), shared(kit, false));
        let returned = back.clone();
        let second = thread(kit, move |_| {
            assert!(second.terminate(Options::empty()));
            assert!(!second.state().contains(State::TERM_PHASE_1));
            *returned.lock() = true;
        });
        kit.kernel().delay(2_000_000);
        assert!(!*back.lock());
        go.store(true, Ordering::SeqCst);
        first.join(kit.kernel());
        second.join(kit.kernel());
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        assert_eq!(run.lines(&[Kind::RequestTerminate]), ["D.requestTerminate(N)"]);
        run.assert_all_freed();
    }
}

fn order_e_from_later_phases_it_is_true_and_calls_nobody(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let again = |_: &ServiceRef, nub: &ServiceRef| assert!(nub.terminate(Options::SYNCHRONOUS));
        Mock::new(&DRIVER).will(again).did(move |me, nub, _| again(me, nub)).stop(again).under(&nub, "D");
        assert!(nub.terminate(Options::empty()));
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        for kind in [Kind::Terminate, Kind::WillTerminate, Kind::DidTerminate, Kind::Stop] {
            let about = run.lines(&[kind]).into_iter().filter(|l| !l.contains("(P)")).count();
            assert_eq!(about, 1, "seed {}: {kind:?}", run.seed);
        }
    }
}

fn order_e_a_child_that_terminates_itself_while_its_provider_goes(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        let client = user().under(&driver, "U");
        let threads = [nub.clone(), driver, client]
            .map(|victim| thread(kit, move |_| assert!(victim.terminate(Options::empty()))));
        threads.iter().for_each(|t| t.join(kit.kernel()));
        kit.root().unwrap().wait_quiet(None).unwrap();
        assert!(!nub.has_clients());
    });
    for run in runs {
        for line in ["U.stop(D)", "D.stop(N)", "N.stop(P)", "U.finalize", "D.finalize", "N.finalize"] {
            let times = run.lines(&[]).iter().filter(|l| *l == line).count();
            assert_eq!(times, 1, "seed {}: {line}", run.seed);
        }
        run.assert_all_freed();
    }
}

/// A ← X → B, each provider with a gate of its own.
fn diamond(kit: &IoKit, x: Mock) -> (ServiceRef, ServiceRef, ServiceRef) {
    let bus = Mock::new(&BUS).service(kit, "P");
    assert!(bus.attach(&kit.root().unwrap()));
    let (a, b) = (Mock::new(&NUB).under(&bus, "A"), Mock::new(&NUB).under(&bus, "B"));
    make_work_loop(&a);
    make_work_loop(&b);
    let x = x.under(&a, "X");
    assert!(x.attach(&b));
    (a, b, x)
}

/// Terminates both while neither can get to its phase 2.
fn terminate_both(kit: &IoKit, a: &ServiceRef, b: &ServiceRef) {
    a.work_loop().unwrap().run_action(|| {
        assert!(a.terminate(Options::empty()) && b.terminate(Options::empty()));
    });
    a.wait_quiet(None).unwrap();
    b.wait_quiet(None).unwrap();
    kit.root().unwrap().wait_quiet(None).unwrap();
}

fn order_g_both_providers_at_once_leave_an_orphan(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (a, b, x) = diamond(kit, Mock::new(&DRIVER));
        terminate_both(kit, &a, &b);
        assert!(!x.is_inactive() && x.provider().is_none(), "nobody terminated it");
    });
    for run in runs {
        let asked: Vec<_> =
            run.events.iter().filter(|e| e.kind == Kind::RequestTerminate).map(|e| e.arg).collect();
        assert_eq!(asked, [0, 0], "seed {}", run.seed);
        let lines = run.lines(&[Kind::Stop, Kind::Finalize]);
        assert!(lines.contains(&"X.stop(A)".to_owned()) && lines.contains(&"X.stop(B)".to_owned()));
        assert!(!lines.contains(&"X.finalize".to_owned()));
        run.assert_all_freed();
    }
}

fn order_g_a_class_that_overrides_request_terminate_goes_with_the_last(lab: &Lab<'_>) {
    let runs: Vec<Run> = lab.everywhere(|kit| {
        // What a RAID class does: go when every provider is inactive.
        let mirror = Mock::new(&DRIVER).request(|me, _| me.providers().iter().all(|p| p.is_inactive()));
        let (a, b, x) = diamond(kit, mirror);
        terminate_both(kit, &a, &b);
        assert!(x.is_inactive() && x.provider().is_none());
    });
    for run in runs {
        assert_eq!(run.lines(&[Kind::Finalize]).iter().filter(|l| *l == "X.finalize").count(), 1);
        run.assert_all_freed();
    }
}

table! {
    order_e_another_thread_waits_until_phase_1_is_over,
    order_e_from_later_phases_it_is_true_and_calls_nobody,
    order_e_a_child_that_terminates_itself_while_its_provider_goes,
    order_g_both_providers_at_once_leave_an_orphan,
    order_g_a_class_that_overrides_request_terminate_goes_with_the_last,
}
