//! Termination of what is terminating already (e), and with two providers (g). (f) is in `matching`.

use super::order::without_frees;
use crate::prelude::*;
use iokit::Options;
use mach::{Policy, band};
use trace::Kind;

use crate::mock::{BUS, DRIVER, Mock, NUB, bus_and_nub, make_work_loop};

fn order_e_terminating_twice_calls_nobody_twice(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        Mock::new(&DRIVER).under(&nub, "D");
        let (one, two) = (nub.clone(), nub.clone());
        let first = kit.kernel().spawn("first", band::DEFAULT, Policy::Fixed, move |_| {
            assert!(one.terminate(Options::SYNCHRONOUS))
        });
        let second = kit
            .kernel()
            .spawn("second", band::DEFAULT, Policy::Fixed, move |_| assert!(two.terminate(Options::empty())));
        first.unwrap().join(kit.kernel());
        second.unwrap().join(kit.kernel());
        assert!(nub.terminate(Options::SYNCHRONOUS));
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        for kind in [Kind::RequestTerminate, Kind::WillTerminate, Kind::DidTerminate] {
            assert_eq!(run.lines(&[kind]).len(), 1, "seed {}: {kind:?}", run.seed);
        }
        run.assert_all_freed();
    }
}

fn order_e_terminating_oneself_in_phase_1_is_reported(lab: &Lab<'_>) {
    lab.violating(&["terminate of itself (e)"], |kit| {
        let (_bus, nub) = bus_and_nub(kit);
        Mock::new(&DRIVER).request(|_, nub| nub.terminate(Options::empty())).under(&nub, "D");
        nub.terminate(Options::SYNCHRONOUS);
    });
}

fn order_g_a_service_with_two_providers_outlives_one(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let bus = Mock::new(&BUS).service(kit, "P");
        assert!(bus.attach(&root));
        let a = Mock::new(&NUB).under(&bus, "A");
        let b = Mock::new(&NUB).under(&bus, "B");
        make_work_loop(&a);
        make_work_loop(&b);
        let x = Mock::new(&DRIVER).under(&a, "X");
        assert!(x.attach(&b));
        a.terminate(Options::SYNCHRONOUS);
        assert!(!x.is_inactive() && x.provider() == Some(b.clone()));
        drop(x);
        b.terminate(Options::SYNCHRONOUS);
    });
    let first = [
        "A.inactive",
        "A.termNotify",
        "X.requestTerminate(A)",
        "A.willNotify",
        "X.willTerminate(A)",
        "X.isTerminated(A)",
        "X.didTerminate(A)",
        "X.stop(A)",
        "X.detach(A)",
        "A.finalize",
        "A.stop(P)",
        "A.detach(P)",
    ];
    for run in runs {
        let lines = without_frees(run.teardown());
        assert_eq!(lines[..first.len()], first, "seed {}", run.seed);
        assert!(lines.contains(&"X.finalize".to_owned()));
        run.assert_all_freed();
    }
}

/// Two threads terminate the two providers: the phase 2 of one meets what the phase 1 of the other is still busy with, and a stop that
/// was decided for a living service can find it terminated.
fn order_g_both_providers_go_at_once(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let bus = Mock::new(&BUS).service(kit, "P");
        assert!(bus.attach(&root));
        let a = Mock::new(&NUB).under(&bus, "A");
        let b = Mock::new(&NUB).under(&bus, "B");
        make_work_loop(&a);
        make_work_loop(&b);
        let none_is_active = |me: &iokit::ServiceRef, provider: &iokit::ServiceRef| {
            me.providers().iter().all(|other| other == provider || other.is_inactive())
        };
        let x = Mock::new(&DRIVER).request(none_is_active).under(&a, "X");
        assert!(x.attach(&b));
        let y = Mock::new(&DRIVER).under(&x, "Y");
        let z = Mock::new(&DRIVER).under(&y, "Z");
        drop((x, y, z));
        let threads = [a, b].map(|nub| {
            let body = move |_: &mach::KernelRef| assert!(nub.terminate(Options::empty()));
            kit.kernel().spawn("killer", band::DEFAULT, Policy::Fixed, body).unwrap()
        });
        threads.into_iter().for_each(|thread| thread.join(kit.kernel()));
        bus.wait_quiet(None).unwrap();
    });
    for run in runs {
        let lines = without_frees(run.teardown());
        let at = |line: &str| {
            let found: Vec<usize> = (0..lines.len()).filter(|&i| lines[i] == line).collect();
            assert_eq!(found.len(), 1, "seed {}: {line} in {lines:#?}", run.seed);
            found[0]
        };
        for provider in ["A", "B"] {
            let [will, did, stop] = ["willTerminate", "didTerminate", "stop"];
            let call = |method: &str| at(&format!("X.{method}({provider})"));
            assert!(call(will) < call(did) && call(did) < call(stop), "seed {}: {lines:#?}", run.seed);
            assert!(call(stop) < at(&format!("{provider}.finalize")), "seed {}: {lines:#?}", run.seed);
        }
        let order = ["Y.willTerminate(X)", "Z.willTerminate(Y)", "Z.didTerminate(Y)", "Y.didTerminate(X)"];
        let order =
            order.into_iter().chain(["Z.finalize", "Z.stop(Y)", "Y.finalize", "Y.stop(X)", "X.finalize"]);
        assert!(order.map(at).is_sorted(), "seed {}: {lines:#?}", run.seed);
        run.assert_all_freed();
    }
}

table! {
    order_e_terminating_twice_calls_nobody_twice,
    order_e_terminating_oneself_in_phase_1_is_reported,
    order_g_a_service_with_two_providers_outlives_one,
    order_g_both_providers_go_at_once,
}
