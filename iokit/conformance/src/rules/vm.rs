//! Virtual memory of tasks.

use abi::{
    Descriptor, Disposition, KernReturn, Trap,
    space::{PAGE, USER_BASE, USER_END, flag, protection},
};
use mach::{KernelRef, task::Fault, vm::SharedMemory};

use crate::prelude::*;
use crate::user::{Mail, Meeting, User, alone, assert_nothing_left, join, right, run, task, task_with};

fn pages(kernel: &KernelRef) -> u32 {
    kernel.resources().iter().find(|(name, _)| *name == "VmPage").unwrap().1
}

fn vm1_memory_is_zeros_where_it_was_asked_for_and_gone_when_it_was_given_back(lab: &Lab<'_>) {
    alone(lab, |user| {
        let allocate = |address: u64, bytes: u64| user.trap(Trap::VmAllocate, &[address, bytes, 0]);
        assert_eq!(allocate(USER_BASE, 3 * PAGE - 1), Ok(USER_BASE));
        assert_eq!(user.load(USER_BASE + 1, 2 * PAGE as usize), vec![0; 2 * PAGE as usize]);
        assert_eq!(allocate(USER_BASE + 2 * PAGE, PAGE), Err(KernReturn::NoSpace));
        assert_eq!(allocate(USER_BASE + 3 * PAGE, PAGE), Ok(USER_BASE + 3 * PAGE));
        for (address, bytes) in
            [(0, PAGE), (USER_END, PAGE), (USER_BASE - PAGE, PAGE), (USER_END - PAGE, 2 * PAGE)]
        {
            assert_eq!(allocate(address, bytes), Err(KernReturn::InvalidAddress), "{address:#x}");
        }
        assert_eq!(allocate(USER_BASE + 5, PAGE), Err(KernReturn::NoSpace), "not aligned");
        assert_eq!(allocate(USER_BASE, 0), Err(KernReturn::InvalidArgument));
        assert_eq!(allocate(USER_BASE, u64::MAX), Err(KernReturn::InvalidArgument));
        assert_eq!(user.trap(Trap::VmAllocate, &[0, PAGE, 2]), Err(KernReturn::InvalidArgument));
        let huge = user.trap(Trap::VmAllocate, &[0, USER_END, flag::ANYWHERE]);
        assert_eq!(huge, Err(KernReturn::NoSpace));
        user.store(USER_BASE + PAGE - 3, b"across");
        assert_eq!(user.load(USER_BASE + PAGE - 4, 8), b"\0across\0");
        // The middle goes.
        assert_eq!(user.trap(Trap::VmDeallocate, &[USER_BASE + PAGE, 1]), Ok(0));
        assert_eq!(user.load(USER_BASE + PAGE - 3, 3), b"acr");
        let print = |address: u64, bytes: u64| user.trap(Trap::Print, &[address, bytes]);
        assert_eq!(print(USER_BASE + PAGE - 3, 4), Err(KernReturn::InvalidAddress));
        assert_eq!(print(USER_BASE + 2 * PAGE, 4), Ok(0));
        assert_eq!(print(USER_BASE, 257), Err(KernReturn::InvalidArgument));
        assert_eq!(user.trap(Trap::VmDeallocate, &[1, u64::MAX]), Err(KernReturn::InvalidArgument));
    });
}

fn vm2_protection_is_by_page_and_holds_for_the_kernel_too(lab: &Lab<'_>) {
    alone(lab, |user| {
        let memory = user.memory(3 * PAGE);
        user.store(memory + PAGE, b"fixed");
        let protect = |address: u64, bytes: u64, how: u64| user.trap(Trap::VmProtect, &[address, bytes, how]);
        assert_eq!(protect(memory + PAGE, 1, protection::READ), Ok(0));
        assert_eq!(user.load(memory + PAGE, 5), b"fixed");
        let port = user.port();
        user.send(&Mail::to(port, Disposition::CopySend, 1)).unwrap();
        let receive = abi::message::option::RECEIVE;
        let into = user.raw(Trap::Message as u64, &[memory + PAGE, receive, 0, 64, port.into(), 0]);
        assert_eq!(into, (KernReturn::ReceiveInvalidData, 0));
        assert_eq!(protect(memory, 3 * PAGE, protection::NONE), Ok(0));
        assert_eq!(user.trap(Trap::Print, &[memory, 1]), Err(KernReturn::ProtectionFailure));
        // Who may write may read: processors cannot tell.
        assert_eq!(protect(memory, PAGE, protection::WRITE), Ok(0));
        assert_eq!(user.trap(Trap::Print, &[memory, 1]), Ok(0));
        assert_eq!(protect(memory, PAGE, 8), Err(KernReturn::InvalidArgument));
        assert_eq!(protect(memory - PAGE, 2 * PAGE, protection::READ), Err(KernReturn::InvalidAddress));
    });
}

