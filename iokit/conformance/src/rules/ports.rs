//! Names, rights, sets, and what becomes of them when ports die.

use abi::{Disposition, KernReturn, Trap, message::word, notify, port::Right};

use crate::prelude::*;
use crate::user::{
    Mail, Meeting, User, alone, assert_nothing_left, join, name_in, right, run, task, task_with,
};

fn request(user: &User<'_>, about: u32, id: u32, sync: u64, told: u32) -> Result<u64, KernReturn> {
    let arguments = [about.into(), id.into(), sync, told.into(), Disposition::MakeSendOnce as u64];
    user.trap(Trap::PortRequestNotification, &arguments)
}

fn pn1_a_name_that_was_given_back_or_forged_means_nothing(lab: &Lab<'_>) {
    alone(lab, |user| {
        let name = user.port();
        user.destroy(name);
        let next = user.port();
        assert_ne!(name, next);
        for bad in [name, 0, u32::MAX, next ^ 1 << 31, next + 1] {
            let bad = u64::from(bad);
            for trap in [Trap::PortDestroy, Trap::PortDeallocate, Trap::PortType, Trap::PortStatus] {
                assert_eq!(user.trap(trap, &[bad]), Err(KernReturn::InvalidName), "{bad:#x}");
            }
        }
        assert_eq!(user.trap(Trap::PortType, &[1 << 32]), Err(KernReturn::InvalidName));
        assert!(user.trap(Trap::PortType, &[next.into()]).is_ok());
    });
}

