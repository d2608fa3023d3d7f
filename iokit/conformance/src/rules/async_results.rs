//! UC2: results that come after the call.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{
    IOReturn, Options,
    io::{ARGUMENTS_MAX, AsyncReference, NotificationPort},
    user_client::Arguments,
};
use mach::{Policy, WaitMode, band};

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, user},
    world::{Run, shared},
};

fn to(port: &Arc<NotificationPort>, reference: u64) -> AsyncReference {
    AsyncReference { port: Some(port.clone()), reference }
}

fn uc2_up_to_16_arguments_come_with_the_result(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let port = NotificationPort::new(kit.kernel(), NotificationPort::LIMIT_DEFAULT);
        let all: Vec<u64> = (0..ARGUMENTS_MAX as u64).collect();
        assert_eq!(to(&port, 7).send_result(Ok(()), &all), Ok(()));
        assert_eq!(to(&port, 8).send_result(Err(IOReturn::Offline), &[]), Ok(()));
        let message = port.try_receive().unwrap();
        assert_eq!((message.reference, message.result, message.arguments()), (7, 0, &all[..]));
        let message = port.try_receive().unwrap();
        assert_eq!((message.reference, message.result), (8, IOReturn::Offline.code()));
        assert!(message.arguments().is_empty());
        let too_many = [0; ARGUMENTS_MAX + 1];
        assert_eq!(to(&port, 9).send_result(Ok(()), &too_many), Err(IOReturn::MessageTooLarge));
        assert_eq!(port.try_receive(), None);
    });
}

fn uc2_without_a_port_sending_succeeds(lab: &Lab<'_>) {
    lab.everywhere(|_| {
        assert_eq!(AsyncReference::default().send_result(Ok(()), &[1, 2, 3]), Ok(()));
    });
}

fn uc2_a_full_queue_is_an_error_and_loses_nothing(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let port = NotificationPort::new(kit.kernel(), 2);
        let send = |n| to(&port, n).send_result(Ok(()), &[n]);
        assert_eq!([send(1), send(2), send(3)], [Ok(()), Ok(()), Err(IOReturn::SendTimedOut)]);
        assert_eq!(port.try_receive().unwrap().reference, 1);
        assert_eq!(send(4), Ok(()));
        let left: Vec<_> = core::iter::from_fn(|| port.try_receive()).map(|m| m.reference).collect();
        assert_eq!(left, [2, 4]);
    });
}

fn uc2_a_waiting_client_gets_every_result_in_order_until_the_port_dies(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let port = NotificationPort::new(kit.kernel(), 4);
        let late = kit.kernel().now() + 1_000;
        assert_eq!(port.receive(WaitMode::Interruptible, Some(late)), Err(IOReturn::Timeout));
        let mine = port.clone();
        let client = move |_: &mach::KernelRef| {
            for n in 0..10 {
                assert_eq!(mine.receive(WaitMode::Interruptible, None).unwrap().reference, n);
            }
            assert_eq!(mine.receive(WaitMode::Interruptible, None), Err(IOReturn::DeadPort));
        };
        let client = kit.kernel().spawn("client", band::DEFAULT, Policy::Fixed, client).unwrap();
        for n in 0..10 {
            while to(&port, n).send_result(Ok(()), &[]) == Err(IOReturn::SendTimedOut) {
                kit.kernel().delay(1_000);
            }
        }
        kit.kernel().delay(100_000);
        port.destroy();
        client.join(kit.kernel());
        assert_eq!(to(&port, 11).send_result(Ok(()), &[]), Err(IOReturn::DeadPort));
    });
}

fn uc2_a_call_leaves_its_reference_with_the_driver_and_the_result_comes_later(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let pending = shared(kit, Vec::new());
        let kept = pending.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let kept = kept.clone();
            user().call(move |_, _, arguments| {
                kept.lock().push(core::mem::take(&mut arguments.async_reference));
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        let connection = driver.open_connection(0).unwrap();
        let port = NotificationPort::new(kit.kernel(), NotificationPort::LIMIT_DEFAULT);
        for n in 0..2 {
            let mut arguments = Arguments { async_reference: to(&port, n), ..Arguments::default() };
            assert_eq!(connection.call(0, &mut arguments), Ok(()));
        }
        assert_eq!(
            connection.call(0, &mut Arguments::default()),
            Ok(()),
            "a client that does not want to be told"
        );
        assert_eq!(port.try_receive(), None, "not yet");
        let references = core::mem::take(&mut *pending.lock());
        let answer = move |_: &mach::KernelRef| {
            for reference in references {
                assert_eq!(reference.send_result(Err(IOReturn::Offline), &[reference.reference]), Ok(()));
            }
        };
        kit.kernel().spawn("device", band::KERNEL, Policy::Fixed, answer).unwrap();
        for n in 0..2 {
            let result = port.receive(WaitMode::Interruptible, None).unwrap();
            assert_eq!((result.reference, result.arguments()), (n, &[n][..]));
        }
        nub.terminate(Options::SYNCHRONOUS);
    });
    runs.iter().for_each(Run::assert_all_freed);
}

table! {
    uc2_up_to_16_arguments_come_with_the_result,
    uc2_without_a_port_sending_succeeds,
    uc2_a_full_queue_is_an_error_and_loses_nothing,
    uc2_a_waiting_client_gets_every_result_in_order_until_the_port_dies,
    uc2_a_call_leaves_its_reference_with_the_driver_and_the_result_comes_later,
}
