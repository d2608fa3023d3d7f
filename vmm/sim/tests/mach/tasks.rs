//! Tasks: threads, exceptions, death at any moment.

use abi::{Disposition, KernReturn, Trap, exception, message::word, notify, port::Right, space::PAGE};
use mach::{
    KernelRef,
    task::{Image, Program, THREADS_MAX, TaskPlan, UserThread},
};
use sim::harness::for_seeds;

use super::{Counter, compute, spawn};
use crate::user::{Mail, Meeting, User, assert_nothing_left, join, right, run, task, task_with};

#[test]
fn tk1_a_task_ends_with_its_last_thread() {
    for_seeds(3, 0..80, |kernel| {
        let runs = Counter::default();
        let seen = runs.clone();
        let body = move |user: &User, entry: u64, argument: u64| {
            seen.add();
            if entry == 0 {
                for n in 1..5 {
                    let id = user.trap(Trap::ThreadCreate, &[n, 0, n * 10]).unwrap();
                    assert_ne!(id, user.trap(Trap::ThreadSelf, &[]).unwrap());
                }
            } else {
                assert_eq!(argument, entry * 10);
                user.trap(Trap::Sleep, &[entry * 1_000_000]).unwrap();
            }
            entry
        };
        assert_eq!(join(kernel, task_with(kernel, "many", body)), 4, "the last one's");
        assert_eq!(runs.get(), 5);
        assert_nothing_left(kernel, 0);
    });
}

#[test]
fn tk1_threads_have_an_end_and_end_by_themselves_or_by_order() {
    for_seeds(2, 0..40, |kernel| {
        let program = |user: &User, entry: u64, _: u64| {
            if entry != 0 {
                assert_eq!(user.trap(Trap::Sleep, &[Trap::SLEEP_MAX]), Err(KernReturn::Terminated));
                return 0;
            }
            let ids: Vec<_> =
                (1..THREADS_MAX).map(|_| user.trap(Trap::ThreadCreate, &[1, 0, 0]).unwrap()).collect();
            assert_eq!(user.trap(Trap::ThreadCreate, &[1, 0, 0]), Err(KernReturn::ResourceShortage));
            for id in ids {
                assert_eq!(user.trap(Trap::ThreadTerminate, &[id]), Ok(0));
            }
            assert_eq!(user.trap(Trap::ThreadTerminate, &[1]), Err(KernReturn::InvalidArgument));
            assert_eq!(user.trap(Trap::ThreadTerminate, &[u64::MAX]), Err(KernReturn::InvalidArgument));
            assert_eq!(user.trap(Trap::Sleep, &[Trap::SLEEP_MAX + 1]), Err(KernReturn::InvalidArgument));
            assert_eq!(user.trap(Trap::ThreadExit, &[17]), Err(KernReturn::Terminated));
            assert_eq!(user.trap(Trap::Now, &[]), Err(KernReturn::Terminated));
            0
        };
        let task = task_with(kernel, "many", program);
        join(kernel, task);
        assert!(kernel.now() < 1_000_000_000, "nobody slept to the end");
        assert_nothing_left(kernel, 0);
    });
}

#[test]
fn tk2_a_task_is_terminated_at_any_moment_and_nothing_of_it_works_or_is_left() {
    for_seeds(3, 0..150, |kernel| {
        let body = |user: &User, entry: u64, argument: u64| {
            let port = if entry == 0 { user.allocate(Right::Receive) } else { argument as u32 };
            if entry == 0 {
                user.raw(Trap::PortMakeSend as u64, &[port.into()]);
                (1..4).for_each(|n| _ = user.raw(Trap::ThreadCreate as u64, &[n, 0, port.into()]));
            }
            let mail = Mail::to(port, Disposition::CopySend, 1);
            loop {
                let ended = match entry {
                    0 | 1 => user.send(&mail).err(),
                    2 => user.trap(Trap::Sleep, &[30_000]).err(),
                    _ => user.receive_within(port, Some(50_000)).err(),
                };
                match ended {
                    Some(KernReturn::Terminated) => break,
                    None | Some(KernReturn::ReceiveTimedOut | KernReturn::SendTimedOut) => {}
                    Some(why) => panic!("{why}"),
                }
            }
            assert_eq!(user.trap(Trap::Now, &[]), Err(KernReturn::Terminated));
            assert!(user.thread.load(abi::space::USER_BASE, &mut [0]).is_err());
            0
        };
        let task = task_with(kernel, "busy", body);
        compute(kernel, kernel.now() % 977 * 100);
        let killers: Vec<_> = (0..2)
            .map(|_| {
                let task = task.clone();
                spawn(kernel, "killer", 60, move |kernel: &KernelRef| _ = task.terminate(kernel))
            })
            .collect();
        killers.iter().for_each(|killer| killer.join(kernel));
        assert!(task.is_terminating() && !task.terminate(kernel), "it is terminated once");
        join(kernel, task);
        assert_nothing_left(kernel, 0);
    });
}

