//! The exact orders of termination, (a) to (d).

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use iokit::{IOReturn, Options, user_client::Arguments, work_loop::CommandGate};
use mach::{Policy, WaitMode, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, make_work_loop, user},
    world::{Run, Shared, shared},
};

/// The tail of (a), from the first thing that happens after U is detached.
const TAIL: [&str; 6] = ["D.finalize", "D.stop(N)", "D.detach(N)", "N.finalize", "N.stop(P)", "N.detach(P)"];

const PHASE_1: [&str; 9] = [
    "N.inactive",
    "N.termNotify",
    "D.requestTerminate(N)",
    "D.inactive",
    "D.termNotify",
    "U.requestTerminate(D)",
    "U.inactive",
    "U.termNotify",
    "U.portDead",
];

const PHASE_2: [&str; 9] = [
    "N.willNotify",
    "D.willTerminate(N)",
    "D.willNotify",
    "U.willTerminate(D)",
    "U.willNotify",
    "U.isTerminated(D)",
    "U.didTerminate(D)",
    "D.isTerminated(N)",
    "D.didTerminate(N)",
];

/// The lines that are not about what was freed.
pub fn without_frees(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|l| !l.ends_with(".free")).collect()
}

/// D with a work loop of its own.
fn driver() -> Mock {
    Mock::new(&DRIVER).start(|me, _| {
        make_work_loop(me);
        true
    })
}

fn order_a_nothing_open(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = driver().under(&nub, "D");
        user().under(&driver, "U");
        drop(driver);
        assert!(nub.terminate(Options::SYNCHRONOUS));
        assert_eq!(nub.busy(), 0);
    });
    let user = ["U.finalize", "U.stop(D)", "U.detach(D)"];
    let expected: Vec<_> = PHASE_1.into_iter().chain(PHASE_2).chain(user).chain(TAIL).collect();
    for run in runs {
        assert_eq!(without_frees(run.teardown()), expected, "seed {}", run.seed);
        run.assert_all_freed();
    }
}

fn order_a_phase_1_is_the_callers_and_the_rest_the_termination_threads(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        Mock::new(&DRIVER).under(&nub, "D");
        nub.terminate(Options::empty());
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        let caller = run.threads(Kind::Terminate, "N");
        assert_eq!(run.threads(Kind::RequestTerminate, "D"), caller);
        assert_ne!(run.threads(Kind::WillTerminate, "D"), caller);
        assert_eq!(run.threads(Kind::Stop, "N"), run.threads(Kind::WillTerminate, "D"));
    }
}

fn order_a_siblings(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        for (d, u) in [("D1", "U1"), ("D2", "U2")] {
            let driver = driver().under(&nub, d);
            user().under(&driver, u);
        }
        nub.terminate(Options::SYNCHRONOUS);
    });
    let expected = [
        "D1.willTerminate(N)",
        "D2.willTerminate(N)",
        "U1.willTerminate(D1)",
        "U2.willTerminate(D2)",
        "U2.didTerminate(D2)",
        "U1.didTerminate(D1)",
        "D1.didTerminate(N)",
        "D2.didTerminate(N)",
        "U2.finalize",
        "U1.finalize",
        "U2.stop(D2)",
        "D2.finalize",
        "U1.stop(D1)",
        "D1.finalize",
        "D1.stop(N)",
        "D2.stop(N)",
        "N.finalize",
        "N.stop(P)",
    ];
    for run in runs {
        let lines = run.lines(&[Kind::WillTerminate, Kind::DidTerminate, Kind::Finalize, Kind::Stop]);
        assert_eq!(lines, expected, "seed {}", run.seed);
        run.assert_all_freed();
    }
}

