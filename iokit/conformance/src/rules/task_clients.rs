//! User clients through ports: services are found, opened and called by tasks, which may be hostile, and may die.

use crate::prelude::*;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{
    Disposition, KernReturn, Trap,
    io::{self, method},
    message::word,
    notify,
    port::Right,
};
use iokit::{
    IOReturn, IoKit, Options,
    io::{AsyncReference, SharedProducer},
};
use mach::{WaitMode, task::Task};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, user as mock_user},
    user::{Mail, User, assert_nothing_left, join, name_in, right, task, task_with},
    world::shared,
};

/// Runs `body` with a fresh IOKit. Every call that was entered returns, and every service is freed.
pub(super) fn everywhere(lab: &Lab<'_>, body: impl Fn(&IoKit) + Send + Sync + 'static) {
    for run in lab.everywhere(body) {
        let count = |kind| run.events.iter().filter(|event| event.kind == kind).count();
        assert_eq!(count(Kind::CallExit), count(Kind::CallEnter), "{}", run.name());
        run.assert_all_freed();
    }
}

/// An answer's result.
fn result(mail: &Mail) -> u32 {
    word(&mail.body, 0)
}

fn host(user: &User<'_>) -> u32 {
    user.trap(Trap::HostSelf, &[]).expect("the host port") as u32
}

fn find(user: &User<'_>, class: &str, index: u32) -> Result<u32, u32> {
    let body: Vec<u8> = index.to_le_bytes().into_iter().chain(class.bytes()).collect();
    let mail =
        user.call(Mail::to(host(user), Disposition::MoveSend, io::GET_MATCHING_SERVICE).body(&body)).unwrap();
    assert_eq!(mail.header.id, io::GET_MATCHING_SERVICE + io::REPLY);
    if result(&mail) == 0 { Ok(name_in(&mail.items[0])) } else { Err(result(&mail)) }
}

fn open(user: &User<'_>, service: u32) -> Result<u32, u32> {
    let mail = user.call(Mail::to(service, Disposition::CopySend, io::SERVICE_OPEN).body(&[0; 4]));
    // The service may be gone, and its port with it.
    let Ok(mail) = mail else { return Err(IOReturn::DeadPort.code()) };
    if result(&mail) == 0 { Ok(name_in(&mail.items[0])) } else { Err(result(&mail)) }
}

/// The body of a call with these scalars and bytes in, and room for as many as `out`.
fn body(selector: u32, scalars: &[u64], bytes: &[u8], out: (u32, u32)) -> Vec<u8> {
    let counts = [selector, scalars.len() as u32, bytes.len() as u32, out.0, out.1, 0];
    let mut body: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
    body.extend(77u64.to_le_bytes());
    body.extend(scalars.iter().flat_map(|scalar| scalar.to_le_bytes()));
    body.extend(bytes);
    assert_eq!(body.len(), method::REQUEST + 8 * scalars.len() + bytes.len());
    body
}

fn call(user: &User<'_>, connection: u32, body: &[u8]) -> Result<Mail, KernReturn> {
    user.call(Mail::to(connection, Disposition::CopySend, io::CONNECT_METHOD).body(body))
}

/// A stack whose user client adds one to its scalar and turns its bytes round, counts how often it was closed, and goes when it is.
pub(super) fn stack(kit: &IoKit) -> (iokit::ServiceRef, iokit::ServiceRef, Arc<AtomicU32>) {
    kit.open_to_tasks();
    let (_bus, nub) = bus_and_nub(kit);
    let closed = Arc::new(AtomicU32::new(0));
    let counted = closed.clone();
    let driver = Mock::new(&DRIVER).new_user(move || {
        let counted = counted.clone();
        let turned = mock_user().call(|_, selector, arguments| {
            if selector != 3 {
                return Err(IOReturn::Unsupported);
            }
            arguments.scalar_output[0] = arguments.scalar_input[0] + 1;
            arguments.struct_output.copy_from_slice(arguments.struct_input);
            arguments.struct_output.reverse();
            Ok(())
        });
        turned.close(move |me| {
            counted.fetch_add(1, Ordering::SeqCst);
            me.terminate(Options::empty());
            Ok(())
        })
    });
    let driver = driver.under(&nub, "D");
    driver.register_service(Options::SYNCHRONOUS);
    (nub, driver, closed)
}

/// How often something is looked at that is to come, ns. Seldom enough for user code to get on meanwhile, on one processor that a host interprets: this thread is
/// more important, and where ring 0 takes its time it would be back before ring 3 has made a step.
const LOOK: u64 = 100_000;

/// What the reaper of ports does comes a moment after a task is gone (UP2 asks for it once, not for when).
fn eventually(kit: &IoKit, condition: impl Fn() -> bool) {
    while !condition() {
        kit.kernel().delay(LOOK);
    }
}

