//! Messages: queues, sizes, time, what they carry.

use abi::{
    Descriptor, Disposition, Header, KernReturn, Trap,
    message::{COMPLEX, DESCRIPTORS_MAX, HEADER_BYTES, MESSAGE_MAX, OUT_OF_LINE_MAX, option},
    notify,
    port::Right,
    space::PAGE,
};

use crate::prelude::*;
use crate::user::{
    Mail, Meeting, User, alone, assert_nothing_left, join, name_in, right, run, task, task_with,
};

fn ms1_messages_come_whole_and_in_order(lab: &Lab<'_>) {
    lab.kernel(3, 100, |kernel| {
        let meeting = Meeting::new(kernel);
        let receiver = task(kernel, "receiver", |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            for n in 0..30u32 {
                let mail = user.receive(port).unwrap();
                assert_eq!((mail.header.id, mail.header.sequence), (n, n.into()));
                assert_eq!(mail.body, vec![n as u8; n as usize * 7]);
            }
        });
        let sender = task(kernel, "sender", |user| {
            let port = user.get(0).unwrap();
            for n in 0..30u32 {
                let mail = Mail::to(port, Disposition::CopySend, n).body(&vec![n as u8; n as usize * 7]);
                user.send(&mail).unwrap();
            }
        });
        join(kernel, receiver);
        join(kernel, sender);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn mq1_a_full_queue_keeps_the_sender_waiting_until_there_is_room_or_the_time_is_up(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let program = |user: &User<'_>, entry: u64, port: u64| {
            if entry == 1 {
                user.trap(Trap::Sleep, &[100_000]).unwrap();
                (0..4).for_each(|id| assert_eq!(user.receive(port as u32).unwrap().header.id, id));
                return 0;
            }
            let port = user.port();
            user.trap(Trap::PortSetQueueLimit, &[port.into(), 3]).unwrap();
            let mail = |id| Mail::to(port, Disposition::CopySend, id);
            (0..3).for_each(|id| user.send(&mail(id)).unwrap());
            assert_eq!(user.trap(Trap::PortStatus, &[port.into()]), Ok(3 | 3 << 32));
            let before = user.trap(Trap::Now, &[]).unwrap();
            assert_eq!(user.send_within(&mail(9), Some(0)), Err(KernReturn::SendTimedOut));
            assert_eq!(user.send_within(&mail(9), Some(10_000)), Err(KernReturn::SendTimedOut));
            assert!(user.trap(Trap::Now, &[]).unwrap() >= before + 10_000);
            user.trap(Trap::ThreadCreate, &[1, 0, port.into()]).unwrap();
            user.send(&mail(3)).unwrap();
            0
        };
        join(kernel, task_with(kernel, "queue", program));
        assert_nothing_left(kernel, 0);
    });
}

fn mq1_a_sender_that_waits_learns_that_the_port_died(lab: &Lab<'_>) {
    lab.kernel(3, 80, |kernel| {
        let program = |user: &User<'_>, entry: u64, port: u64| {
            if entry == 1 {
                user.trap(Trap::Sleep, &[50_000]).unwrap();
                user.destroy(port as u32);
                return 0;
            }
            let port = user.port();
            user.trap(Trap::PortSetQueueLimit, &[port.into(), 0]).unwrap();
            user.trap(Trap::ThreadCreate, &[1, 0, port.into()]).unwrap();
            let sent = user.send(&Mail::to(port, Disposition::CopySend, 1));
            assert_eq!(sent, Err(KernReturn::SendInvalidDest));
            0
        };
        join(kernel, task_with(kernel, "queue", program));
        assert_nothing_left(kernel, 0);
    });
}

fn mq2_a_send_once_right_does_not_wait_for_room(lab: &Lab<'_>) {
    alone(lab, |user| {
        let port = user.port();
        user.trap(Trap::PortSetQueueLimit, &[port.into(), 0]).unwrap();
        assert_eq!(user.trap(Trap::PortSetQueueLimit, &[port.into(), 17]), Err(KernReturn::InvalidValue));
        user.send(&Mail::to(port, Disposition::MakeSendOnce, 1)).unwrap();
        assert_eq!(user.poll(port).unwrap().header.id, 1);
    });
}

