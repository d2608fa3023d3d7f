//! Building a machine, running it, and taking it apart again.

use crate::clock::Clock;
use crate::console::Console;
use crate::debug::{self, CoreFile, Origin};
use crate::ending::{CpuReport, Ending};
use crate::events::EventLoop;
use crate::gdb::{self, Gdb};
use crate::guest::{Guest, Told};
use crate::interrupts::Interrupts;
use crate::machine::{Machine, Parts};
use crate::memory::Memory;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::ring::Ring;
use crate::serial::{Room, SerialInterrupt};
use crate::steer::{Held, Steer};
use crate::tap::Tap;
use crate::trace_queue::TraceQueue;
use crate::watch::Watch;
use crate::{VmmError, acpi, bus, processor, symbols, threads};
use devices::fault::plan::Plan;
use devices::platform::Platform;
use inspect::core::Written;
use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use trace::Event;
use trace::ring::RING_EVENTS;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vm_superio::Serial;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Runs a plan with `image` as the guest. `sink` gets every event, in order, on the calling thread.
///
/// # Errors
/// See [`VmmError`].
pub fn run(
    plan: &Plan,
    image: &[u8],
    options: &Options,
    sink: &mut dyn FnMut(&Event),
) -> Result<Outcome, VmmError> {
    run_steered(plan, image, options, None, None, sink)
}

/// [`run`], with somebody who holds and changes the machine from outside, and a debugger.
///
/// # Errors
/// See [`VmmError`].
pub fn run_steered(
    plan: &Plan,
    image: &[u8],
    options: &Options,
    steer: Option<&mut dyn Steer>,
    gdb: Option<Gdb<'_>>,
    sink: &mut dyn FnMut(&Event),
) -> Result<Outcome, VmmError> {
    let (machine, cpus) = build(plan, &Guest::Image(image), options, true)?;
    let watch = Watch::plan(plan.run_for, options.limits.stretched(machine.clock.slow_down()));
    let gdb = gdb.map(|gdb| (gdb, image));
    let with = With { steer, core: options.core.as_ref(), input: input(options, false), gdb };
    let (mut outcome, _) = drive_with(&machine, cpus, watch, with, sink)?;
    symbols::name(&mut outcome.cpus, image);
    Ok(outcome)
}

/// Boots any image with the hardware of `plan`, without a bench: it ends when the guest does.
///
/// # Errors
/// See [`VmmError`].
pub fn boot(plan: &Plan, image: &[u8], options: &Options) -> Result<Outcome, VmmError> {
    boot_steered(plan, image, options, None, None)
}

/// [`boot`], with somebody who holds and changes the machine from outside, and a debugger.
///
/// # Errors
/// See [`VmmError`].
pub fn boot_steered(
    plan: &Plan,
    image: &[u8],
    options: &Options,
    steer: Option<&mut dyn Steer>,
    gdb: Option<Gdb<'_>>,
) -> Result<Outcome, VmmError> {
    let (machine, cpus) = build(plan, &Guest::Image(image), options, false)?;
    // Without a bench nobody says `boot.ready`: plan time begins with the machine.
    machine.with_platform(|platform, _| platform.start_plan(0));
    let watch = Watch::none();
    let gdb = gdb.map(|gdb| (gdb, image));
    let with = With { steer, core: options.core.as_ref(), input: input(options, options.terminal), gdb };
    let (mut outcome, _) = drive_with(&machine, cpus, watch, with, &mut |_| {})?;
    symbols::name(&mut outcome.cpus, image);
    Ok(outcome)
}

/// How long the trace may stay unread while nobody waits for it, and how much of it. To read it at each turn would hold up what devices do next, and on a host with one
/// processor the guest, too.
const READ_AFTER: Duration = Duration::from_millis(1);
const READ_AT: u64 = RING_EVENTS as u64 / 16;

/// The version of KVM's interface, the same since Linux 2.6.22.
const API_VERSION: i32 = kvm_bindings::KVM_API_VERSION as i32;

/// Opens the KVM device.
///
/// # Errors
/// It is not there, or not for us.
pub fn open() -> Result<Kvm, VmmError> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT | libc::ENXIO | libc::ENODEV => VmmError::NoKvm,
        libc::EACCES | libc::EPERM => VmmError::NoPermission,
        _ => VmmError::System { what: "cannot open /dev/kvm", error: error.into() },
    })?;
    // Something else may stand there, such as /dev/null in a sandbox.
    match kvm.get_api_version() {
        API_VERSION => Ok(kvm),
        _ => Err(VmmError::NotKvm),
    }
}

fn event() -> Result<EventFd, VmmError> {
    EventFd::new(EFD_NONBLOCK).map_err(|error| VmmError::System { what: "cannot make an eventfd", error })
}