/// `misuse` of memory that the task has had ends the task.
fn is_an_exception(lab: &Lab<'_>, misuse: fn(&User<'_>, memory: u64) -> Result<(), Fault>) {
    lab.kernel(2, 100, move |kernel| {
        run(kernel, move |user| {
            let memory = user.memory(2 * PAGE);
            // The processor knows the pages from here on, as ones that can be written to.
            user.store(memory, &[7; 2 * PAGE as usize]);
            assert_eq!(misuse(user, memory), Err(Fault));
            assert!(user.thread.task().is_terminating());
        });
        assert_nothing_left(kernel, 0);
    });
}

fn vm1_to_reach_what_was_given_back_is_an_exception(lab: &Lab<'_>) {
    is_an_exception(lab, |user, memory| {
        assert_eq!(user.trap(Trap::VmDeallocate, &[memory + PAGE, PAGE]), Ok(0));
        assert_eq!(user.load(memory + PAGE - 2, 2), [7; 2]);
        user.try_load(memory + PAGE, &mut [0])
    });
}

fn vm2_to_write_to_what_is_read_only_is_an_exception(lab: &Lab<'_>) {
    is_an_exception(lab, |user, memory| {
        assert_eq!(user.trap(Trap::VmProtect, &[memory, PAGE, protection::READ]), Ok(0));
        user.store(memory + PAGE, b"still");
        assert_eq!(user.load(memory, 1), [7]);
        user.try_store(memory + PAGE - 1, b"no")
    });
}

/// A thread writes to a page, again and again, on another processor perhaps, until it is taken from it: not a byte comes after that.
fn vm2_what_one_thread_forbids_no_other_thread_can_do_any_more(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let body = |user: &User<'_>, entry: u64, memory: u64| {
            if entry == 1 {
                let mut n = 0_u64;
                while user.try_store(memory, &n.to_le_bytes()).is_ok() {
                    n += 1;
                }
                return 0;
            }
            let memory = user.memory(PAGE);
            user.trap(Trap::ThreadCreate, &[1, 0, memory]).unwrap();
            user.trap(Trap::Sleep, &[200_000]).unwrap();
            // The writer's exception ends the task; until then the page stays as it was.
            if user.trap(Trap::VmProtect, &[memory, PAGE, protection::READ]).is_ok() {
                let read = || {
                    let mut bytes = [0; 8];
                    user.try_load(memory, &mut bytes).map(|()| bytes)
                };
                if let (Ok(first), Ok(second)) = (read(), read()) {
                    assert_eq!(first, second, "written to after it was forbidden");
                }
            }
            0
        };
        join(kernel, task_with(kernel, "two", body));
        assert_nothing_left(kernel, 0);
    });
}

fn vm3_a_copy_shares_pages_until_somebody_writes(lab: &Lab<'_>) {
    lab.kernel(3, 60, |kernel| {
        let meeting = Meeting::new(kernel);
        let receiver = task(kernel, "receiver", |user| {
            let port = user.port();
            user.put(0, right(port, Disposition::CopySend));
            let mail = user.receive(port).unwrap();
            let Descriptor::OutOfLine { address, size, .. } = mail.items[0] else { panic!("{mail:?}") };
            assert_eq!((address % PAGE, size), (10, 3 * PAGE as u32));
            let all = user.load(address, size as usize);
            assert!(
                all[..5] == *b"begin" && all[5..].iter().all(|&byte| byte == 0),
                "as it was when it was sent"
            );
            user.store(address, b"mine.");
            assert_eq!(user.load(address, 5), b"mine.");
            user.send(&Mail::to(mail.header.remote, Disposition::MoveSendOnce, 0)).unwrap();
        });
        run(kernel, |user| {
            let port = user.get(0).unwrap();
            let memory = user.memory(4 * PAGE);
            user.store(memory + 10, b"begin");
            let item =
                Descriptor::OutOfLine { address: memory + 10, size: 3 * PAGE as u32, deallocate: false };
            let answers = user.port();
            let mail = Mail::to(port, Disposition::CopySend, 1).with(item);
            user.send(&mail.reply_to(answers, Disposition::MakeSendOnce)).unwrap();
            user.store(memory + 10, b"other");
            user.receive(answers).unwrap();
            assert_eq!(user.load(memory + 10, 5), b"other");
        });
        join(kernel, receiver);
        meeting.clear();
        assert_nothing_left(kernel, 1);
    });
}