fn ms2_receiving_ends_with_the_time_and_a_message_that_is_too_large_stays_or_goes(lab: &Lab<'_>) {
    alone(lab, |user| {
        let port = user.port();
        let before = user.trap(Trap::Now, &[]).unwrap();
        assert_eq!(user.receive_within(port, Some(30_000)), Err(KernReturn::ReceiveTimedOut));
        assert!(user.trap(Trap::Now, &[]).unwrap() >= before + 30_000);
        let item = right(port, Disposition::MakeSend);
        user.send(&Mail::to(port, Disposition::CopySend, 1).with(item).body(&[1; 100])).unwrap();
        let buffer = user.memory(4096);
        let look = |options| user.raw(Trap::Message as u64, &[buffer, options, 0, 64, port.into(), 0]);
        let keep = option::RECEIVE | option::RECEIVE_LARGE;
        assert_eq!(look(keep), (KernReturn::ReceiveTooLarge, 148));
        assert_eq!(look(keep), (KernReturn::ReceiveTooLarge, 148), "it stayed");
        assert_eq!(look(option::RECEIVE), (KernReturn::ReceiveTooLarge, 148));
        assert_eq!(user.poll(port), Err(KernReturn::ReceiveTimedOut), "it went");
        assert_eq!(user.references(port, Right::Send), Ok(1));
        // A buffer that is not there costs the message.
        user.send(&Mail::to(port, Disposition::CopySend, 1)).unwrap();
        let nowhere = user.raw(Trap::Message as u64, &[8, option::RECEIVE, 0, 64, port.into(), 0]);
        assert_eq!(nowhere, (KernReturn::ReceiveInvalidData, 0));
        assert_eq!(user.poll(port), Err(KernReturn::ReceiveTimedOut));
    });
}

fn ms3_nonsense_is_refused_with_the_reason(lab: &Lab<'_>) {
    alone(lab, |user| {
        let port = user.port();
        let buffer = user.memory(2 * MESSAGE_MAX as u64);
        let send = |bytes: &[u8], size: u64| {
            user.store(buffer, bytes);
            user.trap(Trap::Message, &[buffer, option::SEND, size, 0, 0, 0])
        };
        let whole = |header: Header| send(&header.encode(), HEADER_BYTES as u64);
        let good = Header { bits: Disposition::CopySend as u32, remote: port, ..Header::default() };
        assert_eq!(send(&good.encode(), 31), Err(KernReturn::SendMessageTooSmall));
        assert_eq!(send(&good.encode(), 1 << 40), Err(KernReturn::SendTooLarge));
        assert_eq!(whole(Header { bits: 0, ..good }), Err(KernReturn::SendInvalidHeader));
        assert_eq!(whole(Header { bits: 16, ..good }), Err(KernReturn::SendInvalidHeader));
        assert_eq!(whole(Header { bits: 19 | 1 << 16, ..good }), Err(KernReturn::SendInvalidHeader));
        assert_eq!(whole(Header { descriptors: 1, ..good }), Err(KernReturn::SendInvalidHeader));
        let complex = Header { bits: 19 | COMPLEX, ..good };
        assert_eq!(whole(Header { descriptors: 1, ..complex }), Err(KernReturn::SendMessageTooSmall));
        let many = DESCRIPTORS_MAX as u32 + 1;
        assert_eq!(whole(Header { descriptors: many, ..complex }), Err(KernReturn::SendTooLarge));
        assert_eq!(whole(Header { remote: 0, ..good }), Err(KernReturn::SendInvalidDest));
        assert_eq!(whole(Header { remote: u32::MAX, ..good }), Err(KernReturn::SendInvalidDest));
        assert_eq!(whole(Header { local: port, ..good }), Err(KernReturn::SendInvalidReply));
        assert_eq!(
            whole(Header { bits: 19 | 19 << 8, local: 99, ..good }),
            Err(KernReturn::SendInvalidReply)
        );
        let unreadable = user.trap(Trap::Message, &[8, option::SEND, 32, 0, 0, 0]);
        assert_eq!(unreadable, Err(KernReturn::SendInvalidData));
        assert_eq!(
            user.trap(Trap::Message, &[buffer, 1 << 20, 0, 0, 0, 0]),
            Err(KernReturn::InvalidArgument)
        );
        assert_eq!(user.trap(Trap::Message, &[buffer, 0, 0, 0, 0, 0]), Err(KernReturn::InvalidArgument));
        let with = |item| user.send(&Mail::to(port, Disposition::CopySend, 1).with(item));
        let memory = |address, size| Descriptor::OutOfLine { address, size, deallocate: false };
        assert_eq!(with(memory(8, 8)), Err(KernReturn::SendInvalidMemory));
        assert_eq!(with(memory(u64::MAX - 3, 8)), Err(KernReturn::SendInvalidMemory));
        assert_eq!(with(memory(buffer, OUT_OF_LINE_MAX as u32 + 1)), Err(KernReturn::SendTooLarge));
        assert_eq!(with(right(12_345, Disposition::CopySend)), Err(KernReturn::SendInvalidRight));
        let mut strange =
            Mail::to(port, Disposition::CopySend, 1).with(right(port, Disposition::CopySend)).encode();
        strange[HEADER_BYTES] = 77;
        assert_eq!(send(&strange, strange.len() as u64), Err(KernReturn::SendInvalidType));
        assert_eq!(user.poll(port), Err(KernReturn::ReceiveTimedOut), "none of them came");
        assert_eq!(user.references(port, Right::Send), Ok(1));
    });
}

