//! Starting the other CPUs (Intel SDM volume 3, 9.4.4): INIT, then a start-up message with the trampoline's page.
//!
//! One at a time: each finds its stack and number in the same place. A CPU that does not answer in time is given up and, should
//! it come after all, halts.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use guest_kernel::memory_map::{MemoryMap, Region};
use mach::seam::{RESCHEDULE_VECTOR, TIMER_VECTOR};

use super::boot::{TRAMPOLINE, ap_cpu, ap_page_table, ap_stack, trampoline, trampoline_end};
use super::context::RECORD_BYTES;
use super::descriptors::{self, TrapStacks};
use super::stack::Stack;
use super::time::{Timer, has_tsc_deadline};
use super::{apic, cpu, guest, percpu};

/// Machine time between INIT and the first start-up message, and until the second.
const SHORT: u64 = 200_000;
/// Machine time after which a CPU is given up.
const LONG: u64 = 1_000_000_000;

/// CPUs that run.
static ONLINE: AtomicUsize = AtomicUsize::new(1);
/// The CPU that may come up now, plus one; 0 = none.
static EXPECTED: AtomicU32 = AtomicU32::new(0);
/// The kernel is there: the waiting CPUs may enter it.
static GO: AtomicBool = AtomicBool::new(false);

/// Number of CPUs that run.
pub fn online() -> usize {
    ONLINE.load(Ordering::Acquire)
}

/// Stacks and tables for the calling CPU or one that is about to start.
pub fn trap_stacks() -> Option<TrapStacks> {
    Some(TrapStacks([Stack::new()?, Stack::new()?, Stack::new()?]))
}

/// Starts every CPU in `apic_ids` apart from the calling one; the number that run, itself included.
pub fn start(apic_ids: &[u32], map: &MemoryMap, timer: &Timer) -> usize {
    let me = percpu::apic_id(0);
    let mut others = apic_ids.iter().copied().filter(|&id| id != me).peekable();
    if others.peek().is_none() {
        return 1;
    }
    if !copy_trampoline(map) {
        crate::kprintln!("smp: no RAM at {TRAMPOLINE:#x} for the trampoline; one CPU only");
        return 1;
    }
    for id in others {
        let number = online();
        if !start_one(number, id, timer) {
            // It may still come, and must not find what is meant for the next one.
            crate::kprintln!("smp: the CPU with APIC id {id} does not start; going on with {number}");
            break;
        }
    }
    online()
}

fn copy_trampoline(map: &MemoryMap) -> bool {
    let (start, end) = (&raw const trampoline as u64, &raw const trampoline_end as u64);
    let length = end - start;
    if !map.covers(Region { start: TRAMPOLINE, end: TRAMPOLINE + 4096 }) || length > 4096 {
        return false;
    }
    // SAFETY: the page is RAM that the kernel gives to nobody; the source is in the image.
    unsafe { core::ptr::copy_nonoverlapping(start as *const u8, TRAMPOLINE as *mut u8, length as usize) };
    true
}

fn start_one(number: usize, id: u32, timer: &Timer) -> bool {
    let (Some(idle), Some(traps)) = (Stack::new(), trap_stacks()) else { return false };
    percpu::prepare(number, id);
    percpu::block(number).set_stacks(idle, traps);
    // SAFETY: no other CPU is starting (EXPECTED is 0), so nobody reads these.
    unsafe {
        (&raw mut ap_page_table).write_volatile(cpu::page_table());
        (&raw mut ap_stack).write_volatile(idle.top() - RECORD_BYTES);
        (&raw mut ap_cpu).write_volatile(number as u64);
    }
    EXPECTED.store(number as u32 + 1, Ordering::Release);
    apic::send_init(id);
    timer.spin(SHORT);
    for patience in [SHORT * 10, LONG] {
        apic::send_startup(id, TRAMPOLINE);
        let end = timer.now() + patience;
        while timer.now() < end {
            if online() > number {
                return true;
            }
            core::hint::spin_loop();
        }
    }
    // It may come this very moment: only one side gets the ticket.
    let ticket = EXPECTED.compare_exchange(number as u32 + 1, 0, Ordering::AcqRel, Ordering::Acquire);
    while ticket.is_err() && online() <= number {
        core::hint::spin_loop();
    }
    ticket.is_err()
}

/// Where another CPU goes on in long mode, on its idle thread's stack.
#[unsafe(no_mangle)]
extern "C" fn kernel_ap_main(number: usize) -> ! {
    let ticket = EXPECTED.compare_exchange(number as u32 + 1, 0, Ordering::AcqRel, Ordering::Acquire);
    if ticket.is_err() {
        cpu::halt_forever();
    }
    percpu::load(number);
    descriptors::load(number, percpu::block(number).trap_stacks());
    cpu::separate_user_mode();
    apic::init(has_tsc_deadline(), TIMER_VECTOR);
    ONLINE.store(number + 1, Ordering::Release);
    // Halted, not spinning: where CPUs share a core, the first one needs it.
    while !GO.load(Ordering::Acquire) {
        cpu::unmask_and_halt();
        cpu::mask();
    }
    guest::run_cpu(number)
}

/// Lets the waiting CPUs enter the kernel.
pub fn release() {
    GO.store(true, Ordering::Release);
    (1..online()).for_each(|number| apic::send(number, RESCHEDULE_VECTOR));
}