fn until(kit: &IoKit, flag: &AtomicBool) {
    eventually(kit, || flag.load(Ordering::SeqCst));
}

/// The end of a test: everything goes, and nothing of any task is left.
pub(super) fn end(kit: &IoKit, nub: &iokit::ServiceRef, tasks: Vec<Arc<Task>>) {
    tasks.into_iter().for_each(|task| _ = join(kit.kernel(), task));
    nub.terminate(Options::SYNCHRONOUS);
    kit.close_to_tasks();
    assert_nothing_left(kit.kernel(), 0);
    // The reaper may still have a reference on its stack.
    eventually(kit, || ["MockDriver", "U"].iter().all(|class| kit.instances(class) == 0));
}

fn up3_a_task_finds_opens_calls_and_closes(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let (nub, driver, closed) = stack(kit);
        let id = driver.id();
        let client = task(kit.kernel(), "client", move |user| {
            assert_eq!(find(user, "NoSuchClass", 0), Err(IOReturn::NotFound.code()));
            assert_eq!(find(user, "MockDriver", 1), Err(IOReturn::NotFound.code()));
            let service = find(user, "MockDriver", 0).unwrap();
            assert_eq!(find(user, "MockDriver", 0), Ok(service), "one port, one name");
            assert_eq!(user.references(service, Right::Send), Ok(2));
            let info = user.call(Mail::to(service, Disposition::CopySend, io::SERVICE_INFO)).unwrap();
            assert_eq!((result(&info), word(&info.body, 8)), (0, id));
            assert_eq!(&info.body[12..], b"MockDriver");
            let connection = open(user, service).unwrap();
            let answer = call(user, connection, &body(3, &[41], b"abc", (1, 3))).unwrap();
            let expected: Vec<u8> = [0u32, 1, 3, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(answer.body[..16], expected);
            assert_eq!((abi::message::long(&answer.body, 16), &answer.body[24..]), (42, &b"cba"[..]));
            let refused = call(user, connection, &body(4, &[], b"", (0, 0))).unwrap();
            assert_eq!(result(&refused), IOReturn::Unsupported.code());
            let close = user.call(Mail::to(connection, Disposition::CopySend, io::CONNECT_CLOSE)).unwrap();
            assert_eq!(result(&close), 0);
            assert_eq!(call(user, connection, &body(3, &[1], b"", (1, 0))), Err(KernReturn::SendInvalidDest));
        });
        join(kit.kernel(), client);
        driver.wait_quiet(None).unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        drop(driver);
        end(kit, &nub, Vec::new());
    });
}

fn up3_nonsense_is_a_bad_argument(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let (nub, driver, closed) = stack(kit);
        let client = task(kit.kernel(), "client", move |user| {
            let bad = IOReturn::BadArgument.code();
            let ask = |port: u32, id: u32, body: &[u8]| {
                result(&user.call(Mail::to(port, Disposition::CopySend, id).body(body)).unwrap())
            };
            let (own, service) = (host(user), find(user, "IOService", 0).unwrap());
            let connection = open(user, find(user, "MockDriver", 0).unwrap()).unwrap();
            assert_eq!(ask(own, io::SERVICE_OPEN, &[0; 4]), bad);
            assert_eq!(ask(own, io::GET_MATCHING_SERVICE, &[0; 3]), bad);
            assert_eq!(ask(own, io::GET_MATCHING_SERVICE, &[0xff; 9]), bad, "not UTF-8");
            assert_eq!(ask(own, io::GET_MATCHING_SERVICE, &[b'x'; 4 + io::NAME_MAX + 1]), bad);
            assert_eq!(ask(service, io::SERVICE_OPEN, &[0; 5]), bad);
            assert_eq!(ask(service, 1, &[]), bad);
            for wrong in [
                vec![],
                body(3, &[1], b"", (1, 0))[..39].to_vec(),
                body(3, &[0; 17], b"", (1, 0)),
                body(3, &[], b"", (17, 0)),
                body(3, &[], b"", (u32::MAX, u32::MAX)),
                body(3, &[], b"", (0, method::BYTES_MAX as u32 + 1)),
            ] {
                assert_eq!(ask(connection, io::CONNECT_METHOD, &wrong), bad);
            }
            let unsupported = IOReturn::Unsupported.code();
            assert_eq!(ask(connection, io::CONNECT_MAP_MEMORY, &[0; 4]), unsupported);
            assert_eq!(ask(connection, io::CONNECT_MAP_MEMORY, &[]), bad);
            assert_eq!(ask(connection, io::CONNECT_SET_NOTIFICATION_PORT, &[0; 4]), bad, "no port");
            // The kernel does not send to itself.
            let itself = Mail::to(connection, Disposition::CopySend, io::CONNECT_SET_NOTIFICATION_PORT);
            let itself = itself.with(right(connection, Disposition::CopySend)).body(&[0; 4]);
            assert_eq!(result(&user.call(itself).unwrap()), bad);
        });
        join(kit.kernel(), client);
        eventually(kit, || !driver.has_clients());
        drop(driver);
        end(kit, &nub, Vec::new());
        assert_eq!(closed.load(Ordering::SeqCst), 1, "the task died with the connection");
    });
}