fn ms4_what_a_task_has_queued_is_bounded(lab: &Lab<'_>) {
    lab.kernel(1, 3, |kernel| {
        run(kernel, |user| {
            let body = vec![7; MESSAGE_MAX - HEADER_BYTES];
            let memory = user.memory(OUT_OF_LINE_MAX);
            let item =
                Descriptor::OutOfLine { address: memory, size: OUT_OF_LINE_MAX as u32, deallocate: false };
            let mut sent = 0;
            let why = loop {
                let port = user.port();
                let mail = Mail::to(port, Disposition::CopySend, 1).with(item).body(&body[16..]);
                match user.send(&mail) {
                    Ok(()) => sent += 1,
                    Err(why) => break why,
                }
            };
            assert_eq!((why, sent), (KernReturn::SendNoBuffer, 3));
        });
        assert_nothing_left(kernel, 0);
    });
}

fn mc1_a_receive_right_that_nobody_could_receive_dies_with_its_message(lab: &Lab<'_>) {
    alone(lab, |user| {
        // To its own queue.
        let port = user.port();
        let own = Mail::to(port, Disposition::CopySend, 1).with(right(port, Disposition::MoveReceive));
        assert_eq!(user.send(&own), Ok(()));
        assert_eq!(user.trap(Trap::PortType, &[port.into()]), Ok(Right::DeadName.bit()));
        // Round a ring of three.
        let ring = [user.port(), user.port(), user.port()];
        for (at, &port) in ring.iter().enumerate() {
            let to = ring[(at + 1) % 3];
            let mail = Mail::to(to, Disposition::CopySend, 1).with(right(port, Disposition::MoveReceive));
            assert_eq!(user.send(&mail), Ok(()));
        }
        for port in ring {
            assert_eq!(user.trap(Trap::PortType, &[port.into()]), Ok(Right::DeadName.bit()));
        }
    });
}

fn mc2_ports_that_leave_each_other_to_each_other_die_with_their_task(lab: &Lab<'_>) {
    alone(lab, |user| {
        let ports = [user.port(), user.port()];
        for (about, told) in [(0, 1), (1, 0), (0, 0)] {
            let disposition = Disposition::MakeSendOnce as u64;
            let arguments =
                [ports[about].into(), notify::PORT_DESTROYED.into(), 0, ports[told].into(), disposition];
            let before = user.trap(Trap::PortRequestNotification, &arguments).unwrap();
            assert_eq!(before != 0, (about, told) == (0, 0));
        }
    });
}