fn pn1_another_tasks_name_means_nothing_here(lab: &Lab<'_>) {
    lab.kernel(3, 60, |kernel| {
        let meeting = Meeting::new(kernel);
        let owner = task(kernel, "owner", |user| {
            let names: Vec<_> = (0..40).map(|_| user.port()).collect();
            user.put(0, right(names[39], Disposition::CopySend));
            assert!(user.receive(names[39]).is_ok());
        });
        run(kernel, |user| {
            let theirs = user.get(0).unwrap();
            assert_eq!(user.receive(theirs), Err(KernReturn::ReceiveInvalidName), "a right to send only");
            let forged = (0..64).map(|at| at + 2).filter(|&name| name != theirs);
            let mut unknown = forged.filter(|&name| user.trap(Trap::PortType, &[name.into()]).is_err());
            assert_eq!(user.receive(unknown.next().unwrap()), Err(KernReturn::ReceiveInvalidName));
            user.send(&Mail::to(theirs, Disposition::MoveSend, 7)).unwrap();
        });
        join(kernel, owner);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn pn2_send_rights_to_one_port_share_a_name_and_are_counted(lab: &Lab<'_>) {
    alone(lab, |user| {
        let name = user.port();
        assert_eq!(user.references(name, Right::Send), Ok(1));
        for _ in 0..3 {
            user.trap(Trap::PortMakeSend, &[name.into()]).unwrap();
        }
        assert_eq!(user.references(name, Right::Send), Ok(4));
        let modify = |kind: Right, by: i64| {
            user.trap(Trap::PortModReferences, &[name.into(), kind as u64, by.cast_unsigned()])
        };
        assert_eq!(modify(Right::Send, 65_532), Err(KernReturn::UrefsOverflow));
        assert_eq!(modify(Right::Send, i64::MAX), Err(KernReturn::InvalidValue));
        assert_eq!(modify(Right::Send, -5), Err(KernReturn::InvalidValue));
        assert_eq!(modify(Right::SendOnce, 1), Err(KernReturn::InvalidRight));
        assert_eq!(modify(Right::Receive, 1), Err(KernReturn::InvalidValue));
        assert_eq!(modify(Right::Send, -3), Ok(0));
        assert_eq!(user.trap(Trap::PortDeallocate, &[name.into()]), Ok(0));
        assert_eq!(user.trap(Trap::PortType, &[name.into()]), Ok(Right::Receive.bit()));
        assert_eq!(user.trap(Trap::PortDeallocate, &[name.into()]), Err(KernReturn::InvalidRight));
        assert_eq!(modify(Right::Receive, -1), Ok(0));
        assert_eq!(user.trap(Trap::PortType, &[name.into()]), Err(KernReturn::InvalidName));
    });
}

fn pn3_there_is_an_end_of_names_and_of_ports(lab: &Lab<'_>) {
    lab.kernel(1, 3, |kernel| {
        run(kernel, |user| {
            let ends = |kind: Right| loop {
                if let Err(why) = user.trap(Trap::PortAllocate, &[kind as u64]) {
                    break why;
                }
            };
            assert_eq!(ends(Right::DeadName), KernReturn::NoSpace);
            assert_eq!(ends(Right::Receive), KernReturn::NoSpace);
            assert_eq!(
                user.trap(Trap::PortAllocate, &[Right::Send as u64]),
                Err(KernReturn::InvalidArgument)
            );
            assert_eq!(user.trap(Trap::PortAllocate, &[9]), Err(KernReturn::InvalidArgument));
        });
        assert_nothing_left(kernel, 0);
    });
}

fn pr1_each_disposition_moves_copies_or_makes_what_it_says(lab: &Lab<'_>) {
    alone(lab, |user| {
        let (queue, subject) = (user.port(), user.port());
        let pass = |item| {
            user.send(&Mail::to(queue, Disposition::CopySend, 1).with(item))?;
            user.poll(queue).map(|mail| mail.items[0])
        };
        // A right to a port that has a name here comes under that name, however it went.
        let came = pass(right(subject, Disposition::CopySend)).unwrap();
        assert_eq!(came, right(subject, Disposition::MoveSend));
        assert_eq!(user.references(subject, Right::Send), Ok(2));
        assert_eq!(pass(right(subject, Disposition::MoveSend)), Ok(right(subject, Disposition::MoveSend)));
        assert_eq!(user.references(subject, Right::Send), Ok(2));
        assert_eq!(pass(right(subject, Disposition::MakeSend)), Ok(right(subject, Disposition::MoveSend)));
        assert_eq!(user.references(subject, Right::Send), Ok(3));
        let received = pass(right(subject, Disposition::MoveReceive)).unwrap();
        assert_eq!(received, right(subject, Disposition::MoveReceive));
        // A send-once right always has a name of its own.
        let once = name_in(&pass(right(subject, Disposition::MakeSendOnce)).unwrap());
        assert_ne!(once, subject);
        assert_eq!(user.trap(Trap::PortType, &[once.into()]), Ok(Right::SendOnce.bit()));
        assert_eq!(pass(right(once, Disposition::CopySend)), Err(KernReturn::SendInvalidRight));
        assert_eq!(pass(right(subject, Disposition::MoveSendOnce)), Err(KernReturn::SendInvalidRight));
        assert_eq!(pass(right(0, Disposition::CopySend)), Ok(right(0, Disposition::MoveSend)));
        let again = name_in(&pass(right(once, Disposition::MoveSendOnce)).unwrap());
        assert_ne!(again, once, "it was moved away and came back");
    });
}

fn pr2_a_send_once_right_is_used_once_or_tells_that_it_was_not(lab: &Lab<'_>) {
    alone(lab, |user| {
        let port = user.port();
        let once = || {
            user.send(&Mail::to(port, Disposition::CopySend, 1).with(right(port, Disposition::MakeSendOnce)))
                .unwrap();
            name_in(&user.poll(port).unwrap().items[0])
        };
        let name = once();
        user.send(&Mail::to(name, Disposition::MoveSendOnce, 42)).unwrap();
        assert_eq!(user.poll(port).unwrap().header.id, 42);
        let again = user.send(&Mail::to(name, Disposition::MoveSendOnce, 43));
        assert_eq!(again, Err(KernReturn::SendInvalidDest));
        let unused = once();
        assert_eq!(user.trap(Trap::PortDeallocate, &[unused.into()]), Ok(0));
        assert_eq!(user.poll(port).unwrap().header.id, notify::SEND_ONCE);
        assert_eq!(user.poll(port), Err(KernReturn::ReceiveTimedOut));
    });
}

fn ps1_a_set_receives_from_its_members_in_turn(lab: &Lab<'_>) {
    alone(lab, |user| {
        let set = user.allocate(Right::PortSet);
        let ports = [user.port(), user.port()];
        for port in ports {
            assert_eq!(user.trap(Trap::PortMoveMember, &[port.into(), set.into()]), Ok(0));
            for id in 0..2 {
                user.send(&Mail::to(port, Disposition::CopySend, id)).unwrap();
            }
        }
        assert_eq!(user.poll(ports[0]), Err(KernReturn::ReceiveInSet));
        let came: Vec<_> = (0..4).map(|_| user.poll(set).unwrap().header).map(|h| (h.local, h.id)).collect();
        assert_eq!(came, [(ports[0], 0), (ports[1], 0), (ports[0], 1), (ports[1], 1)]);
        assert_eq!(user.poll(set), Err(KernReturn::ReceiveTimedOut));
        user.destroy(ports[1]);
        assert_eq!(user.trap(Trap::PortMoveMember, &[ports[0].into(), 0]), Ok(0));
        assert_eq!(user.trap(Trap::PortMoveMember, &[ports[0].into(), 0]), Err(KernReturn::NotInSet));
        let wrong = user.trap(Trap::PortMoveMember, &[ports[0].into(), ports[0].into()]);
        assert_eq!(wrong, Err(KernReturn::InvalidRight));
        user.send(&Mail::to(ports[0], Disposition::CopySend, 9)).unwrap();
        assert_eq!(user.poll(set), Err(KernReturn::ReceiveTimedOut), "it left");
        assert_eq!(user.poll(ports[0]).unwrap().header.id, 9);
    });
}

/// Two threads of a task: one waits, the other changes what it waits for.
fn ps2_who_waits_learns_that_the_port_moved_or_died(lab: &Lab<'_>) {
    lab.kernel(2, 80, |kernel| {
        let program = |user: &User<'_>, entry: u64, argument: u64| {
            if entry == 1 {
                let (port, set) = ((argument >> 32) as u32, argument as u32);
                user.trap(Trap::Sleep, &[20_000]).unwrap();
                user.trap(Trap::PortMoveMember, &[port.into(), set.into()]).unwrap();
                user.trap(Trap::Sleep, &[40_000]).unwrap();
                user.destroy(port);
                user.trap(Trap::Sleep, &[40_000]).unwrap();
                user.destroy(set);
                return 0;
            }
            let (port, set) = (user.port(), user.allocate(Right::PortSet));
            let argument = u64::from(port) << 32 | u64::from(set);
            user.trap(Trap::ThreadCreate, &[1, 0, argument]).unwrap();
            let why = user.receive(port).unwrap_err();
            assert!(matches!(why, KernReturn::ReceiveInSet | KernReturn::ReceivePortChanged), "{why}");
            assert_eq!(user.receive(set), Err(KernReturn::ReceivePortDied));
            0
        };
        join(kernel, task_with(kernel, "two", program));
        assert_nothing_left(kernel, 0);
    });
}

fn dn1_rights_to_a_port_that_died_are_dead_names_and_who_asked_is_told(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let meeting = Meeting::new(kernel);
        let owner = task(kernel, "owner", |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            _ = user.receive(port);
        });
        run(kernel, |user| {
            let theirs = user.get(0).unwrap();
            let mine = user.port();
            assert_eq!(request(user, theirs, notify::DEAD_NAME, 0, mine), Ok(0));
            // The second request gives the first one back.
            let before = request(user, theirs, notify::DEAD_NAME, 0, mine).unwrap();
            user.destroy(before as u32);
            assert_eq!(user.receive(mine).unwrap().header.id, notify::SEND_ONCE);
            user.send(&Mail::to(theirs, Disposition::CopySend, 1)).unwrap();
            let mail = user.receive(mine).unwrap();
            assert_eq!((mail.header.id, word(&mail.body, 0)), (notify::DEAD_NAME, theirs));
            assert_eq!(user.references(theirs, Right::DeadName), Ok(2), "the notification has one");
            let send = user.send(&Mail::to(theirs, Disposition::CopySend, 1));
            assert_eq!(send, Err(KernReturn::SendInvalidDest));
            // Of a dead name comes a dead right.
            user.send(&Mail::to(mine, Disposition::CopySend, 2).with(right(theirs, Disposition::CopySend)))
                .unwrap();
            assert_eq!(name_in(&user.receive(mine).unwrap().items[0]), abi::port::DEAD);
            // Asked for too late: told at once.
            assert_eq!(request(user, theirs, notify::DEAD_NAME, 0, mine), Ok(0));
            assert_eq!(user.poll(mine).unwrap().header.id, notify::DEAD_NAME);
            for _ in 0..3 {
                user.trap(Trap::PortDeallocate, &[theirs.into()]).unwrap();
            }
            assert_eq!(user.trap(Trap::PortType, &[theirs.into()]), Err(KernReturn::InvalidName));
        });
        join(kernel, owner);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn ns1_the_last_send_right_tells_that_it_is_gone(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let meeting = Meeting::new(kernel);
        let server = task(kernel, "server", |user| {
            let (port, told) = (user.allocate(Right::Receive), user.allocate(Right::Receive));
            // Nobody has any yet, and none was ever made: at once if that is enough.
            assert_eq!(request(user, port, notify::NO_SENDERS, 0, told), Ok(0));
            assert_eq!(word(&user.poll(told).unwrap().body, 0), 0);
            assert_eq!(request(user, port, notify::NO_SENDERS, 1, told), Ok(0));
            assert_eq!(user.poll(told), Err(KernReturn::ReceiveTimedOut));
            user.put(0, right(port, Disposition::MakeSend));
            assert_eq!(user.receive(port).unwrap().header.id, 5, "what is queued is a sender too");
            let mail = user.receive(told).unwrap();
            assert_eq!((mail.header.id, word(&mail.body, 0)), (notify::NO_SENDERS, 1));
        });
        let client = task(kernel, "client", |user| {
            let port = user.get(0).unwrap();
            user.send(&Mail::to(port, Disposition::CopySend, 5)).unwrap();
            user.put(0, right(0, Disposition::CopySend));
        });
        join(kernel, client);
        meeting.clear();
        kernel.delay(200_000);
        join(kernel, server);
        assert_nothing_left(kernel, 1);
    });
}

