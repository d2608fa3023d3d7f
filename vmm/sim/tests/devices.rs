//! Devices under the machine: registers, DMA, messages, lines, and a plan that pulls the card out.

mod toy;

use std::sync::{Arc, Mutex, atomic::Ordering};

use devices::{fault::plan::Plan, spec::edu};
use mach::seam::{Bdf, Machine, Width};
use sim::{Ended, Outcome, Sim};
use toy::Toy;
use trace::{Event, Kind};

const CARD: Bdf = Bdf { bus: 1, device: 0, function: 0 };
const VECTOR: u8 = 0x41;
const GSI: u32 = 17;

fn run(text: &str, seed: u64, body: impl FnOnce(&Arc<Toy>) + Send + 'static) -> (Outcome, Vec<Event>) {
    let plan = Plan::parse("test.plan", text).unwrap();
    let mut events = Vec::new();
    let sim = Sim::builder().cpus(2).seed(seed).plan(&plan);
    let outcome = toy::run(sim, &mut |e| events.push(*e), |toy| {
        body(toy);
        toy.machine.trace(Event::new(Kind::Done));
    });
    (outcome, events)
}

/// Where BAR 0 is; enables memory and bus mastering.
fn bar(toy: &Toy) -> u64 {
    toy.machine.config_write(CARD, 4, Width::B2, 6);
    u64::from(toy.machine.config_read(CARD, 0x10, Width::B4) & !0xf)
}

fn read(toy: &Toy, bar: u64, register: u64) -> u32 {
    toy.machine.reg_read(bar + register, Width::B4) as u32
}

fn write(toy: &Toy, bar: u64, register: u64, value: u32) {
    toy.machine.reg_write(bar + register, Width::B4, value.into());
}

/// Enables MSI with `VECTOR` on CPU 1.
fn enable_msi(toy: &Toy) {
    let config = |at: u8| toy.machine.config_read(CARD, u16::from(at), Width::B1) as u8;
    let mut at = config(0x34);
    while config(at) != 5 {
        at = config(at + 1);
        assert_ne!(at, 0, "no MSI capability");
    }
    let (address, data) = toy.machine.message(1, VECTOR);
    let at = u16::from(at);
    toy.machine.config_write(CARD, at + 4, Width::B4, address as u32);
    toy.machine.config_write(CARD, at + 8, Width::B4, 0);
    toy.machine.config_write(CARD, at + 12, Width::B2, data);
    toy.machine.config_write(CARD, at + 2, Width::B2, 1);
}

fn taken(toy: &Toy) -> u64 {
    toy.interrupts[usize::from(VECTOR)].load(Ordering::Relaxed)
}

fn wait_for(toy: &Toy, what: impl Fn() -> bool) {
    while !what() {
        toy.machine.relax();
    }
}

#[test]
fn registers_dma_and_messages_work() {
    for seed in 0..20 {
        let (outcome, _) = run("plug edu0 edu slot=1\n", seed, |toy| {
            assert_eq!(toy.machine.config_read(CARD, 0, Width::B4), 0x11e8_1234);
            assert_eq!(toy.machine.config_read(Bdf { bus: 9, ..CARD }, 0, Width::B4), u32::MAX);
            let bar = bar(toy);
            assert_eq!(read(toy, bar, edu::IDENTIFICATION), edu::IDENTIFICATION_VALUE);
            write(toy, bar, edu::LIVENESS, 0x1234);
            assert_eq!(read(toy, bar, edu::LIVENESS), !0x1234);

            enable_msi(toy);
            write(toy, bar, edu::IRQ_RAISE, 4);
            wait_for(toy, || taken(toy) == 1);
            write(toy, bar, edu::IRQ_ACKNOWLEDGE, 4);

            let (memory, _) = toy.machine.dma_region();
            toy.machine.dma_write(memory, b"over and back");
            for (from, to, command) in [
                (memory, edu::BUFFER_ADDRESS, edu::DMA_RUN),
                (edu::BUFFER_ADDRESS, memory + 64, edu::DMA_RUN | edu::DMA_TO_RAM | edu::DMA_INTERRUPT),
            ] {
                let set = |at: u64, value: u64| toy.machine.reg_write(bar + at, Width::B8, value);
                set(edu::DMA_SOURCE, from);
                set(edu::DMA_DESTINATION, to);
                set(edu::DMA_COUNT, 13);
                set(edu::DMA_COMMAND, command);
                wait_for(toy, || toy.machine.reg_read(bar + edu::DMA_COMMAND, Width::B8) & edu::DMA_RUN == 0);
            }
            wait_for(toy, || taken(toy) == 2);
            let mut back = [0; 13];
            toy.machine.dma_read(memory + 64, &mut back);
            assert_eq!(&back, b"over and back");
        });
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}");
    }
}