/// Hundreds of ports, each in a message queued at the next: taken apart without recursion.
fn mc3_a_long_chain_of_queued_ports_needs_no_stack(lab: &Lab<'_>) {
    // More than a thread's stack has room for: in the guest it has 32 KiB, and a port and its message would take some calls of 100 bytes and more.
    let length = if lab.tries_many() { 900 } else { 450 };
    lab.kernel_for_long(2, 50, move |kernel| {
        run(kernel, move |user| {
            let mut inner = user.port();
            for _ in 0..length {
                let outer = user.port();
                let mail =
                    Mail::to(outer, Disposition::CopySend, 1).with(right(inner, Disposition::MoveReceive));
                user.send(&mail).unwrap();
                user.destroy(inner);
                inner = outer;
            }
        });
        assert_nothing_left(kernel, 0);
    });
}

fn ko1_a_kernel_object_answers_on_the_senders_thread(lab: &Lab<'_>) {
    lab.kernel(3, 60, |kernel| {
        let meeting = Meeting::new(kernel);
        run(kernel, |user| {
            let port = user.port();
            user.put(3, right(port, Disposition::CopySend));
            assert_eq!(user.get(3), Ok(port), "the same port, the same name");
            assert_eq!(user.references(port, Right::Send), Ok(2));
            // What it does not know is not answered, and nobody waits for ever.
            let host = user.trap(Trap::HostSelf, &[]).unwrap() as u32;
            let unknown = user.call(Mail::to(host, Disposition::CopySend, 99)).unwrap();
            assert_eq!(unknown.header.id, notify::SEND_ONCE);
            assert_eq!(user.receive(host), Err(KernReturn::ReceiveInvalidName));
            user.put(3, right(0, Disposition::CopySend));
        });
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn ko2_the_kernel_sends_and_does_not_wait(lab: &Lab<'_>) {
    lab.kernel(3, 60, |kernel| {
        let own = mach::ipc::KernelPort::receiving(kernel);
        let right = own.make_send();
        for _ in 0..abi::port::QUEUE_LIMIT_DEFAULT {
            right.send(1, Vec::new(), vec![5]).unwrap();
        }
        assert_eq!(right.send(1, Vec::new(), Vec::new()), Err(KernReturn::SendTimedOut));
        let once = own.make_send_once();
        assert_eq!(once.send(2, Vec::new(), Vec::new()), Ok(()), "whatever the limit");
        assert_eq!(once.send(2, Vec::new(), Vec::new()), Err(KernReturn::SendInvalidDest));
        let receive = || own.receive(mach::WaitMode::Uninterruptible, Some(kernel.now()));
        assert_eq!(receive(), Ok((1, vec![5])));
        own.destroy();
        assert!(right.is_dead());
        assert_eq!(right.send(1, Vec::new(), Vec::new()), Err(KernReturn::SendInvalidDest));
        assert_eq!(receive(), Err(KernReturn::ReceivePortDied));
        drop((own, right, once));
        assert_nothing_left(kernel, 0);
    });
}

/// All that a message says is looked at before anything is taken.
fn ms5_a_message_that_fails_takes_nothing(lab: &Lab<'_>) {
    alone(lab, |user| {
        let (queue, subject, spare) = (user.port(), user.port(), user.port());
        user.trap(Trap::PortMakeSend, &[queue.into()]).unwrap();
        let memory = user.memory(PAGE);
        user.store(memory, b"mine");
        let gone = Descriptor::OutOfLine { address: memory, size: PAGE as u32, deallocate: true };
        let once = {
            let mail = Mail::to(queue, Disposition::CopySend, 1);
            user.send(&mail.with(right(subject, Disposition::MakeSendOnce))).unwrap();
            name_in(&user.poll(queue).unwrap().items[0])
        };
        let before = || {
            let kinds = [queue, subject, spare, once].map(|name| user.trap(Trap::PortType, &[name.into()]));
            let counts = [queue, subject, spare].map(|name| user.references(name, Right::Send));
            (kinds, counts)
        };
        let had = before();
        let fails = |last: Descriptor, why: KernReturn| {
            let mail = Mail::to(queue, Disposition::MoveSend, 1)
                .reply_to(subject, Disposition::MakeSendOnce)
                .with(gone)
                .with(right(subject, Disposition::MoveSend))
                .with(right(once, Disposition::MoveSendOnce))
                .with(right(spare, Disposition::MoveReceive))
                .with(last);
            assert_eq!(user.send(&mail), Err(why), "{last:?}");
            assert_eq!(before(), had, "{last:?}");
            assert_eq!(user.load(memory, 4), b"mine");
        };
        fails(right(55_555, Disposition::CopySend), KernReturn::SendInvalidRight);
        // Each of these was a right when the message began, and is none after what comes before it.
        fails(right(subject, Disposition::MoveSend), KernReturn::SendInvalidRight);
        fails(right(once, Disposition::MoveSendOnce), KernReturn::SendInvalidRight);
        fails(right(spare, Disposition::MakeSend), KernReturn::SendInvalidRight);
        fails(
            Descriptor::OutOfLine { address: 8, size: 8, deallocate: false },
            KernReturn::SendInvalidMemory,
        );
        // Where there is no room, nothing goes either.
        user.trap(Trap::PortSetQueueLimit, &[queue.into(), 0]).unwrap();
        let mail = Mail::to(queue, Disposition::MoveSend, 1).with(right(spare, Disposition::MoveReceive));
        assert_eq!(user.send_within(&mail.clone().with(gone), Some(1_000)), Err(KernReturn::SendTimedOut));
        assert_eq!((before(), user.load(memory, 4)), (had, b"mine".to_vec()));
        // What does not fail takes it all.
        user.trap(Trap::PortSetQueueLimit, &[queue.into(), 1]).unwrap();
        user.send(&mail.with(right(once, Disposition::MoveSendOnce)).with(gone)).unwrap();
        assert_eq!(user.trap(Trap::PortType, &[once.into()]), Err(KernReturn::InvalidName));
        assert_eq!(user.trap(Trap::PortType, &[spare.into()]), Ok(Right::Send.bit()));
        assert_eq!(user.trap(Trap::Print, &[memory, 1]), Err(KernReturn::InvalidAddress));
        assert_eq!(user.references(queue, Right::Send), Ok(1));
    });
}

/// A request that is refused leaves the right that was to be told with who asked.
fn ms5_a_request_that_fails_takes_nothing(lab: &Lab<'_>) {
    alone(lab, |user| {
        let (port, set) = (user.port(), user.allocate(Right::PortSet));
        user.send(&Mail::to(port, Disposition::CopySend, 1).with(right(port, Disposition::MakeSendOnce)))
            .unwrap();
        let once = name_in(&user.poll(port).unwrap().items[0]);
        let ask = |about: u32, id: u32| {
            let arguments = [about.into(), id.into(), 0, once.into(), Disposition::MoveSendOnce as u64];
            user.trap(Trap::PortRequestNotification, &arguments)
        };
        assert_eq!(ask(set, notify::DEAD_NAME), Err(KernReturn::InvalidRight));
        assert_eq!(ask(set, notify::NO_SENDERS), Err(KernReturn::InvalidRight));
        assert_eq!(ask(77_777, notify::PORT_DESTROYED), Err(KernReturn::InvalidName));
        assert_eq!(user.trap(Trap::PortType, &[once.into()]), Ok(Right::SendOnce.bit()));
        assert_eq!(ask(port, notify::DEAD_NAME), Ok(0));
        assert_eq!(user.trap(Trap::PortType, &[once.into()]), Err(KernReturn::InvalidName));
    });
}

table! {
    ms1_messages_come_whole_and_in_order,
    mq1_a_full_queue_keeps_the_sender_waiting_until_there_is_room_or_the_time_is_up,
    mq1_a_sender_that_waits_learns_that_the_port_died,
    mq2_a_send_once_right_does_not_wait_for_room,
    ms2_receiving_ends_with_the_time_and_a_message_that_is_too_large_stays_or_goes,
    ms3_nonsense_is_refused_with_the_reason,
    ms4_what_a_task_has_queued_is_bounded,
    mc1_a_receive_right_that_nobody_could_receive_dies_with_its_message,
    mc2_ports_that_leave_each_other_to_each_other_die_with_their_task,
    mc3_a_long_chain_of_queued_ports_needs_no_stack,
    ko1_a_kernel_object_answers_on_the_senders_thread,
    ko2_the_kernel_sends_and_does_not_wait,
    ms5_a_message_that_fails_takes_nothing,
    ms5_a_request_that_fails_takes_nothing,
}
