//! TP1–TP4, OC2, OC3: where the callbacks of a termination run, and how long a synchronous one waits.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use iokit::{IOReturn, IoKit, Message, Options, ServiceRef, State};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, make_work_loop, user},
    world::{pause, shared, thread, until},
};

/// What a synchronous terminate waits at the most, ns.
const LIMIT: u64 = 15_000_000_000;

/// Whether the running thread holds the gate of `service`.
fn in_gate_of(service: &ServiceRef) -> bool {
    service.work_loop().is_some_and(|l| l.in_gate())
}

fn tp1_phase_1_takes_no_gate_and_marks_before_it_asks(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let gate = make_work_loop(&nub);
        let driver = Mock::new(&DRIVER)
            .request(|me, nub| {
                assert!(nub.is_inactive() && nub.busy() > 0 && !in_gate_of(nub));
                assert!(!me.is_inactive());
                me.default_request_terminate(nub)
            })
            .under(&nub, "D");
        // Another thread has the gate all the time.
        let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (holds, until_then) = (held.clone(), release.clone());
        let holder = thread(kit, move |kernel| {
            gate.run_action(|| {
                holds.store(true, Ordering::SeqCst);
                while !until_then.load(Ordering::SeqCst) {
                    kernel.delay(100_000);
                }
            });
        });
        until(kit, &held);
        assert!(nub.terminate(Options::empty()));
        assert!(nub.is_inactive() && driver.is_inactive());
        release.store(true, Ordering::SeqCst);
        holder.join(kit.kernel());
        drop(driver);
        nub.wait_quiet(None).unwrap();
    });
}

fn tp2_tp3_the_callbacks_are_made_in_the_providers_gate(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        make_work_loop(&nub);
        let calls = Arc::new(AtomicU64::new(0));
        let gated = |calls: &Arc<AtomicU64>| {
            let calls = calls.clone();
            move |nub: &ServiceRef| {
                assert!(in_gate_of(nub) && nub.work_loop().is_some_and(|l| !l.on_thread()));
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (will, did, said, stop) = (gated(&calls), gated(&calls), gated(&calls), gated(&calls));
        Mock::new(&DRIVER)
            .will(move |_, nub| will(nub))
            .did(move |_, nub, _| did(nub))
            .message(move |_, message, nub| {
                assert_eq!(message, Message::IsTerminated);
                said(nub);
                Ok(())
            })
            .stop(move |_, nub| stop(nub))
            .under(&nub, "D");
        nub.terminate(Options::SYNCHRONOUS);
        assert_eq!(calls.load(Ordering::SeqCst), 4);
    });
    for run in runs {
        let lines = run.lines(&[Kind::GateClose, Kind::GateOpen, Kind::Finalize, Kind::Stop, Kind::Detach]);
        let at = lines.iter().position(|l| l == "D.finalize").unwrap();
        let expected =
            ["N.gate.close", "D.finalize", "N.gate.open", "N.gate.close", "D.stop(N)", "D.detach(N)"];
        assert_eq!(lines[at - 1..at + 5], expected, "seed {}", run.seed);
    }
}

fn tp2_phase_2_waits_while_a_client_starts(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let (starting, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (seen, goes) = (starting.clone(), go.clone());
        let driver = move || {
            let (seen, goes) = (seen.clone(), goes.clone());
            Mock::new(&DRIVER).start(move |me, _| {
                seen.store(true, Ordering::SeqCst);
                while !goes.load(Ordering::SeqCst) {
                    me.kernel().delay(100_000);
                }
                true
            })
        };
        let make = move |_: &ServiceRef, _: &iokit::matching::Personality| {
            Some(Box::new(driver()) as Box<dyn iokit::Driver>)
        };
        let personality = iokit::matching::Personality::new("test", "MockDriver", "MockNub", make);
        kit.catalogue().add(kit, personality);
        nub.register_service(Options::empty());
        until(kit, &starting);
        assert!(nub.terminate(Options::empty()));
        pause(kit, 5_000_000);
        assert!(!nub.state().contains(State::TERM_PHASE_3));
        go.store(true, Ordering::SeqCst);
        nub.wait_quiet(None).unwrap();
        assert!(!nub.has_clients());
    });
    for run in runs {
        let started = run.position("MockDriver.started(N)");
        assert!(started < run.position("MockDriver.willTerminate(N)"), "seed {}", run.seed);
    }
}

/// Order (f), for a client that no matching makes: a start that fails while its provider is terminated is followed by a detach, and by nothing else.
fn tp2_a_client_whose_start_fails_meanwhile_hears_of_nothing(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        let starting = Arc::new(AtomicBool::new(false));
        let seen = starting.clone();
        let client = Mock::new(&DRIVER).start(move |me, provider| {
            seen.store(true, Ordering::SeqCst);
            while !provider.is_inactive() {
                me.kernel().delay(1_000);
            }
            false
        });
        let opener = thread(kit, move |_| {
            assert!(driver.make_user_client(Box::new(client)).is_err());
        });
        until(kit, &starting);
        assert!(nub.terminate(Options::empty()));
        opener.join(kit.kernel());
        nub.wait_quiet(None).unwrap();
        assert!(!nub.has_clients());
    });
    for run in runs {
        let told = [Kind::WillTerminate, Kind::DidTerminate, Kind::Stop, Kind::Detach];
        let lines = run.lines(&told);
        let told: Vec<_> = lines.iter().filter(|line| line.starts_with("MockDriver.")).collect();
        assert_eq!(told, ["MockDriver.detach(D)"], "seed {}", run.seed);
    }
}