fn vm3_the_last_one_to_have_a_page_writes_to_it_in_place(lab: &Lab<'_>) {
    alone(lab, |user| {
        let kernel = user.thread.kernel();
        let (port, memory) = (user.port(), user.memory(PAGE));
        user.store(memory, b"one");
        let item = Descriptor::OutOfLine { address: memory, size: PAGE as u32, deallocate: true };
        user.send(&Mail::to(port, Disposition::CopySend, 1).with(item)).unwrap();
        assert_eq!(user.trap(Trap::Print, &[memory, 1]), Err(KernReturn::InvalidAddress), "it went");
        let before = pages(kernel);
        let mail = user.poll(port).unwrap();
        let Descriptor::OutOfLine { address, .. } = mail.items[0] else { panic!("{mail:?}") };
        user.store(address + 1, b"w");
        assert_eq!((user.load(address, 3), pages(kernel)), (b"owe".to_vec(), before));
        // A copy within the task, then a write on either side.
        let other = user.memory(PAGE);
        assert_eq!(user.trap(Trap::VmCopy, &[address, PAGE, other]), Ok(0));
        assert_eq!(pages(kernel), before);
        user.store(other, b"t");
        assert_eq!((user.load(address, 3), user.load(other, 3)), (b"owe".to_vec(), b"twe".to_vec()));
        assert_eq!(pages(kernel), before + 1);
        user.store(address, b"O");
        assert_eq!(pages(kernel), before + 1);
        assert_eq!(user.trap(Trap::VmCopy, &[address + 1, PAGE, other]), Err(KernReturn::InvalidArgument));
        assert_eq!(user.trap(Trap::VmCopy, &[address, PAGE, other + PAGE]), Err(KernReturn::InvalidAddress));
    });
}

fn vm4_regions_and_pages_have_an_end(lab: &Lab<'_>) {
    lab.kernel_for_long(1, 20, |kernel| {
        run(kernel, |user| {
            let memory = user.memory(1 << 30);
            // What the steps of the thread need on a machine with a user mode.
            user.store(memory, b"x");
            let own = u64::from(pages(user.thread.kernel())) - 1;
            let touch = |n: u64| user.trap(Trap::VmCopy, &[memory, PAGE, memory + n * PAGE]);
            let full = (1..).find_map(|n| touch(n).err().map(|why| (why, n))).unwrap();
            assert_eq!(full, (KernReturn::ResourceShortage, mach::vm::PAGES_MAX as u64 - own));
            let hole = |n: u64| user.trap(Trap::VmDeallocate, &[memory + (2 * n + 1) * PAGE, 1]);
            let why = (0..).find_map(|n| hole(n).err()).unwrap();
            assert_eq!(why, KernReturn::NoSpace);
            assert_eq!(user.trap(Trap::VmDeallocate, &[memory, 1 << 30]), Ok(0));
            user.memory(PAGE);
        });
        assert_nothing_left(kernel, 0);
    });
}

fn vm5_memory_that_the_kernel_shares_is_the_same_for_both_and_a_copy_of_it_is_not(lab: &Lab<'_>) {
    lab.kernel(2, 40, |kernel| {
        let shared = SharedMemory::new(kernel, 1000).unwrap();
        let theirs = shared.clone();
        run(kernel, move |user| {
            let kernel = user.thread.kernel();
            let address = user.thread.task().map().map_shared(kernel, &theirs).unwrap();
            let word = theirs.word(600).unwrap();
            word.store(0x1122, core::sync::atomic::Ordering::SeqCst);
            assert_eq!(user.load(address + 4800, 2), [0x22, 0x11]);
            let other = user.memory(PAGE);
            assert_eq!(user.trap(Trap::VmCopy, &[address + PAGE, PAGE, other]), Ok(0));
            user.store(address + 4800, &[1]);
            assert_eq!(word.load(core::sync::atomic::Ordering::SeqCst), 0x1101);
            assert_eq!(user.load(other + 4800 - PAGE, 2), [0x22, 0x11]);
        });
        assert!(shared.word(1024).is_none());
        drop(shared);
        assert_nothing_left(kernel, 0);
        assert_eq!(SharedMemory::new(kernel, 0).unwrap_err(), KernReturn::InvalidArgument);
        assert_eq!(SharedMemory::new(kernel, usize::MAX).unwrap_err(), KernReturn::InvalidArgument);
    });
}

table! {
    vm1_memory_is_zeros_where_it_was_asked_for_and_gone_when_it_was_given_back,
    vm1_to_reach_what_was_given_back_is_an_exception,
    vm2_protection_is_by_page_and_holds_for_the_kernel_too,
    vm2_to_write_to_what_is_read_only_is_an_exception,
    vm2_what_one_thread_forbids_no_other_thread_can_do_any_more,
    vm3_a_copy_shares_pages_until_somebody_writes,
    vm3_the_last_one_to_have_a_page_writes_to_it_in_place,
    vm4_regions_and_pages_have_an_end,
    vm5_memory_that_the_kernel_shares_is_the_same_for_both_and_a_copy_of_it_is_not,
}