fn up1_phase_1_kills_the_ports_and_who_asked_is_told(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let (nub, driver, closed) = stack(kit);
        let ready = Arc::new(AtomicBool::new(false));
        let open_now = ready.clone();
        let client = task(kit.kernel(), "client", move |user| {
            let service = find(user, "MockDriver", 0).unwrap();
            let connection = open(user, service).unwrap();
            let told = user.port();
            for name in [service, connection] {
                let once = Disposition::MakeSendOnce as u64;
                let arguments = [name.into(), notify::DEAD_NAME.into(), 0, told.into(), once];
                assert_eq!(user.trap(Trap::PortRequestNotification, &arguments), Ok(0));
            }
            open_now.store(true, Ordering::SeqCst);
            let mut dead: Vec<_> = (0..2).map(|_| word(&user.receive(told).unwrap().body, 0)).collect();
            dead.sort_unstable();
            let mut both = [service, connection];
            both.sort_unstable();
            assert_eq!(dead, both);
            assert_eq!(call(user, connection, &body(3, &[1], b"", (1, 0))), Err(KernReturn::SendInvalidDest));
            assert_eq!(find(user, "MockDriver", 0), Err(IOReturn::NotFound.code()));
        });
        until(kit, &ready);
        drop(driver);
        nub.terminate(Options::SYNCHRONOUS);
        end(kit, &nub, vec![client]);
        assert_eq!(closed.load(Ordering::SeqCst), 0, "cleanup belongs in stop");
    });
}

/// A call sleeps in the driver, uninterruptibly, until the client is closed: the death of its task must do that.
fn up2_a_task_that_dies_inside_a_call_is_closed_once(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        kit.open_to_tasks();
        let (_bus, nub) = bus_and_nub(kit);
        let (closed, event) = (Arc::new(AtomicU32::new(0)), kit.kernel().new_event());
        let inside = Arc::new(AtomicBool::new(false));
        let (counted, entered) = (closed.clone(), inside.clone());
        let driver = Mock::new(&DRIVER).new_user(move || {
            let (counted, entered, gone) = (counted.clone(), entered.clone(), counted.clone());
            let sleeps = mock_user().call(move |me, _, _| {
                entered.store(true, Ordering::SeqCst);
                loop {
                    me.kernel().assert_wait(event, WaitMode::Uninterruptible, None);
                    if gone.load(Ordering::SeqCst) != 0 {
                        me.kernel().clear_own_wait();
                        return Err(IOReturn::Aborted);
                    }
                    me.kernel().block();
                }
            });
            sleeps.close(move |me| {
                counted.fetch_add(1, Ordering::SeqCst);
                me.kernel().wakeup(event);
                me.terminate(Options::empty());
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        driver.register_service(Options::SYNCHRONOUS);
        let client = task_with(kit.kernel(), "client", move |user, entry, argument| {
            if entry == 0 {
                let connection = open(user, find(user, "MockDriver", 0).unwrap()).unwrap();
                _ = user.trap(Trap::ThreadCreate, &[1, 0, connection.into()]);
                let answer = call(user, connection, &body(0, &[], b"", (0, 0)));
                assert_eq!(answer, Err(KernReturn::Terminated));
            } else {
                _ = call(user, argument as u32, &body(0, &[], b"", (0, 0)));
            }
            0
        });
        until(kit, &inside);
        client.terminate(kit.kernel());
        join(kit.kernel(), client);
        eventually(kit, || !driver.has_clients());
        driver.wait_quiet(None).unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        drop(driver);
        end(kit, &nub, Vec::new());
    });
}

fn up3_two_who_open_the_same_service_have_connections_of_their_own(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let (nub, driver, closed) = stack(kit);
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                task(kit.kernel(), "client", move |user| {
                    let connection = open(user, find(user, "MockDriver", 0).unwrap()).unwrap();
                    for m in 0..3 {
                        let answer = call(user, connection, &body(3, &[n * 10 + m], b"", (1, 0))).unwrap();
                        assert_eq!(abi::message::long(&answer.body, 16), n * 10 + m + 1);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| _ = join(kit.kernel(), task));
        eventually(kit, || closed.load(Ordering::SeqCst) == 3 && !driver.has_clients());
        drop(driver);
        end(kit, &nub, Vec::new());
        assert_eq!(closed.load(Ordering::SeqCst), 3, "once each");
    });
}

fn uc2_an_asynchronous_result_comes_to_the_tasks_port(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        kit.open_to_tasks();
        let (_bus, nub) = bus_and_nub(kit);
        let kept = shared(kit, None::<AsyncReference>);
        let keep = kept.clone();
        let driver = Mock::new(&DRIVER).new_user(move || {
            let keep = keep.clone();
            mock_user().call(move |_, _, arguments| {
                keep.set(Some(core::mem::take(&mut arguments.async_reference)));
                Ok(())
            })
        });
        let driver = driver.under(&nub, "D");
        driver.register_service(Options::SYNCHRONOUS);
        let client = task(kit.kernel(), "client", move |user| {
            let connection = open(user, find(user, "MockDriver", 0).unwrap()).unwrap();
            let results = user.port();
            let mail = Mail::to(connection, Disposition::CopySend, io::CONNECT_METHOD);
            let mail = mail.with(right(results, Disposition::MakeSend)).body(&body(0, &[], b"", (0, 0)));
            assert_eq!(result(&user.call(mail).unwrap()), 0);
            let mail = user.receive(results).unwrap();
            assert_eq!(mail.header.id, io::ASYNC_RESULT);
            let numbers = [0, 8, 12].map(|at| word(&mail.body, at));
            assert_eq!(numbers, [77, IOReturn::Timeout.code(), 2]);
            assert_eq!((abi::message::long(&mail.body, 16), abi::message::long(&mail.body, 24)), (5, 6));
        });
        let answer = loop {
            if let Some(reference) = kept.take() {
                break reference;
            }
            kit.kernel().delay(LOOK);
        };
        assert_eq!(answer.send_result(Err(IOReturn::Timeout), &[5, 6]), Ok(()));
        join(kit.kernel(), client);
        assert_eq!(answer.send_result(Ok(()), &[]), Err(IOReturn::DeadPort));
        drop((answer, driver));
        end(kit, &nub, Vec::new());
    });
}

