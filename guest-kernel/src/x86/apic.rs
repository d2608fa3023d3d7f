//! The local APIC (Intel SDM volume 3, chapter 11), through its registers in memory or, as x2APIC, in MSRs.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{cpu, paging, percpu};

const MSR_APIC_BASE: u32 = 0x1b;
const APIC_ENABLE: u64 = 1 << 11;
const X2APIC_ENABLE: u64 = 1 << 10;
const MSR_X2APIC: u32 = 0x800;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const EOI: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const ICR: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

/// Vector of the spurious interrupt; no EOI.
pub const SPURIOUS_VECTOR: u8 = 0xff;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const LVT_MASKED: u32 = 1 << 16;
const TIMER_TSC_DEADLINE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0xb;
const ICR_PENDING: u32 = 1 << 12;
const ICR_ASSERT: u32 = 1 << 14;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_STARTUP: u32 = 6 << 8;
/// Turns to wait for an earlier interrupt to leave.
const PATIENCE: u32 = 1_000_000;

static X2APIC: AtomicBool = AtomicBool::new(false);
static BASE: AtomicU64 = AtomicU64::new(0);

/// Masks the two 8259s, which firmware may have left in use. Before LINT0 is masked: a request that they have raised must be taken
/// back while the APIC still listens, or QEMU delivers an interrupt without a vector.
pub fn silence_legacy_controllers() {
    for port in [0x21, 0xa1] {
        // SAFETY: the mask registers of the 8259s, which this kernel does not use otherwise; absent ones ignore it.
        unsafe { cpu::outb(port, 0xff) };
    }
}

/// Chooses how to reach the APIC. `base` is what the MADT says; on the boot CPU, first.
pub fn choose(base: u64) {
    X2APIC.store(cpu::cpuid(1, 0)[2] >> 21 & 1 != 0, Ordering::Relaxed);
    BASE.store(base, Ordering::Relaxed);
    assert!(paging::reach(base), "the local APIC at {base:#x} cannot be mapped");
}

/// Enables the calling CPU's APIC, everything but the timer's mode masked.
pub fn init(tsc_deadline: bool, timer_vector: u8) {
    let x2apic = X2APIC.load(Ordering::Relaxed);
    // SAFETY: IA32_APIC_BASE is in every processor with an APIC; x2APIC is enabled only where CPUID has it.
    unsafe {
        let base = cpu::rdmsr(MSR_APIC_BASE) | APIC_ENABLE;
        cpu::wrmsr(MSR_APIC_BASE, base);
        if x2apic {
            cpu::wrmsr(MSR_APIC_BASE, base | X2APIC_ENABLE);
        }
    }
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, LVT_MASKED);
    write(LVT_LINT1, LVT_MASKED);
    let mode = if tsc_deadline { TIMER_TSC_DEADLINE } else { 0 };
    write(LVT_TIMER, mode | u32::from(timer_vector));
    if !tsc_deadline {
        write(TIMER_DIVIDE, DIVIDE_BY_1);
        write(TIMER_INITIAL, 0);
    }
}

/// The calling CPU's APIC id.
pub fn id() -> u32 {
    if X2APIC.load(Ordering::Relaxed) { read(ID) } else { read(ID) >> 24 }
}

/// Ends the interrupt in service.
pub fn end_of_interrupt() {
    write(EOI, 0);
}

/// Arms the timer in TSC-deadline mode; 0 disarms.
pub fn set_deadline(tsc: u64) {
    // SAFETY: called only in TSC-deadline mode, which CPUID announced.
    unsafe { cpu::wrmsr(MSR_TSC_DEADLINE, tsc) }
}

/// Arms the timer in one-shot mode; 0 disarms.
pub fn set_count(count: u32) {
    write(TIMER_INITIAL, count);
}

/// What is left of the count.
pub fn count() -> u32 {
    read(TIMER_CURRENT)
}

/// Raises `vector` on CPU `number`.
pub fn send(number: usize, vector: u8) {
    command(percpu::apic_id(number), ICR_ASSERT | u32::from(vector));
}

/// Raises an NMI on CPU `number`.
pub fn send_nmi(number: usize) {
    command(percpu::apic_id(number), ICR_ASSERT | DELIVER_NMI);
}

/// Resets the processor with this APIC id (9.4.4).
pub fn send_init(apic_id: u32) {
    command(apic_id, ICR_ASSERT | DELIVER_INIT);
}

/// Starts it in real mode at physical address `page`, below 1 MiB.
pub fn send_startup(apic_id: u32, page: u64) {
    command(apic_id, ICR_ASSERT | DELIVER_STARTUP | (page >> 12) as u32 & 0xff);
}

/// Writes the interrupt command register; interrupts must not come between its halves.
fn command(apic_id: u32, low: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // What was stored before is seen by the interrupt's handler: WRMSR to x2APIC does not order stores (11.12.3).
        core::sync::atomic::fence(Ordering::SeqCst);
        // SAFETY: the x2APIC ICR; sending interrupts is its purpose.
        unsafe { cpu::wrmsr(MSR_X2APIC + (ICR >> 4), u64::from(apic_id) << 32 | u64::from(low)) }
        return;
    }
    let enabled = cpu::mask();
    wait_until_sent();
    write(ICR_HIGH, apic_id << 24);
    write(ICR, low);
    if enabled {
        cpu::unmask();
    }
}

fn wait_until_sent() {
    for _ in 0..PATIENCE {
        if read(ICR) & ICR_PENDING == 0 {
            return;
        }
        core::hint::spin_loop();
    }
}

fn read(register: u32) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode.
        return unsafe { cpu::rdmsr(MSR_X2APIC + (register >> 4)) } as u32;
    }
    let address = BASE.load(Ordering::Relaxed) + u64::from(register);
    // SAFETY: the APIC's page was mapped as device memory by `choose`.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(register: u32, value: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: as in `read`.
        return unsafe { cpu::wrmsr(MSR_X2APIC + (register >> 4), u64::from(value)) };
    }
    let address = BASE.load(Ordering::Relaxed) + u64::from(register);
    // SAFETY: as in `read`.
    unsafe { (address as *mut u32).write_volatile(value) }
}