fn order_a_user_client_terminates_itself(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = driver().new_user(|| {
            user().start(|me, d| d.open(me, Options::empty())).close(|me| {
                me.terminate(Options::empty());
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        connection.close().unwrap();
        driver.wait_quiet(None).unwrap();
        assert!(driver.clients().is_empty() && !driver.is_inactive());
    });
    let expected = [
        "U.portDead",
        "U.inactive",
        "U.termNotify",
        "U.willNotify",
        "U.finalize",
        "U.stop(D)",
        "U.close(D)",
        "U.detach(D)",
    ];
    for run in runs {
        let all: Vec<_> = without_frees(run.teardown());
        assert_eq!(all, expected, "seed {}", run.seed);
        run.assert_all_freed();
    }
}

fn order_b_user_client_holds_driver_open(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = driver().under(&nub, "D");
        let client = user().under(&driver, "U");
        assert!(driver.open(&client, Options::empty()));
        nub.terminate(Options::empty());
        while !client.state().contains(iokit::State::FINALIZED) {
            kit.kernel().sleep_until(kit.kernel().now() + 10_000);
        }
        assert_eq!(nub.wait_quiet(Some(kit.kernel().now() + 20_000_000)), Err(IOReturn::Timeout));
        assert!(driver.busy() > 0 && client.busy() > 0);
        assert!(!driver.open(&client, Options::empty()));
        driver.close(&client, Options::empty());
        drop((driver, client));
        nub.wait_quiet(None).unwrap();
    });
    let phase_2 = PHASE_2.iter().flat_map(|&l| match l {
        "U.didTerminate(D)" => vec![l, "U.requestingClose(D)"],
        _ => vec![l],
    });
    let expected: Vec<_> = PHASE_1
        .into_iter()
        .chain(phase_2)
        .chain(["U.finalize", "U.attemptingOpen(D)", "U.close(D)", "U.stop(D)", "U.detach(D)"])
        .chain(TAIL)
        .filter(|l| *l != "U.attemptingOpen(D)")
        .collect();
    for run in runs {
        assert_eq!(without_frees(run.teardown()), expected, "seed {}", run.seed);
        run.assert_all_freed();
    }
}

fn order_c_a_client_inside_run_action_holds_back_will_terminate_and_finalize(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        make_work_loop(&nub);
        let inside = Arc::new(AtomicBool::new(false));
        let seen = inside.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let inside = inside.clone();
            user().call(move |me, _, _| {
                let kernel = me.kernel();
                me.work_loop().unwrap().run_action(|| {
                    inside.store(true, Ordering::SeqCst);
                    kernel.sleep_until(kernel.now() + 20_000_000);
                });
                kernel.sleep_until(kernel.now() + 20_000_000);
                Err(IOReturn::Offline)
            })
        });
        let driver = driver.under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        let answer = shared(kit, None);
        let mine = answer.clone();
        let caller = kit.kernel().spawn("client", band::DEFAULT, Policy::Fixed, move |_| {
            *mine.lock() = Some(connection.call(0, &mut Arguments::default()));
        });
        while !seen.load(Ordering::SeqCst) {
            kit.kernel().sleep_until(kit.kernel().now() + 1_000);
        }
        nub.terminate(Options::empty());
        assert!(driver.is_inactive());
        drop(driver);
        caller.unwrap().join(kit.kernel());
        assert_eq!(*answer.lock(), Some(Err(IOReturn::Offline)));
        nub.wait_quiet(None).unwrap();
    });
    for run in runs {
        let at = |line| run.position(line);
        assert!(at("U.portDead") < at("D.willTerminate(N)"), "phase 1 takes no gate");
        assert!(at("D.didTerminate(N)") < at("U.call.exit"), "seed {}: did waits for nothing", run.seed);
        assert!(
            at("U.call.exit") < at("U.finalize"),
            "seed {}: calls in flight hold back finalize",
            run.seed
        );
        let gate = run.lines(&[Kind::GateOpen, Kind::WillTerminate]);
        assert_eq!(gate[0], "N.gate.open", "seed {}: will waits for the action", run.seed);
        run.assert_all_freed();
    }
}