fn pd1_a_receive_right_that_dies_goes_to_whoever_wants_it(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let meeting = Meeting::new(kernel);
        let heir = task(kernel, "heir", |user| {
            let (will, port) = (user.port(), user.allocate(Right::Receive));
            assert_eq!(request(user, port, notify::PORT_DESTROYED, 0, will), Ok(0));
            user.put(0, right(will, Disposition::CopySend));
            // The dying task's port, with what was queued there.
            user.put(1, right(port, Disposition::MakeSend));
            let there = user.get(2).unwrap();
            user.send(&Mail::to(there, Disposition::MoveSend, 1).with(right(port, Disposition::MoveReceive)))
                .unwrap();
            let mail = user.receive(will).unwrap();
            assert_eq!(mail.header.id, notify::PORT_DESTROYED);
            let again = name_in(&mail.items[0]);
            assert_eq!(user.poll(again).unwrap().header.id, 77);
        });
        let dying = task(kernel, "dying", |user| {
            let mine = user.port();
            user.put(2, right(mine, Disposition::CopySend));
            let port = name_in(&user.receive(mine).unwrap().items[0]);
            user.trap(Trap::PortMakeSend, &[port.into()]).unwrap();
            user.send(&Mail::to(port, Disposition::MoveSend, 77)).unwrap();
        });
        join(kernel, dying);
        join(kernel, heir);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

table! {
    pn1_a_name_that_was_given_back_or_forged_means_nothing,
    pn1_another_tasks_name_means_nothing_here,
    pn2_send_rights_to_one_port_share_a_name_and_are_counted,
    pn3_there_is_an_end_of_names_and_of_ports,
    pr1_each_disposition_moves_copies_or_makes_what_it_says,
    pr2_a_send_once_right_is_used_once_or_tells_that_it_was_not,
    ps1_a_set_receives_from_its_members_in_turn,
    ps2_who_waits_learns_that_the_port_moved_or_died,
    dn1_rights_to_a_port_that_died_are_dead_names_and_who_asked_is_told,
    ns1_the_last_send_right_tells_that_it_is_gone,
    pd1_a_receive_right_that_dies_goes_to_whoever_wants_it,
}