/// DQ1 with a reader that is not believed: whatever it writes to the head, the producer at the most finds the queue full.
fn up6_a_reader_that_lies_makes_the_queue_full_and_nothing_else(lab: &Lab<'_>) {
    use abi::io::queue::{HEAD, RING, TAIL, WORDS};
    everywhere(lab, |kit| {
        let told = Arc::new(AtomicU32::new(0));
        let counted = told.clone();
        let notify = move || _ = counted.fetch_add(1, Ordering::SeqCst);
        let mut queue = SharedProducer::new(kit.kernel(), 4, 12, notify).unwrap();
        let memory = queue.memory().clone();
        let word = |at: u64| memory.word(at as usize).unwrap();
        assert_eq!(word(WORDS).load(Ordering::SeqCst), 12);
        assert!(queue.enqueue(b"one two four"));
        let entry = [0, 1, 2].map(|at| word(RING + at).load(Ordering::SeqCst).to_le_bytes());
        assert_eq!(entry, [12u64.to_le_bytes(), *b"one two ", *b"four\0\0\0\0"]);
        assert!((0..3).all(|_| queue.enqueue(&[9; 12])) && !queue.enqueue(&[]), "four fit");
        assert_eq!((word(TAIL).load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (12, 1));
        for lie in [13, u64::MAX, 1 << 40, 12u64.wrapping_sub(13)] {
            word(HEAD).store(lie, Ordering::SeqCst);
            assert!(!queue.enqueue(b"x"), "a head of {lie:#x}");
        }
        // The ring's length is the producer's own; and what it has written is not read back.
        word(HEAD).store(12, Ordering::SeqCst);
        word(TAIL).store(99, Ordering::SeqCst);
        word(WORDS).store(1 << 50, Ordering::SeqCst);
        assert!(queue.is_empty() && queue.enqueue(b"y"));
        assert_eq!((word(TAIL).load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (14, 2));
        assert_eq!(
            SharedProducer::new(kit.kernel(), usize::MAX, 12, || {}).unwrap_err(),
            IOReturn::BadArgument
        );
        assert_eq!(SharedProducer::new(kit.kernel(), 1, 1 << 20, || {}).unwrap_err(), IOReturn::BadArgument);
    });
}

table! {
    up3_a_task_finds_opens_calls_and_closes,
    up3_nonsense_is_a_bad_argument,
    up1_phase_1_kills_the_ports_and_who_asked_is_told,
    up2_a_task_that_dies_inside_a_call_is_closed_once,
    up3_two_who_open_the_same_service_have_connections_of_their_own,
    uc2_an_asynchronous_result_comes_to_the_tasks_port,
    up6_a_reader_that_lies_makes_the_queue_full_and_nothing_else,
}