/// D sleeps in `commandSleep` for a client; `wake` says whether it wakes it in willTerminate, as it must.
fn sleeping_client(kit: &iokit::IoKit, wake: bool) {
    let (_bus, nub) = bus_and_nub(kit);
    let (event, kernel) = (kit.kernel().new_event(), kit.kernel().clone());
    let driver = Mock::new(&DRIVER)
        .start(|me, _| {
            make_work_loop(me);
            true
        })
        .new_user(move || {
            let gate = Shared::new(&kernel, None);
            let offline = Arc::new(AtomicBool::new(false));
            let (will_gate, will_offline) = (gate.clone(), offline.clone());
            let stop_gate = gate.clone();
            let start_gate = gate.clone();
            user()
                .start(move |me, _| {
                    let made = CommandGate::new(me);
                    me.work_loop().unwrap().add_event_source(&made).unwrap();
                    *start_gate.lock() = Some(made);
                    true
                })
                .will(move |_, _| {
                    will_offline.store(true, Ordering::SeqCst);
                    if wake {
                        let gate: Arc<CommandGate> = will_gate.lock().clone().unwrap();
                        gate.command_wakeup(event, false);
                    }
                })
                .call(move |_, _, _| {
                    let gate: Arc<CommandGate> = gate.lock().clone().unwrap();
                    gate.run_action(|| {
                        while !offline.load(Ordering::SeqCst) {
                            gate.command_sleep(event, WaitMode::Uninterruptible, None);
                        }
                        Err(IOReturn::Offline)
                    })
                })
                .stop(move |me, _| {
                    let gate = stop_gate.lock().take().unwrap();
                    me.work_loop().unwrap().remove_event_source(&gate).unwrap();
                })
        });
    let driver = driver.under(&nub, "D");
    let connection = driver.open_connection(0).unwrap();
    let answer = shared(kit, None);
    let mine = answer.clone();
    let client = kit.kernel().spawn("client", band::DEFAULT, Policy::Fixed, move |_| {
        *mine.lock() = Some(connection.call(0, &mut Arguments::default()));
    });
    kit.kernel().sleep_until(kit.kernel().now() + 10_000_000);
    drop(driver);
    nub.terminate(Options::empty());
    if wake {
        client.unwrap().join(kit.kernel());
        assert!(matches!(*answer.lock(), Some(Err(IOReturn::Offline | IOReturn::DeadPort))));
        nub.wait_quiet(None).unwrap();
    } else {
        let deadline = kit.kernel().now() + 1_000_000_000;
        assert_eq!(nub.wait_quiet(Some(deadline)), Err(IOReturn::Timeout));
    }
}

fn order_d_a_sleeper_is_woken_and_returns_offline(lab: &Lab<'_>) {
    for run in lab.everywhere(|kit| sleeping_client(kit, true)) {
        assert!(run.position("U.didTerminate(D)") < run.position("U.finalize"));
        run.assert_all_freed();
    }
}

fn order_d_a_forgotten_sleeper_keeps_the_stack_busy_for_ever(lab: &Lab<'_>) {
    let sleeps = |run: &Run| run.lines(&[Kind::CommandSleep]).len() == 1;
    let runs = lab.each("", |kit| sleeping_client(kit, false));
    for run in runs.iter().filter(|run| sleeps(run)) {
        run.assert_done();
        assert!(run.lines(&[Kind::DidTerminate]).len() == 2);
        assert!(run.lines(&[Kind::Finalize]).is_empty());
    }
    lab.under_some(&runs, "it slept when the nub went", sleeps);
}

table! {
    order_a_nothing_open,
    order_a_phase_1_is_the_callers_and_the_rest_the_termination_threads,
    order_a_siblings,
    order_a_user_client_terminates_itself,
    order_b_user_client_holds_driver_open,
    order_c_a_client_inside_run_action_holds_back_will_terminate_and_finalize,
    order_d_a_sleeper_is_woken_and_returns_offline,
    order_d_a_forgotten_sleeper_keeps_the_stack_busy_for_ever,
}