fn tp4_a_synchronous_terminate_gives_up_after_15_seconds(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let stubborn = Mock::new(&DRIVER).under(&nub, "stubborn");
        assert!(nub.open(&stubborn, Options::empty()));
        let began = kit.kernel().now();
        assert!(nub.terminate(Options::SYNCHRONOUS));
        let waited = kit.kernel().now() - began;
        assert!((LIMIT..LIMIT + 100_000_000).contains(&waited), "{waited}");
        assert!(nub.busy() > 0);
        nub.close(&stubborn, Options::empty());
        drop(stubborn);
        nub.wait_quiet(None).unwrap();
    });
}

fn tp4_a_synchronous_terminate_does_the_work_itself_and_returns_in_quiet(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        user().under(&Mock::new(&DRIVER).under(&nub, "D"), "U");
        assert!(nub.terminate(Options::SYNCHRONOUS));
        assert_eq!(nub.busy(), 0);
        assert!(!nub.has_clients() && nub.provider().is_none());
    });
    for run in runs {
        assert_eq!(run.threads(Kind::Stop, "N"), run.threads(Kind::Terminate, "N"), "seed {}", run.seed);
    }
}

fn oc2_close_in_phase_3_leaves_the_stop_to_the_termination_thread(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).stop(|me, nub| assert!(!nub.is_open(Some(me)))).under(&nub, "D");
        assert!(nub.open(&driver, Options::empty()));
        nub.terminate(Options::empty());
        while !driver.state().contains(State::FINALIZED) {
            pause(kit, 100_000);
        }
        // The termination thread cannot get into the provider's gate meanwhile: the close does not wait for it.
        nub.close(&driver, Options::empty());
        drop(driver);
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        let closer = run.threads(Kind::Close, "D");
        let stopper = run.threads(Kind::Stop, "D");
        assert_eq!((closer.len(), stopper.len()), (1, 1));
        assert_ne!(closer, stopper, "seed {}", run.seed);
        assert!(run.lines(&[Kind::Message]).iter().all(|l| !l.contains("wasClosed")));
    }
}

fn oc2_closing_what_one_did_not_open_is_nothing(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let (one, two) = (Mock::new(&DRIVER).under(&nub, "D1"), Mock::new(&DRIVER).under(&nub, "D2"));
        nub.close(&one, Options::empty());
        assert!(nub.open(&one, Options::empty()));
        nub.close(&two, Options::empty());
        assert!(nub.is_open(Some(&one)));
        nub.close(&one, Options::empty());
        nub.close(&one, Options::empty());
        assert!(!nub.is_open(None));
        nub.terminate(Options::SYNCHRONOUS);
    });
    assert!(runs.iter().all(|r| r.lines(&[Kind::Close]) == ["D1.close(N)"]));
}

fn oc3_seize_takes_over_only_from_an_owner_that_closed(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        for (closes, answers) in [(true, true), (true, false), (false, true), (false, false)] {
            let (_bus, nub) = bus_and_nub(kit);
            let heard = shared(kit, 0);
            let counted = heard.clone();
            let owner = Mock::new(&DRIVER)
                .message(move |me, message, nub| {
                    if message != Message::RequestingClose {
                        return Err(IOReturn::Unsupported);
                    }
                    *counted.lock() += 1;
                    if closes {
                        nub.close(me, Options::empty());
                    }
                    if answers { Ok(()) } else { Err(IOReturn::Busy) }
                })
                .under(&nub, "owner");
            let taker = Mock::new(&DRIVER).under(&nub, "taker");
            assert!(nub.open(&owner, Options::empty()));
            assert!(!nub.open(&taker, Options::empty()), "without seize nobody is asked");
            assert_eq!(*heard.lock(), 0);
            let taken = nub.open(&taker, Options::SEIZE);
            assert_eq!((taken, *heard.lock()), (closes && answers, 1));
            assert_eq!((nub.is_open(Some(&owner)), nub.is_open(Some(&taker))), (!closes, taken));
            finish(kit, &nub, [owner, taker]);
        }
    });
}

fn finish(kit: &IoKit, nub: &ServiceRef, clients: [ServiceRef; 2]) {
    for client in &clients {
        nub.close(client, Options::empty());
    }
    drop(clients);
    nub.terminate(Options::SYNCHRONOUS);
    assert_eq!(kit.instances("MockDriver"), 0);
}

table! {
    tp1_phase_1_takes_no_gate_and_marks_before_it_asks,
    tp2_tp3_the_callbacks_are_made_in_the_providers_gate,
    tp2_phase_2_waits_while_a_client_starts,
    tp2_a_client_whose_start_fails_meanwhile_hears_of_nothing,
    tp4_a_synchronous_terminate_gives_up_after_15_seconds,
    tp4_a_synchronous_terminate_does_the_work_itself_and_returns_in_quiet,
    oc2_close_in_phase_3_leaves_the_stop_to_the_termination_thread,
    oc2_closing_what_one_did_not_open_is_nothing,
    oc3_seize_takes_over_only_from_an_owner_that_closed,
}