#[test]
fn a_level_line_comes_again_until_the_device_drops_it() {
    for seed in 0..20 {
        let (outcome, _) = run("plug edu0 edu slot=1\n", seed, |toy| {
            let bar = bar(toy);
            toy.machine.line_route(GSI, VECTOR, 0);
            write(toy, bar, edu::IRQ_RAISE, 1);
            toy.machine.relax();
            assert_eq!(taken(toy), 0, "routed lines are masked");
            toy.machine.line_mask(GSI, false);
            wait_for(toy, || taken(toy) >= 3);
            toy.machine.line_mask(GSI, true);
            write(toy, bar, edu::IRQ_ACKNOWLEDGE, 1);
            for _ in 0..2000 {
                toy.machine.relax();
            }
            let before = taken(toy);
            toy.machine.line_mask(GSI, false);
            for _ in 0..2000 {
                toy.machine.relax();
            }
            assert_eq!(taken(toy), before);
        });
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}");
    }
}

#[test]
fn the_plan_runs_from_ready_and_ends_with_finish() {
    let text = "plug edu0 edu slot=1\nat 5ms unplug edu0\nrun for=10ms\n";
    let seen = Arc::new(Mutex::new((0, 0)));
    let place = seen.clone();
    let (outcome, events) = run(text, 3, move |toy| {
        let bar = bar(toy);
        let start = toy.machine.now();
        toy.machine.trace(Event::new(Kind::Ready));
        wait_for(toy, || read(toy, bar, edu::IDENTIFICATION) == u32::MAX);
        let gone = toy.machine.now() - start;
        wait_for(toy, || toy.finish.load(Ordering::Relaxed));
        *place.lock().unwrap() = (gone, toy.machine.now() - start);
    });
    assert_eq!(outcome.ended, Ended::Done);
    let (gone, end) = *seen.lock().unwrap();
    assert!((5_000_000..5_300_000).contains(&gone), "{gone}");
    assert!((10_000_000..10_300_000).contains(&end), "{end}");
    let fault: Vec<_> = events.iter().filter(|e| e.kind == Kind::Fault).collect();
    assert_eq!(fault.len(), 1);
    assert_eq!((fault[0].slot, fault[0].text_str()), (1, "unplug"));
}

#[test]
fn a_guest_that_does_not_finish_is_stopped() {
    let (outcome, _) = run("plug edu0 edu slot=1\nrun for=10ms\n", 3, |toy| {
        toy.machine.trace(Event::new(Kind::Ready));
        let me = toy.machine.thread() as usize;
        toy.wake(me);
        toy.block();
        toy.block();
    });
    assert_eq!(outcome.ended, Ended::Deadlock);
    assert!(outcome.virtual_time > 10_000_000);
}

#[test]
fn a_trigger_on_the_guest_acts_at_once() {
    let text = "plug edu0 edu slot=1\non edu0.gate.close #3 unplug edu0\n";
    let (outcome, _) = run(text, 5, |toy| {
        let bar = bar(toy);
        toy.machine.trace(Event::new(Kind::Ready));
        for n in 1..=3 {
            assert_eq!(read(toy, bar, edu::IDENTIFICATION), edu::IDENTIFICATION_VALUE);
            toy.machine.trace(Event::new(Kind::GateClose).object(n).slot(1));
        }
        assert_eq!(read(toy, bar, edu::IDENTIFICATION), u32::MAX);
    });
    assert_eq!(outcome.ended, Ended::Done);
}