/// Puts a machine together, up to its first instruction. With `bench`, it has the bench page.
///
/// # Errors
/// See [`VmmError`].
pub fn build(
    plan: &Plan,
    guest: &Guest<'_>,
    options: &Options,
    bench: bool,
) -> Result<(Arc<Machine>, Vec<VcpuFd>), VmmError> {
    if !(1..=8).contains(&plan.cpus) {
        return Err(VmmError::Cpus(plan.cpus));
    }
    // The request is judged before the host: a bad image is a bad image on any host.
    let memory = Memory::new(plan.memory, bench)?;
    let loaded = guest.load(&memory)?;
    let mut platform = Platform::with_stores(plan, &mut crate::disk::open)?;
    platform.seed(options.seed);
    platform.firmware();

    let kvm = open()?;
    let vm = kvm.create_vm().map_err(VmmError::system("cannot make a virtual machine"))?;
    // Hardware of one maker wants a page of guest address space for itself (KVM_SET_TSS_ADDR).
    vm.set_tss_address(0xfffb_d000).map_err(VmmError::system("cannot set the TSS address"))?;
    vm.create_irq_chip().map_err(VmmError::system("cannot make the interrupt controllers"))?;
    let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
    vm.create_pit2(pit).map_err(VmmError::system("cannot make the interval timer"))?;
    map_memory(&vm, &memory)?;
    let cpus: Vec<VcpuFd> =
        (0..plan.cpus).map(|cpu| processor::create(&kvm, &vm, cpu, plan.cpus)).collect::<Result<_, _>>()?;
    let clock = Clock::new(&cpus[0], options.slow_down.max(1))?;
    let rsdp = acpi::write(&memory, plan.cpus).ok_or(VmmError::Missing("room for the ACPI tables"))?;
    let line = command_line(plan, options, &memory, &clock);
    let told = Told { line: &line, initrd: options.initrd.as_deref(), rsdp };
    loaded.prepare(&memory, &cpus[0], &told)?;
    let interrupts = Interrupts::new(&vm)?;
    let serial_event = interrupts
        .serial()
        .try_clone()
        .map_err(|error| VmmError::System { what: "cannot copy an eventfd", error })?;
    let (wake, doorbell) = (event()?, event()?);
    let serial = Serial::with_events(
        SerialInterrupt(serial_event),
        Room::new(&wake).map_err(|error| VmmError::System { what: "cannot copy an eventfd", error })?,
        Console::new(options.terminal, options.tap.clone(), options.console_lines),
    );
    let ring = memory.bench.map(|base| Ring::new(memory.mmap.clone(), base));
    let trace = TraceQueue::new(ring);
    let origin = guest.image().map_or_else(Origin::default, |image| Origin::new(&plan.name, image));
    let parts = Parts { vm, memory, clock, platform, interrupts, trace, serial, wake, doorbell, origin };
    Ok((Arc::new(Machine::new(parts)), cpus))
}

fn command_line(plan: &Plan, options: &Options, memory: &Memory, clock: &Clock) -> String {
    let mut words = Vec::new();
    if let Some(bench) = memory.bench {
        words.push(format!("bench={bench:#x},{:#x} tsc_hz={}", bus::BENCH_PORT, clock.hz()));
        words.push(plan.guest_command_line());
    }
    if !options.command_line.is_empty() {
        words.push(options.command_line.clone());
    }
    words.join(" ")
}

fn map_memory(vm: &VmFd, memory: &Memory) -> Result<(), VmmError> {
    for (slot, region) in memory.mmap.iter().enumerate() {
        let mapping = kvm_userspace_memory_region {
            slot: slot as u32,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
            flags: 0,
        };
        // SAFETY: the mapping is owned by `memory`, which the machine keeps until after the last processor's thread has ended, and
        // regions do not overlap.
        unsafe { vm.set_user_memory_region(mapping) }.map_err(VmmError::system("cannot map guest memory"))?;
    }
    Ok(())
}

/// Lets the processors run until the machine ends; they are handed back with what is known then.
///
/// # Errors
/// The system refuses a thread, a timer or a wait.
pub fn drive(
    machine: &Arc<Machine>,
    cpus: Vec<VcpuFd>,
    watch: Watch,
    sink: &mut dyn FnMut(&Event),
) -> Result<(Outcome, Vec<VcpuFd>), VmmError> {
    drive_with(machine, cpus, watch, With::default(), sink)
}

/// Who else has to do with a machine while it runs.
#[derive(Default)]
struct With<'s, 'o, 'g> {
    /// What is typed into the serial port.
    input: Option<Arc<File>>,
    /// Who holds and changes it from outside.
    steer: Option<&'s mut dyn Steer>,
    /// Where a core goes at a bad end.
    core: Option<&'o CoreFile>,
    /// A debugger that may come, and the image that it looks at.
    gdb: Option<(Gdb<'g>, &'g [u8])>,
}

