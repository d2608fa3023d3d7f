//! Connections, dispatch, ports.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use iokit::{
    IOReturn, Options,
    user_client::{Arguments, Count, Method, dispatch},
};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, user},
    world::{Run, shared},
};

fn uc1_each_of_the_four_sizes_must_fit(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let target = 7u32;
        let methods = [
            Method::<u32> {
                function: Some(|target, _, arguments| {
                    arguments.scalar_output[0] = arguments.scalar_input[0] + u64::from(*target);
                    Ok(())
                }),
                scalar_input: Count::Exactly(1),
                struct_input: Count::Exactly(0),
                scalar_output: Count::Exactly(1),
                struct_output: Count::Variable,
            },
            Method {
                function: None,
                scalar_input: Count::Variable,
                struct_input: Count::Variable,
                scalar_output: Count::Variable,
                struct_output: Count::Variable,
            },
        ];
        let call = |selector, scalars: &[u64], bytes: &[u8], outs: usize| {
            let mut output = vec![0; outs];
            let mut room = [0; 3];
            let mut arguments = Arguments {
                scalar_input: scalars,
                struct_input: bytes,
                scalar_output: &mut output,
                struct_output: &mut room,
                ..Arguments::default()
            };
            dispatch(&methods, &target, &nub, selector, &mut arguments).map(|()| output)
        };
        assert_eq!(call(0, &[1], &[], 1), Ok(vec![8]));
        assert_eq!(call(0, &[], &[], 1), Err(IOReturn::BadArgument));
        assert_eq!(call(0, &[1], &[0], 1), Err(IOReturn::BadArgument));
        assert_eq!(call(0, &[1], &[], 2), Err(IOReturn::BadArgument));
        assert_eq!(call(1, &[], &[], 0), Err(IOReturn::NoCompletion));
        assert_eq!(call(2, &[], &[], 0), Err(IOReturn::Unsupported));
    });
}

fn the_port_dies_in_phase_1_and_client_close_is_not_called(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let closed = Arc::new(AtomicU32::new(0));
        let counted = closed.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let counted = counted.clone();
            user().call(|_, _, _| Ok(())).close(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        assert_eq!(connection.call(0, &mut Arguments::default()), Ok(()));
        nub.terminate(Options::SYNCHRONOUS);
        assert!(connection.is_dead());
        assert_eq!(connection.call(0, &mut Arguments::default()), Err(IOReturn::DeadPort));
        assert_eq!(driver.open_connection(0).err(), Some(IOReturn::Offline));
        assert_eq!(connection.close(), Err(IOReturn::DeadPort));
        assert_eq!(closed.load(Ordering::SeqCst), 0);
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn a_client_that_dies_is_closed_once(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let closed = Arc::new(AtomicU32::new(0));
        let counted = closed.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let counted = counted.clone();
            user().close(move |me| {
                counted.fetch_add(1, Ordering::SeqCst);
                me.terminate(Options::empty());
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        drop(driver.open_connection(0).unwrap());
        driver.wait_quiet(None).unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert!(!driver.has_clients());
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn opening_while_the_provider_terminates_gives_a_connection_that_dies_or_none(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).new_user(|| user().call(|_, _, _| Ok(()))).under(&nub, "D");
        let answers = shared(kit, Vec::new());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (driver, answers) = (driver.clone(), answers.clone());
                let body = move |_: &mach::KernelRef| {
                    let answer = driver.open_connection(0).map(|c| {
                        loop {
                            if let Err(dead) = c.call(0, &mut Arguments::default()) {
                                break dead;
                            }
                        }
                    });
                    answers.lock().push(answer);
                };
                kit.kernel().spawn("opener", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        kit.kernel().sleep_until(kit.kernel().now() + 5_000);
        nub.terminate(Options::SYNCHRONOUS);
        threads.iter().for_each(|t| {
            t.join(kit.kernel());
        });
        nub.wait_quiet(None).unwrap();
        for answer in answers.lock().iter() {
            assert!(matches!(answer, Ok(IOReturn::DeadPort) | Err(IOReturn::Offline)), "{answer:?}");
        }
        assert_eq!(kit.instances("U"), 0);
    });
    for run in runs {
        let enters = run.lines(&[Kind::CallEnter]).len();
        assert_eq!(run.lines(&[Kind::CallExit]).len(), enters);
        run.assert_all_freed();
    }
}

fn up2_the_default_client_close_is_unsupported_and_terminates_nothing(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).new_user(|| user().call(|_, _, _| Ok(()))).under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        let client = driver.clients().pop().unwrap();
        assert_eq!(connection.close(), Err(IOReturn::Unsupported));
        assert!(!client.is_inactive() && client.is_client_of(&driver));
        drop((client, driver));
        nub.terminate(Options::SYNCHRONOUS);
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn up2_closing_calls_client_close_once_and_so_does_a_death_after_it(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let closed = Arc::new(AtomicU32::new(0));
        let counted = closed.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let counted = counted.clone();
            user().close(move |me| {
                counted.fetch_add(1, Ordering::SeqCst);
                me.terminate(Options::empty());
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        assert_eq!(connection.close(), Ok(()));
        driver.wait_quiet(None).unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert!(!driver.has_clients());
        nub.terminate(Options::SYNCHRONOUS);
    });
}

table! {
    uc1_each_of_the_four_sizes_must_fit,
    the_port_dies_in_phase_1_and_client_close_is_not_called,
    a_client_that_dies_is_closed_once,
    opening_while_the_provider_terminates_gives_a_connection_that_dies_or_none,
    up2_the_default_client_close_is_unsupported_and_terminates_nothing,
    up2_closing_calls_client_close_once_and_so_does_a_death_after_it,
}
