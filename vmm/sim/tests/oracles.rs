//! Oracles that are asked by what a driver does, and not by a rule of IOKit's own: each speaks once it should, and not before.

use devices::fault::plan::Plan;
use devices::spec::edu;
use iokit::io::{Completion, Direction, MemoryDescriptor};
use iokit::service::{Plain, ServiceBuilder, ServiceRef};
use iokit::work_loop::{CommandGate, WorkLoop};
use iokit::{BootArgs, IoKit};
use mach::seam::{Bdf, Width};
use mach::{Policy, WaitResult, band};
use sim::{Ended, Sim, harness};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::{Event, Kind};

/// How a machine with IOKit ended that ran `body`, and which rules it says were violated.
fn violations(args: &str, body: impl FnOnce(&IoKit, &ServiceRef) + Send + 'static) -> (Ended, Vec<String>) {
    violations_on(Sim::builder(), args, body)
}

/// The same on a machine with devices.
fn violations_on(
    sim: Sim<'_>,
    args: &str,
    body: impl FnOnce(&IoKit, &ServiceRef) + Send + 'static,
) -> (Ended, Vec<String>) {
    let args = BootArgs::parse(args);
    let (outcome, events) = harness::traced(sim.seed(1), move |kernel| {
        let kit = iokit::start(kernel, &args);
        let owner = ServiceBuilder::new(&kit, Box::new(Plain(&iokit::class::IO_SERVICE))).build();
        body(&kit, &owner);
        drop(owner);
        kit.shutdown();
    });
    let found = events.iter().filter(|e| e.kind == Kind::Violation).map(|e| e.text_str().to_owned());
    (outcome.ended, found.collect())
}

#[test]
fn a_request_that_is_completed_twice_is_named_and_keeps_its_first_result() {
    let (ended, found) = violations("", |_, owner| {
        let completion = Completion::new(owner);
        assert!(!completion.is_done() && completion.take().is_none());
        assert!(completion.complete(1) && completion.is_done());
        assert!(!completion.complete(2));
        assert_eq!((completion.take(), completion.take()), (Some(1), None));
        assert!(!completion.complete(3), "also when somebody has taken it");
    });
    assert_eq!((ended, found), (Ended::Done, vec!["completed-twice".to_owned(); 2]));
}

/// Sleeps in the gate with the mode `mode`, until another thread wakes the event.
fn sleep_in(kit: &IoKit, owner: &ServiceRef, mode: u32) -> WaitResult {
    let (work_loop, gate) = (WorkLoop::new(owner), CommandGate::new(owner));
    work_loop.add_event_source(&gate).unwrap();
    let event = kit.kernel().new_event();
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let waker = move |kernel: &mach::KernelRef| {
        while !seen.load(Ordering::Acquire) {
            kernel.delay(1_000);
            kernel.wakeup(event);
        }
    };
    kit.kernel().spawn("waker", band::KERNEL, Policy::Fixed, waker).unwrap();
    let result = gate.run_action(|| Ok(gate.command_sleep_in_mode(event, mode))).unwrap();
    over.store(true, Ordering::Release);
    work_loop.remove_event_source(&gate).unwrap();
    kit.kernel().delay(100_000);
    result
}

#[test]
fn a_number_that_is_no_mode_is_named_and_sleeps_all_the_same() {
    for mode in 0..3 {
        let (ended, found) = violations("", move |kit, owner| {
            assert_eq!(sleep_in(kit, owner, mode), WaitResult::Awakened);
        });
        assert_eq!((ended, found), (Ended::Done, vec![]), "mode {mode}");
    }
    for deadline in [3, 1_000_000, u32::MAX] {
        let (ended, found) = violations("", move |kit, owner| {
            assert_eq!(sleep_in(kit, owner, deadline), WaitResult::Awakened);
        });
        assert_eq!((ended, found), (Ended::Done, vec!["sleep-mode".to_owned()]), "{deadline}");
    }
}

#[test]
fn a_sleep_off_the_gate_is_named_before_it_panics() {
    let (ended, found) = violations("", |kit, owner| {
        let (work_loop, gate) = (WorkLoop::new(owner), CommandGate::new(owner));
        work_loop.add_event_source(&gate).unwrap();
        gate.command_sleep_in_mode(kit.kernel().new_event(), 0);
    });
    assert!(matches!(ended, Ended::Fatal { ref message } if message.contains("CG6")), "{ended:?}");
    assert_eq!(found, ["CG6"]);
}

/// Closes the gate `levels` times, each in the one before.
fn nest(work_loop: &WorkLoop, levels: u32) {
    if levels != 0 {
        work_loop.run_action(|| nest(work_loop, levels - 1));
    }
}

#[test]
fn a_gate_that_is_re_entered_too_deep_is_named_once() {
    for (levels, expected) in [(1, 0), (16, 0), (17, 1), (20, 1)] {
        let (ended, found) = violations("", move |_, owner| nest(&WorkLoop::new(owner), levels));
        assert_eq!(ended, Ended::Done);
        assert_eq!(found, vec!["gate-recursion".to_owned(); expected], "{levels} levels");
    }
}

/// The edu card of a machine whose only card it is.
const CARD: Bdf = Bdf { bus: 1, device: 0, function: 0 };

/// Has the card write 64 bytes of memory at `address` (or read them), and waits for it.
fn transfer(kit: &IoKit, address: u64, to_memory: bool) {
    let machine = kit.kernel().machine();
    machine.config_write(CARD, 4, Width::B2, 6);
    let bar = u64::from(machine.config_read(CARD, 0x10, Width::B4) & !0xf);
    let (source, destination) =
        if to_memory { (edu::BUFFER_ADDRESS, address) } else { (address, edu::BUFFER_ADDRESS) };
    let command = edu::DMA_RUN | if to_memory { edu::DMA_TO_RAM } else { 0 };
    for (register, value) in [
        (edu::DMA_SOURCE, source),
        (edu::DMA_DESTINATION, destination),
        (edu::DMA_COUNT, 64),
        (edu::DMA_COMMAND, command),
    ] {
        machine.reg_write(bar + register, Width::B8, value);
    }
    kit.kernel().delay(100_000);
}

/// A transfer is two accesses. Neither direction is another device's business than the one's that was told.
#[test]
fn memory_of_a_descriptor_is_a_devices_from_prepare_to_complete() {
    let plan = Plan::parse("test.plan", "plug edu0 edu slot=1\nrun for=10ms\n").unwrap();
    let (ended, found) = violations_on(Sim::builder().plan(&plan), "", |kit, _| {
        let memory = MemoryDescriptor::with_capacity(kit, Direction::IN, 4096, 4096).unwrap();
        let part = memory.part(64, 64).unwrap();
        part.prepare().unwrap();
        let (address, _) = part.physical_segment(0).unwrap();
        transfer(kit, address, true);
        transfer(kit, address, false);
        memory.prepare().unwrap();
        part.complete().unwrap();
        transfer(kit, address, true);
        memory.complete().unwrap();
        // From here on it is nobody's.
        transfer(kit, address, true);
        transfer(kit, address, false);
        memory.prepare().unwrap();
        transfer(kit, address, false);
        memory.complete().unwrap();
        // A machine with a plan is to say that it is through.
        kit.kernel().trace(Event::new(Kind::Done));
    });
    assert_eq!((ended, found), (Ended::Done, vec!["dma-outside-buffer".to_owned(); 4]));
}
