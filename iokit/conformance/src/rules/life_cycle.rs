//! Open and close, busy and quiet, attach.

use crate::prelude::*;
use iokit::{IOReturn, Message, Options, State};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{BUS, DRIVER, Mock, bus_and_nub, user},
    world::{Run, Shared, shared},
};

fn attaching_to_an_inactive_provider_fails(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        nub.terminate(Options::SYNCHRONOUS);
        let late = Mock::new(&DRIVER).service(kit, "D");
        assert!(!late.attach(&nub));
        assert!(late.provider().is_none() && !nub.has_clients());
    });
}

fn open_has_one_owner_and_tells_the_others(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let one = Mock::new(&DRIVER).under(&nub, "D1");
        let two = Mock::new(&DRIVER).under(&nub, "D2");
        assert!(nub.open(&one, Options::empty()));
        assert!(!nub.open(&two, Options::empty()));
        assert!(nub.is_open(None) && nub.is_open(Some(&one)) && !nub.is_open(Some(&two)));
        nub.close(&two, Options::empty());
        nub.close(&one, Options::empty());
        assert!(nub.open(&two, Options::empty()));
        nub.close(&two, Options::empty());
        nub.terminate(Options::SYNCHRONOUS);
    });
    let expected = [
        "D2.attemptingOpen(N)",
        "D1.open(N)",
        "D1.attemptingOpen(N)",
        "D2.open(N)",
        "D1.close(N)",
        "D2.wasClosed(N)",
    ];
    for run in runs {
        let lines = run.lines(&[Kind::Open, Kind::Close, Kind::Message]);
        assert_eq!(lines[..expected.len()], expected, "seed {}", run.seed);
    }
}

fn seize_asks_the_owner_to_close(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let willing = Mock::new(&DRIVER)
            .message(|me, message, nub| match message {
                Message::RequestingClose => {
                    nub.close(me, Options::empty());
                    Ok(())
                }
                _ => Err(IOReturn::Unsupported),
            })
            .under(&nub, "willing");
        let stubborn = Mock::new(&DRIVER).under(&nub, "stubborn");
        assert!(nub.open(&willing, Options::empty()));
        assert!(nub.open(&stubborn, Options::SEIZE));
        assert!(!nub.open(&willing, Options::SEIZE));
        nub.close(&stubborn, Options::empty());
        nub.terminate(Options::SYNCHRONOUS);
    });
}

fn busy_propagates_between_zero_and_one_along_the_primary_provider(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        driver.adjust_busy(1);
        driver.adjust_busy(1);
        assert_eq!((driver.busy(), nub.busy(), bus.busy()), (2, 1, 1));
        nub.adjust_busy(1);
        assert_eq!((nub.busy(), bus.busy()), (2, 1));
        driver.adjust_busy(-2);
        assert_eq!((driver.busy(), nub.busy(), bus.busy()), (0, 1, 1));
        nub.adjust_busy(-1);
        assert_eq!(kit.root().unwrap().busy(), 0);
    });
}

fn wait_quiet_times_out_or_sees_quiet(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        driver.adjust_busy(1);
        let kernel = kit.kernel();
        assert_eq!(nub.wait_quiet(Some(kernel.now() + 10_000)), Err(IOReturn::Timeout));
        let worker = driver.clone();
        let thread = kernel.spawn("worker", band::DEFAULT, Policy::Fixed, move |k| {
            k.sleep_until(k.now() + 10_000);
            worker.adjust_busy(-1);
        });
        assert_eq!(nub.wait_quiet(None), Ok(()));
        thread.unwrap().join(kernel);
    });
}

