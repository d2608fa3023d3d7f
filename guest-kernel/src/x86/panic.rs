//! The end of a kernel that cannot go on: stop the other CPUs, say what happened, power off.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use trace::{Event, Kind};

use super::serial::PanicConsole;
use super::traps::Registers;
use super::{apic, backtrace, cpu, guest, percpu, power, smp, stack};

/// Number of the CPU that panics, plus one.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// CPUs that have stopped.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// Turns to wait for them.
const PATIENCE: u32 = 1_000_000;
const PAGE_FAULT: u64 = 14;
const DOUBLE_FAULT: u64 = 8;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => fatal(format_args!("{} ({}:{})", info.message(), at.file(), at.line())),
        None => fatal(format_args!("{}", info.message())),
    }
}

/// Reports `message` with the caller's backtrace and powers off.
pub fn fatal(message: fmt::Arguments<'_>) -> ! {
    die(
        message,
        backtrace::frame_pointer(),
        None,
        Event::new(Kind::Panic).text(Beginning::of(message).as_str()),
    )
}

/// Reports that the processor did what no processor does (`message`; `what` and `detail` are for the host) and powers off. Not a panic:
/// the guest is not to blame.
pub fn host_defect(what: &str, detail: u32, message: fmt::Arguments<'_>) -> ! {
    let event = Event::new(Kind::HostDefect).text(what).arg(u64::from(detail));
    die(format_args!("the host's processor is defective: {message}"), backtrace::frame_pointer(), None, event)
}

/// Reports an exception and powers off.
pub fn exception(registers: &Registers) -> ! {
    let r = registers;
    let name = NAMES.get(r.vector as usize).copied().unwrap_or("reserved");
    let address = cpu::fault_address();
    let overflow = matches!(r.vector, PAGE_FAULT | DOUBLE_FAULT) && stack::is_guard(address);
    match r.vector {
        _ if overflow => {
            broken(format_args!("kernel stack overflow at {:#x}, address {address:#x}", r.rip), r)
        }
        PAGE_FAULT => {
            let verb =
                ["read", "write", "execute"][if r.code & 16 != 0 { 2 } else { (r.code >> 1 & 1) as usize }];
            broken(format_args!("page fault: {verb} of {address:#x} at {:#x}", r.rip), r)
        }
        _ => broken(format_args!("{name} at {:#x}, code {:#x}", r.rip, r.code), r),
    }
}

/// Called by an NMI: halts if another CPU panics.
pub fn stop_if_asked() {
    let owner = OWNER.load(Ordering::Acquire);
    if owner != 0 && owner != percpu::number() as u32 + 1 {
        STOPPED.fetch_add(1, Ordering::AcqRel);
        cpu::halt_forever();
    }
}

fn broken(message: fmt::Arguments<'_>, r: &Registers) -> ! {
    die(message, r.rbp, Some(r), Event::new(Kind::Panic).text(Beginning::of(message).as_str()))
}

/// `event` is what the host hears.
fn die(message: fmt::Arguments<'_>, rbp: u64, registers: Option<&Registers>, event: Event) -> ! {
    cpu::mask();
    let me = percpu::number() as u32 + 1;
    match OWNER.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(owner) if owner == me => {
            // Something went wrong in here: say it without any decoration.
            let _ = writeln!(PanicConsole, "panic while reporting a panic: {message}");
            power::off();
        }
        Err(_) => {
            STOPPED.fetch_add(1, Ordering::AcqRel);
            cpu::halt_forever();
        }
    }
    stop_others();
    power::set_failed();
    let _ = report(message, rbp, registers);
    guest::trace_in_panic(event);
    power::off()
}

fn stop_others() {
    let me = percpu::number();
    let others = (0..smp::online()).filter(|&n| n != me);
    let count = others.clone().count() as u32;
    others.for_each(apic::send_nmi);
    for _ in 0..PATIENCE {
        if STOPPED.load(Ordering::Acquire) >= count {
            return;
        }
        core::hint::spin_loop();
    }
}

fn report(message: fmt::Arguments<'_>, rbp: u64, registers: Option<&Registers>) -> fmt::Result {
    let out = &mut PanicConsole;
    // What was logged before is what led here.
    guest::log_in_panic(|text, lost| {
        if !text.is_empty() {
            let _ = write!(PanicConsole, "\n{text}");
        }
        if lost > 0 {
            let _ = writeln!(PanicConsole, "IOLog: {lost} lines lost");
        }
    });
    writeln!(out, "\npanic: cpu {} thread {}: {message}", percpu::number(), percpu::thread())?;
    if let Some(r) = registers {
        print_registers(out, r)?;
    }
    writeln!(out, "backtrace:")?;
    // The instruction itself is not a return address: one further, so that it is looked up right.
    let faulting = registers.map(|r| r.rip.wrapping_add(1));
    backtrace::print(out, faulting.into_iter().chain(backtrace::Walk::from(rbp)))
}

fn print_registers(out: &mut impl Write, r: &Registers) -> fmt::Result {
    for (n, (name, value)) in [
        ("rax", r.rax),
        ("rbx", r.rbx),
        ("rcx", r.rcx),
        ("rdx", r.rdx),
        ("rsi", r.rsi),
        ("rdi", r.rdi),
        ("rbp", r.rbp),
        ("rsp", r.rsp),
        ("r8", r.r8),
        ("r9", r.r9),
        ("r10", r.r10),
        ("r11", r.r11),
        ("r12", r.r12),
        ("r13", r.r13),
        ("r14", r.r14),
        ("r15", r.r15),
        ("rip", r.rip),
        ("rflags", r.rflags),
        ("cr2", cpu::fault_address()),
        ("cr3", cpu::page_table()),
    ]
    .into_iter()
    .enumerate()
    {
        let end = if n % 4 == 3 { "\n" } else { "  " };
        write!(out, "{name:>6} {value:016x}{end}")?;
    }
    Ok(())
}

/// The first bytes of a message: what fits into an event.
struct Beginning {
    bytes: [u8; trace::TEXT_BYTES],
    length: usize,
}

impl Beginning {
    fn of(message: fmt::Arguments<'_>) -> Self {
        let mut beginning = Self { bytes: [0; trace::TEXT_BYTES], length: 0 };
        let _ = beginning.write_fmt(message);
        beginning
    }

    fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.length];
        core::str::from_utf8(bytes)
            .unwrap_or_else(|e| core::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or(""))
    }
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let take = text.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + take].copy_from_slice(&text.as_bytes()[..take]);
        self.length += take;
        Ok(())
    }
}

/// Exceptions by vector (Intel SDM volume 3, table 6-1).
const NAMES: [&str; 22] = [
    "divide error",
    "debug exception",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved exception 15",
    "floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualisation exception",
    "control protection",
];
