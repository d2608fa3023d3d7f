//! Workgate's guest kernel: the bootable image. See the library's documentation for what is where.
#![no_std]
#![no_main]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

mod hostile;
mod x86;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use guest_kernel::acpi::Acpi;
use guest_kernel::boot_info::{BootInfo, COMMAND_LINE_BYTES, number, option};
use guest_kernel::memory_map::{Layout, MemoryMap};
use iokit::BootArgs;
use mach::Kernel;
use mach::seam::TIMER_VECTOR;
use trace::{Event, Kind};
use x86::bench::Bench;
use x86::boot::Image;
use x86::dma::DmaMemory;
use x86::guest::{self, Guest};
use x86::leap::Leap;
use x86::memory::LowMemory;
use x86::pci::ConfigSpace;
use x86::stack::Stack;
use x86::time::{Timer, Zero};
use x86::{
    apic, backtrace, context, cpu, crash, descriptors, ioapic, memory, paging, percpu, power, published,
    ring3, serial, smp, time,
};

/// The user programs, which the image's build script builds first.
static USER_IMAGE: &[u8] = include_bytes!(env!("WORKGATE_USER_IMAGE"));

/// Where the local APICs are if no table tells.
const USUAL_LOCAL_APIC: u64 = 0xfee0_0000;

/// What the first steps found out, for those on the idle thread's stack.
struct Early {
    began: u64,
    acpi: Acpi,
    command_line: String,
    map: MemoryMap,
    layout: Layout,
}

/// The first Rust code, on the boot stack: memory and traps, then over to a stack with a guard.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u32) -> ! {
    let began = cpu::tsc();
    percpu::load(0);
    serial::init();
    let info = BootInfo::read(&LowMemory, u64::from(start_info))
        .unwrap_or_else(|error| panic!("cannot use the start information at {start_info:#x}: {error:?}"));
    let acpi = Acpi::read(&LowMemory, info.rsdp).unwrap_or_default();
    let image_end = backtrace::image_end();
    let layout = info.memory.divide(image_end).unwrap_or_else(|error| panic!("memory: {error:?}"));
    // The loader may have put the line into what becomes the heap: copy it first.
    let mut copy = [0; COMMAND_LINE_BYTES];
    let line = &mut copy[..info.command_line.len()];
    line.copy_from_slice(info.command_line);
    memory::init(layout.free);
    let command_line = String::from_utf8_lossy(line).into_owned();
    paging::init(&info.memory, Image::get(), image_end).unwrap_or_else(|error| panic!("paging: {error:?}"));
    let (Some(idle), Some(traps)) = (Stack::new(), smp::trap_stacks()) else {
        panic!("no memory for stacks")
    };
    percpu::block(0).set_stacks(idle, traps);
    descriptors::init_idt();
    descriptors::load(0, traps);
    cpu::separate_user_mode();
    let early = Box::new(Early { began, acpi, command_line, map: info.memory, layout });
    // SAFETY: the stack is fresh; what the boot stack holds is copied or handed over.
    unsafe { context::continue_on(idle, start_kernel, Box::into_raw(early) as usize) }
}

/// Adds the personalities of the driver crate that the image was built with, if it was (docs/write-a-driver.md).
fn outside_drivers(kit: &iokit::IoKit) {
    #[cfg(feature = "outside-driver")]
    outside_driver::register(kit);
    _ = kit;
}

/// The conformance tests that the command line asks for, in an image that has them.
#[cfg(feature = "conformance")]
fn rules_asked_for(line: &[u8]) -> Option<conformance::guest::Request> {
    let word = option(line, "conform")?;
    Some(conformance::guest::Request::new(word, option(line, "conform_from")))
}

#[cfg(feature = "conformance")]
fn carry_out(kernel: &mach::KernelRef, rules: conformance::guest::Request) {
    conformance::guest::start(kernel, rules);
}

#[cfg(not(feature = "conformance"))]
fn rules_asked_for(_: &[u8]) -> Option<core::convert::Infallible> {
    None
}

#[cfg(not(feature = "conformance"))]
fn carry_out(_: &mach::KernelRef, rules: core::convert::Infallible) {
    match rules {}
}

/// Devices, the other CPUs, and the kernel; on the idle thread's stack.
extern "C" fn start_kernel(early: usize) -> ! {
    // SAFETY: `kernel_main` made it with `Box::into_raw` and calls once.
    let early = unsafe { Box::from_raw(early as *mut Early) };
    let line = early.command_line.as_bytes();
    let madt = early.acpi.madt.unwrap_or_default();
    power::init(early.acpi.fadt);

    let pm_timer = early.acpi.fadt.and_then(|fadt| fadt.pm_timer());
    let (clock, source) = time::clock(option(line, "tsc_hz").and_then(number), pm_timer);
    apic::silence_legacy_controllers();
    apic::choose(if madt.local_apic == 0 { USUAL_LOCAL_APIC } else { madt.local_apic });
    apic::init(time::has_tsc_deadline(), TIMER_VECTOR);
    percpu::prepare(0, apic::id());
    ioapic::init(madt.io_apics());
    let bench = option(line, "bench").and_then(Bench::new);
    let zero = bench.as_ref().map_or_else(|| Zero::at(early.began), |bench| Zero::shared(bench.zero()));
    let timer = Timer::new(clock, zero);
    let cpus = smp::start(madt.apic_ids(), &early.map, &timer);
    if bench.is_none() {
        let (hz, bytes) = (clock.hz(), memory::free_bytes());
        kprintln!("workgate: {cpus} CPUs, TSC {hz} Hz ({source:?}), {} MiB free", bytes >> 20);
    }
    let rules = rules_asked_for(line);
    let trace_word = option(line, "trace");
    let config = ConfigSpace::new(early.acpi.ecam);
    let machine = guest::install(Guest {
        cpus,
        timer,
        config,
        dma: DmaMemory(early.layout.dma),
        bench,
        leap: rules.is_some().then(Leap::new),
        trace_console: trace_word == Some("console"),
        marks_only: trace_word == Some("marks"),
    });
    let kernel = Kernel::new(Box::new(machine));
    guest::set_kernel(kernel.clone());
    kernel.directory().into_iter().for_each(published::announce);
    match mach::task::Image::from_elf(USER_IMAGE) {
        Ok(image) => kernel.set_user_program(mach::task::Program::Image(Arc::new(image))),
        Err(error) => panic!("the user programs: {error}"),
    }
    let arguments = BootArgs::parse(&early.command_line);
    let crash = option(line, "crash").map(String::from);
    let hostile = option(line, "hostile").and_then(number);
    let tries_ring_3 = option(line, "ring3").is_some();
    drop(early);
    kernel.first_thread(move |kernel| {
        kernel.trace(Event::new(Kind::FirstThread));
        if let Some(what) = crash {
            crash::crash(&what);
        }
        if let Some(rules) = rules {
            return carry_out(kernel, rules);
        }
        if tries_ring_3 {
            ring3::report(kernel);
        }
        if let Some(count) = hostile {
            hostile::run(kernel, count);
        }
        iokit::boot_with(kernel, &arguments, outside_drivers);
    });
    smp::release();
    guest::run_cpu(0)
}