fn busy_counts_return_to_zero_whatever_the_order_of_events(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        for n in 0..3 {
            let driver = Mock::new(&DRIVER).under(&nub, ["D0", "D1", "D2"][n]);
            user().under(&driver, "U");
        }
        let threads: Vec<_> = nub
            .clients()
            .into_iter()
            .chain([nub.clone()])
            .map(|victim| {
                let body = move |_: &mach::KernelRef| assert!(victim.terminate(Options::empty()));
                kit.kernel().spawn("terminator", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        threads.iter().for_each(|t| {
            t.join(kit.kernel());
        });
        kit.root().unwrap().wait_quiet(None).unwrap();
        assert_eq!((bus.busy(), kit.root().unwrap().busy()), (0, 0));
        assert!(!bus.has_clients());
    })
    .iter()
    .for_each(|run| run.assert_all_freed());
}

fn a_deferred_did_terminate_is_finished_later(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let deferred = shared(kit, None);
        let mine = deferred.clone();
        Mock::new(&DRIVER)
            .did(move |me, provider, defer| {
                *defer = true;
                *mine.lock() = Some((me.clone(), provider.clone()));
            })
            .under(&nub, "D");
        nub.terminate(Options::empty());
        assert_eq!(nub.wait_quiet(Some(kit.kernel().now() + 20_000_000)), Err(IOReturn::Timeout));
        let (me, provider) = deferred.lock().take().unwrap();
        assert!(!me.state().contains(State::FINALIZED) || me.is_client_of(&provider));
        me.default_did_terminate(&provider, Options::empty(), false);
        nub.wait_quiet(None).unwrap();
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn a_synchronous_terminate_on_the_termination_thread_becomes_asynchronous(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let other = Mock::new(&DRIVER).under(&nub, "other");
        let (second, nub_2) = bus_and_nub(kit);
        Mock::new(&DRIVER)
            .will(move |_, _| {
                other.terminate(Options::SYNCHRONOUS);
            })
            .under(&nub_2, "D");
        nub_2.terminate(Options::SYNCHRONOUS);
        kit.root().unwrap().wait_quiet(None).unwrap();
        assert!(!nub.has_clients() && !second.has_clients());
    });
    assert!(runs.iter().all(|r| r.position("other.detach(N)") > 0));
}

fn the_arbitration_lock_is_recursive_and_detects_a_circle(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let others: Shared<Vec<(iokit::ServiceRef, iokit::ServiceRef)>> = shared(kit, Vec::new());
        // Opening A for D opens B for E inside A's arbitration lock, and the other way round.
        let make = |name| {
            let others = others.clone();
            let open = move |me: &iokit::ServiceRef, client: &iokit::ServiceRef| {
                if client.name() == "E" {
                    return true;
                }
                assert!(!me.is_open(Some(client)), "looking takes the lock once more");
                me.kernel().delay(1_000_000);
                let (other, inner) = others.lock().iter().find(|(o, _)| o != me).cloned().unwrap();
                other.open(&inner, Options::empty())
            };
            let service = Mock::new(&BUS).open(open).service(kit, name);
            assert!(service.attach(&root));
            service
        };
        let (a, b) = (make("A"), make("B"));
        let inner = [Mock::new(&DRIVER).under(&a, "E"), Mock::new(&DRIVER).under(&b, "E")];
        others.set(vec![(a.clone(), inner[0].clone()), (b.clone(), inner[1].clone())]);
        let threads: Vec<_> = [a.clone(), b.clone()]
            .into_iter()
            .map(|first| {
                let client = Mock::new(&DRIVER).under(&first, "D");
                let body = move |_: &mach::KernelRef| {
                    first.open(&client, Options::empty());
                };
                kit.kernel().spawn("opener", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        threads.iter().for_each(|t| {
            t.join(kit.kernel());
        });
        others.set(Vec::new());
        for (service, inner) in [&a, &b].into_iter().zip(&inner) {
            service.close(inner, Options::empty());
            service.terminate(Options::SYNCHRONOUS);
        }
    });
    let refused = |run: &Run| run.events.iter().any(|e| e.kind == Kind::Open && e.arg == 0);
    lab.under_some(&runs, "the circle closed", refused);
}

table! {
    attaching_to_an_inactive_provider_fails,
    open_has_one_owner_and_tells_the_others,
    seize_asks_the_owner_to_close,
    busy_propagates_between_zero_and_one_along_the_primary_provider,
    wait_quiet_times_out_or_sees_quiet,
    busy_counts_return_to_zero_whatever_the_order_of_events,
    a_deferred_did_terminate_is_finished_later,
    a_synchronous_terminate_on_the_termination_thread_becomes_asynchronous,
    the_arbitration_lock_is_recursive_and_detects_a_circle,
}
