//! What whoever looks at this kernel from outside begins with: a note in the image that leads to the processors and the threads (`abi::threads`).

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::threads::{NOTE_ROOT, ROOT_MAGIC, Root, VERSION};
use guest_kernel::acpi::MAX_CPUS;

use super::{context, percpu, stack};

/// The beginning of everything.
static ROOT: Root<[percpu::PerCpu; MAX_CPUS]> = Root {
    magic: ROOT_MAGIC,
    version: VERSION,
    blocks: MAX_CPUS as u32,
    directory: AtomicU64::new(0),
    first_block: &percpu::BLOCKS,
    block_bytes: size_of::<percpu::PerCpu>() as u32,
    thread_at: percpu::THREAD as u32,
    user_stack_at: percpu::USER_STACK as u32,
    stack_pointer_at: context::STACK_POINTER as u32,
    busy_at: context::BUSY as u32,
    reserved: 0,
    stacks: stack::BASE,
    stack_slot: stack::SLOT,
};

global_asm!(
    r#"
    .section .note.workgate, "a", @note
    .balign 4
    .long 9, 8, {kind}              // lengths of name and descriptor, type
    .asciz "Workgate"
    .balign 4
    .quad {root}
"#,
    kind = const NOTE_ROOT,
    root = sym ROOT,
);

/// The kernel's threads are in the directory at `address`.
pub fn announce(address: u64) {
    ROOT.directory.store(address, Ordering::Release);
}