/// What is typed into the serial port: what the tap has, or with `terminal` the standard input, if it is one.
fn input(options: &Options, terminal: bool) -> Option<Arc<File>> {
    let stdin = std::io::stdin();
    let typed = || {
        (terminal && stdin.is_terminal())
            .then(|| stdin.as_fd().try_clone_to_owned().ok().map(|fd| Arc::new(File::from(fd))))
    };
    options.tap.as_ref().and_then(Tap::input).or_else(|| typed().flatten())
}

/// Whether the trace is to be read at this turn, and not when its time has come: somebody looks at the machine, or there is much to read.
fn is_trace_wanted(machine: &Machine) -> bool {
    machine.hold.is_asked() || machine.steered.load(Ordering::Relaxed) || machine.trace.unread() >= READ_AT
}

/// [`drive`], with whoever else has to do with the machine.
fn drive_with(
    machine: &Arc<Machine>,
    cpus: Vec<VcpuFd>,
    mut watch: Watch,
    mut with: With<'_, '_, '_>,
    sink: &mut dyn FnMut(&Event),
) -> Result<(Outcome, Vec<VcpuFd>), VmmError> {
    let gdb = with.gdb.map(|(gdb, image)| gdb::Server::new(gdb, machine, cpus.len(), image));
    let mut gdb = gdb.transpose()?;
    let ear = gdb.as_ref().map(gdb::Server::descriptor);
    let mut events = EventLoop::new(machine.clone(), with.input.take(), ear)?;
    // What firmware left behind (doorbells, deadlines) is in force before the first instruction.
    machine.with_platform(|_, _| ());
    let mut held = Held::new(machine, cpus.len());
    if let Some(steer) = &mut with.steer {
        steer.begin(&mut held)?;
    }
    let mut threads = threads::Processors::start(machine, cpus)?;
    let mut turn = machine.clock.now();
    let (mut batch, mut read_at) = (Vec::new(), Instant::now());
    while !machine.is_stopping() {
        let patience = watch.patience();
        events.wait(gdb.as_ref().map_or(patience, |gdb| gdb.patience(patience)))?;
        // A turn takes its patience at the most. A plan that lets nothing happen at all is not the host's doing.
        machine.done_at(turn.max(machine.faults.asleep_until()));
        turn = machine.clock.now();
        machine.faults.call_out(machine.clock.now());
        if read_at.elapsed() >= READ_AFTER || is_trace_wanted(machine) {
            machine.drain();
            read_at = Instant::now();
        }
        let is_watched = machine.trace.take(&mut batch);
        batch.iter().for_each(&mut *sink);
        held.follow(&mut watch, &batch, is_watched);
        if let Some(steer) = &mut with.steer {
            steer.look(&mut held);
        }
        if let Some(gdb) = &mut gdb {
            gdb.look();
        }
    }
    if let Some(gdb) = gdb {
        gdb.over();
    }
    let (cpus, left): (Vec<CpuReport>, Vec<VcpuFd>) = threads.stop().into_iter().unzip();
    machine.drain();
    machine.trace.take(&mut batch);
    batch.iter().for_each(&mut *sink);
    Ok((outcome(machine, cpus, core_at_end(machine, &left, with.core)), left))
}

fn outcome(machine: &Machine, cpus: Vec<CpuReport>, core: Option<Result<Written, String>>) -> Outcome {
    let mut garbled = 0;
    machine.trace.with_ring(|ring| garbled = ring.garbled);
    Outcome {
        ending: machine.ending().unwrap_or(Ending::Stopped),
        cpus,
        console: crate::machine::lock(&machine.serial).writer().lines(),
        core,
        slow_down: machine.clock.slow_down(),
        machine_time: machine.clock.now(),
        garbled,
        sites: machine.with_platform(|platform, _| platform.site_counts()),
    }
}

/// The core of a machine that has come to a bad end.
fn core_at_end(
    machine: &Machine,
    cpus: &[VcpuFd],
    wanted: Option<&CoreFile>,
) -> Option<Result<Written, String>> {
    let (ending, path) = (machine.ending()?, wanted?.path());
    let panicked = machine.panicked.load(Ordering::Acquire).checked_sub(1);
    let (first, reason) = match (panicked, ending.cpu()) {
        (Some(cpu), _) => (cpu as usize, "the guest panicked".to_owned()),
        (None, Some(cpu)) => (cpu, ending.to_string()),
        (None, None) if matches!(ending, Ending::Hang { .. }) => (0, ending.to_string()),
        (None, None) => return None,
    };
    Some(debug::at_end(machine, cpus.iter(), first, path, &reason).map_err(|error| error.to_string()))
}
