//! Exceptions: who is asked, and what comes of the answer.

use crate::prelude::*;
use abi::{Disposition, KernReturn, Trap, exception, message::word, port::Right, space::PAGE};

use crate::user::{Mail, Meeting, User, assert_nothing_left, join, right, run, task, task_with};

/// A handler that says that all is well, and then that it is not.
fn ex1_an_exception_that_is_handled_goes_on_and_another_one_terminates(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let meeting = Meeting::new(kernel);
        let wanted = abi::space::USER_BASE + 40 * PAGE;
        let handler = task(kernel, "handler", move |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            for handled in [true, false] {
                let mail = user.receive(port).unwrap();
                assert_eq!((mail.header.id, mail.items.len()), (exception::RAISE, 1));
                let (kind, address) = (word(&mail.body, 4), abi::message::long(&mail.body, 16));
                assert_eq!((kind, address), (exception::Exception::BadAccess as u32, wanted));
                let code: u32 = if handled { 0 } else { 5 };
                let answer = Mail::to(mail.header.remote, Disposition::MoveSendOnce, exception::RAISE_REPLY);
                user.send(&answer.body(&code.to_le_bytes())).unwrap();
            }
        });
        run(kernel, move |user| {
            let port = user.get(0).unwrap();
            assert_eq!(user.trap(Trap::TaskSetExceptionPort, &[port.into()]), Ok(0));
            // It is handled, goes on with the same access, and is not handled any more.
            assert!(user.try_load(wanted, &mut [0]).is_err());
            assert!(user.thread.is_over() && user.thread.task().is_terminating());
            assert_eq!(user.trap(Trap::Now, &[]), Err(KernReturn::Terminated));
        });
        join(kernel, handler);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn ex2_a_load_that_fails_is_tried_again_when_the_handler_has_put_it_right(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let wanted = abi::space::USER_BASE + 40 * PAGE;
        let body = move |user: &User<'_>, entry: u64, argument: u64| {
            if entry == 1 {
                let mail = user.receive(argument as u32).unwrap();
                user.trap(Trap::VmAllocate, &[wanted, PAGE, 0]).unwrap();
                let answer = Mail::to(mail.header.remote, Disposition::MoveSendOnce, exception::RAISE_REPLY);
                user.send(&answer.body(&[0; 4])).unwrap();
                return 0;
            }
            let port = user.port();
            user.trap(Trap::TaskSetExceptionPort, &[port.into()]).unwrap();
            user.trap(Trap::ThreadCreate, &[1, 0, port.into()]).unwrap();
            assert_eq!(user.load(wanted + 9, 3), [0; 3]);
            1
        };
        join(kernel, task_with(kernel, "faulty", body));
        assert_nothing_left(kernel, 0);
    });
}

fn ex3_without_a_handler_or_when_it_dies_the_task_is_terminated(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let meeting = Meeting::new(kernel);
        run(kernel, |user| assert!(user.try_load(8, &mut [0]).is_err()));
        let handler = task(kernel, "handler", |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            // It is received, and the handler dies before it answers.
            user.receive(port).unwrap();
        });
        run(kernel, |user| {
            let port = user.get(0).unwrap();
            user.trap(Trap::TaskSetExceptionPort, &[port.into()]).unwrap();
            assert!(user.try_store(8, &[0]).is_err());
            assert_eq!(user.trap(Trap::Now, &[]), Err(KernReturn::Terminated));
        });
        join(kernel, handler);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn ex4_only_a_right_to_send_to_a_task_can_be_an_exception_port(lab: &Lab<'_>) {
    lab.kernel(2, 40, |kernel| {
        run(kernel, |user| {
            let set = |name: u64| user.trap(Trap::TaskSetExceptionPort, &[name]);
            let own = user.trap(Trap::TaskSelf, &[]).unwrap();
            assert_eq!(set(own), Err(KernReturn::InvalidCapability), "the kernel would wait for itself");
            assert_eq!(set(99), Err(KernReturn::InvalidName));
            let receive = user.allocate(Right::Receive);
            assert_eq!(set(receive.into()), Err(KernReturn::InvalidRight));
            assert_eq!((set(user.port().into()), set(0)), (Ok(0), Ok(0)));
        });
        assert_nothing_left(kernel, 0);
    });
}

table! {
    ex1_an_exception_that_is_handled_goes_on_and_another_one_terminates,
    ex2_a_load_that_fails_is_tried_again_when_the_handler_has_put_it_right,
    ex3_without_a_handler_or_when_it_dies_the_task_is_terminated,
    ex4_only_a_right_to_send_to_a_task_can_be_an_exception_port,
}
