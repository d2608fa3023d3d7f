//! Tasks: threads, death at any moment.

use crate::prelude::*;
use crate::sync::Arc;
use abi::{Disposition, KernReturn, Trap, notify, port::Right, space::PAGE};
use mach::{
    KernelRef,
    task::{Image, Piece, Program, THREADS_MAX, TaskPlan, UserThread},
};

use crate::threads::{Counter, compute, spawn};
use crate::user::{Mail, Meeting, User, assert_nothing_left, join, right, run, task, task_with};

fn tk1_a_task_ends_with_its_last_thread(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let runs = Counter::default();
        let seen = runs.clone();
        let body = move |user: &User<'_>, entry: u64, argument: u64| {
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

fn tk1_threads_have_an_end_and_end_by_themselves_or_by_order(lab: &Lab<'_>) {
    lab.kernel(2, 40, |kernel| {
        let program = |user: &User<'_>, entry: u64, _: u64| {
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
        let begin = kernel.now();
        let task = task_with(kernel, "many", program);
        join(kernel, task);
        assert!(kernel.now() - begin < 1_000_000_000, "nobody slept to the end");
        assert_nothing_left(kernel, 0);
    });
}

fn tk2_a_task_is_terminated_at_any_moment_and_nothing_of_it_works_or_is_left(lab: &Lab<'_>) {
    lab.kernel(3, 150, |kernel| {
        let body = |user: &User<'_>, entry: u64, argument: u64| {
            let mut port = argument as u32;
            if entry == 0 {
                port = match user.trap(Trap::PortAllocate, &[Right::Receive as u64]) {
                    Ok(name) => name as u32,
                    // The killers may be faster than its first step.
                    Err(why) => {
                        assert_eq!(why, KernReturn::Terminated);
                        return 0;
                    }
                };
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
            assert!(user.try_load(abi::space::USER_BASE, &mut [0]).is_err());
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

fn tk3_who_has_a_right_to_a_task_may_terminate_it(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
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

fn tk4_a_task_that_cannot_be_made_leaves_nothing(lab: &Lab<'_>) {
    lab.kernel_for_long(1, 50, |kernel| {
        // Where there is no user mode there are no images; where there is, one that does not fit is none.
        let piece = Piece { address: 1, bytes: PAGE, protection: 1, content: &[] };
        let image = Image { entry: abi::space::PROGRAM_BASE, pieces: vec![piece] };
        let made = kernel.create_task(TaskPlan::new("image", Program::Image(Arc::new(image))));
        let why = match kernel.machine().has_user_mode() {
            true => KernReturn::InvalidAddress,
            false => KernReturn::NotSupported,
        };
        assert_eq!(made.unwrap_err(), why);
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

fn tk5_threads_are_shown_by_task(lab: &Lab<'_>) {
    lab.kernel(2, 10, |kernel| {
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
        let [one, two] = [0, 1].map(|n| at(&format!("task {:?}\n", tasks[n])));
        assert!(at("port reaper#") < one && one < two);
        assert_eq!(text[one..two].matches("\none#").count(), 2);
        assert_eq!(text[two..].matches("\ntwo#").count(), 2);
        stop.set(1);
        tasks.into_iter().for_each(|task| _ = join(kernel, task));
    });
}

table! {
    tk1_a_task_ends_with_its_last_thread,
    tk1_threads_have_an_end_and_end_by_themselves_or_by_order,
    tk2_a_task_is_terminated_at_any_moment_and_nothing_of_it_works_or_is_left,
    tk3_who_has_a_right_to_a_task_may_terminate_it,
    tk4_a_task_that_cannot_be_made_leaves_nothing,
    tk5_threads_are_shown_by_task,
}
