//! UC2: results that come after the call.

use std::sync::Arc;

use iokit::{
    IOReturn,
    io::{ARGUMENTS_MAX, AsyncReference, NotificationPort},
};
use mach::{Policy, WaitMode, band};

use crate::world::everywhere;

fn to(port: &Arc<NotificationPort>, reference: u64) -> AsyncReference {
    AsyncReference { port: Some(port.clone()), reference }
}

#[test]
fn uc2_up_to_16_arguments_come_with_the_result() {
    everywhere(|kit| {
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

#[test]
fn uc2_without_a_port_sending_succeeds() {
    everywhere(|_| {
        assert_eq!(AsyncReference::default().send_result(Ok(()), &[1, 2, 3]), Ok(()));
    });
}

#[test]
fn uc2_a_full_queue_is_an_error_and_loses_nothing() {
    everywhere(|kit| {
        let port = NotificationPort::new(kit.kernel(), 2);
        let send = |n| to(&port, n).send_result(Ok(()), &[n]);
        assert_eq!([send(1), send(2), send(3)], [Ok(()), Ok(()), Err(IOReturn::SendTimedOut)]);
        assert_eq!(port.try_receive().unwrap().reference, 1);
        assert_eq!(send(4), Ok(()));
        let left: Vec<_> = std::iter::from_fn(|| port.try_receive()).map(|m| m.reference).collect();
        assert_eq!(left, [2, 4]);
    });
}

#[test]
fn uc2_a_waiting_client_gets_every_result_in_order_until_the_port_dies() {
    everywhere(|kit| {
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