#[test]
fn tk3_who_has_a_right_to_a_task_may_terminate_it() {
    for_seeds(3, 0..80, |kernel| {
        let meeting = Meeting::new(kernel);
        let victim = task(kernel, "victim", |user| {
            let own = user.trap(Trap::TaskSelf, &[]).unwrap() as u32;
            user.put(0, right(own, Disposition::CopySend));
            // It may be over already.
            if let Ok(forever) = user.trap(Trap::PortAllocate, &[Right::Receive as u64]) {
                assert_eq!(user.receive(forever as u32), Err(KernReturn::Terminated));
            }
        });
        run(kernel, |user| {
            let (theirs, told) = (user.get(0).unwrap(), user.port());
            let disposition = Disposition::MakeSendOnce as u64;
            let arguments = [theirs.into(), notify::DEAD_NAME.into(), 0, told.into(), disposition];
            assert_eq!(user.trap(Trap::PortRequestNotification, &arguments), Ok(0));
            let kill = |name: u32| user.trap(Trap::TaskTerminate, &[name.into()]);
            assert_eq!(kill(told), Err(KernReturn::InvalidTask));
            assert_eq!(kill(4711), Err(KernReturn::InvalidName));
            assert_eq!(kill(theirs), Ok(0));
            assert_eq!(user.receive(told).unwrap().header.id, notify::DEAD_NAME);
            assert_eq!(kill(theirs), Err(KernReturn::InvalidTask), "it is a dead name");
            assert_eq!(user.trap(Trap::TaskTerminate, &[0]), Err(KernReturn::Terminated));
        });
        join(kernel, victim);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

/// A handler that maps what was missing, and then one that does not.
#[test]
fn ex1_an_exception_that_is_handled_goes_on_and_another_one_terminates() {
    for_seeds(3, 0..80, |kernel| {
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
        let tried = Counter::default();
        let attempts = tried.clone();
        let body = move |user: &User, entry: u64, _: u64| {
            if entry == 1 {
                // It is there as soon as the exception was raised once.
                while attempts.get() == 0 {
                    user.raw(Trap::ThreadSwitch as u64, &[]);
                }
                user.trap(Trap::VmAllocate, &[wanted, PAGE, 0]).unwrap();
                return 0;
            }
            let port = user.get(0).unwrap();
            assert_eq!(user.trap(Trap::TaskSetExceptionPort, &[port.into()]), Ok(0));
            attempts.add();
            assert!(user.thread.raise(exception::Exception::BadAccess, 1, wanted));
            assert!(!user.thread.raise(exception::Exception::BadAccess, 1, wanted));
            assert!(user.thread.is_over() && user.thread.task().is_terminating());
            0
        };
        join(kernel, task_with(kernel, "faulty", body));
        join(kernel, handler);
        assert_eq!(tried.get(), 1);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

#[test]
fn ex2_a_load_that_fails_is_tried_again_when_the_handler_has_put_it_right() {
    for_seeds(3, 0..80, |kernel| {
        let wanted = abi::space::USER_BASE + 40 * PAGE;
        let body = move |user: &User, entry: u64, argument: u64| {
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

#[test]
fn ex3_without_a_handler_or_when_it_dies_the_task_is_terminated() {
    for_seeds(3, 0..80, |kernel| {
        let meeting = Meeting::new(kernel);
        run(kernel, |user| assert!(user.thread.load(8, &mut [0]).is_err()));
        let handler = task(kernel, "handler", |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            // It is received, and the handler dies before it answers.
            user.receive(port).unwrap();
        });
        run(kernel, |user| {
            let port = user.get(0).unwrap();
            user.trap(Trap::TaskSetExceptionPort, &[port.into()]).unwrap();
            assert!(user.thread.store(8, &[0]).is_err());
            assert_eq!(user.trap(Trap::Now, &[]), Err(KernReturn::Terminated));
        });
        join(kernel, handler);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

#[test]
fn ex4_only_a_right_to_send_to_a_task_can_be_an_exception_port() {
    for_seeds(2, 0..40, |kernel| {
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

#[test]
fn tk4_a_task_that_cannot_be_made_leaves_nothing() {
    for_seeds(1, 0..3, |kernel| {
        let image = Program::Image(std::sync::Arc::new(Image {
            entry: abi::space::PROGRAM_BASE,
            pieces: Vec::new(),
        }));
        let made = kernel.create_task(TaskPlan::new("image", image));
        assert_eq!(made.unwrap_err(), KernReturn::NotSupported, "no user mode here");
        let plan = || {
            TaskPlan::new(
                "many",
                Program::native(|user: &UserThread, _, _| {
                    user.trap(Trap::Sleep as u64, [1_000_000, 0, 0, 0, 0, 0]).1
                }),
            )
        };
        let tasks: Vec<_> = (0..mach::task::TASKS_MAX).map(|_| kernel.create_task(plan()).unwrap()).collect();
        assert_eq!(kernel.create_task(plan()).unwrap_err(), KernReturn::ResourceShortage);
        assert_eq!(kernel.tasks().len(), mach::task::TASKS_MAX);
        tasks.into_iter().for_each(|task| _ = join(kernel, task));
        assert_nothing_left(kernel, 0);
    });
}

#[test]
fn tk5_threads_are_shown_by_task() {
    for_seeds(2, 0..10, |kernel| {
        let stop = Counter::default();
        let tasks: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|name| {
                let stop = stop.clone();
                task_with(kernel, name, move |user, entry, _| {
                    if entry == 0 {
                        user.trap(Trap::ThreadCreate, &[1, 0, 0]).unwrap();
                    }
                    while stop.get() == 0 {
                        user.trap(Trap::Sleep, &[10_000]).unwrap();
                    }
                    0
                })
            })
            .collect();
        kernel.delay(500_000);
        let text = kernel.show_all_threads();
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
        let (one, two) = (at("task one#1\n"), at("task two#2\n"));
        assert!(at("port reaper#") < one && one < two);
        assert_eq!(text[one..two].matches("\none#").count(), 2);
        assert_eq!(text[two..].matches("\ntwo#").count(), 2);
        stop.set(1);
        tasks.into_iter().for_each(|task| _ = join(kernel, task));
    });
}
