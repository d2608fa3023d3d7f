//! IE1–IE4.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IOResult, IOReturn, IoKit, ServiceRef,
    interrupts::{InterruptHandler, InterruptProvider, InterruptType},
    work_loop::{InterruptSource, WorkLoop},
};
use mach::KernelRef;
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, NUB},
    world::{Shared, shared},
};

/// A controller with one line, driven by the test.
struct Controller {
    kind: InterruptType,
    handler: Shared<Option<InterruptHandler>>,
    enabled: AtomicBool,
}

impl Controller {
    /// The device interrupts, if the line is enabled.
    fn raise(&self, kernel: &KernelRef) -> bool {
        let handler = self.handler.lock().clone();
        let taken = handler.filter(|_| self.enabled.load(Ordering::SeqCst));
        taken.is_some_and(|h| {
            h(kernel);
            true
        })
    }
}

impl InterruptProvider for Controller {
    fn count(&self) -> usize {
        1
    }
    fn interrupt_type(&self, index: usize) -> IOResult<InterruptType> {
        if index == 0 { Ok(self.kind) } else { Err(IOReturn::NoResources) }
    }
    fn register(&self, _: usize, handler: InterruptHandler) -> IOResult {
        let mut slot = self.handler.lock();
        if slot.is_some() {
            return Err(IOReturn::NoResources);
        }
        *slot = Some(handler);
        Ok(())
    }
    fn unregister(&self, _: usize) -> IOResult {
        self.enabled.store(false, Ordering::SeqCst);
        drop(self.handler.take());
        Ok(())
    }
    fn enable(&self, _: usize) -> IOResult {
        self.enabled.store(true, Ordering::SeqCst);
        Ok(())
    }
    fn disable(&self, _: usize) -> IOResult {
        self.enabled.store(false, Ordering::SeqCst);
        Ok(())
    }
}

struct Bench {
    controller: Arc<Controller>,
    nub: ServiceRef,
    owner: ServiceRef,
    work_loop: Arc<WorkLoop>,
}

fn bench(kit: &IoKit, kind: InterruptType) -> Bench {
    let controller =
        Arc::new(Controller { kind, handler: shared(kit, None), enabled: AtomicBool::new(false) });
    let mut nub = Mock::new(&NUB);
    nub.interrupts = Some(controller.clone());
    let nub = nub.service(kit, "N");
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    Bench { controller, nub, owner, work_loop }
}

fn pause(kit: &IoKit) {
    kit.kernel().sleep_until(kit.kernel().now() + 20_000_000);
}

fn ie1_a_negative_index_fails_and_hardware_stays_disabled_until_enable(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Edge);
        let failed = InterruptSource::new(&b.owner, Some(&b.nub), -1, |_, _| {});
        assert_eq!(failed.err(), Some(IOReturn::BadArgument));
        let missing = InterruptSource::new(&b.owner, Some(&b.nub), 1, |_, _| {});
        assert_eq!(missing.err(), Some(IOReturn::NoResources));
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, |_, _| {}).unwrap();
        assert!(source.is_enabled() && !b.controller.raise(kit.kernel()));
        source.enable();
        assert!(b.controller.raise(kit.kernel()));
        drop(source);
        assert!(b.controller.handler.lock().is_none());
    });
}

fn ie2_a_level_source_is_disabled_until_its_action_ran(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Level);
        let controller = b.controller.clone();
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, move |_, n| {
            assert_eq!(n, 1);
            assert!(!controller.enabled.load(Ordering::SeqCst));
        })
        .unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        assert!(b.controller.raise(kit.kernel()));
        pause(kit);
        assert!(b.controller.raise(kit.kernel()), "re-enabled after the action");
        b.work_loop.run_action(|| {
            source.disable();
        });
        pause(kit);
        assert!(!b.controller.raise(kit.kernel()), "explicitly disabled: not re-enabled");
        b.work_loop.remove_event_source(&source).unwrap();
    });
}

fn ie3_interrupts_coalesce_and_a_pending_count_is_delivered_after_disable(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Edge);
        let total = Arc::new(AtomicU32::new(0));
        let counted = total.clone();
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, move |_, n| {
            counted.fetch_add(n as u32, Ordering::SeqCst);
        })
        .unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        pause(kit);
        b.work_loop.run_action(|| {
            (0..5).for_each(|_| assert!(b.controller.raise(kit.kernel())));
            source.disable();
        });
        pause(kit);
        assert_eq!(total.load(Ordering::SeqCst), 5);
        b.work_loop.remove_event_source(&source).unwrap();
    });
    for run in runs {
        let counts: Vec<_> =
            run.events.iter().filter(|e| e.kind == Kind::ActionStart).map(|e| e.arg).collect();
        assert_eq!(counts, [5], "seed {}", run.seed);
    }
}

fn ie3_arrivals_during_the_action_give_another_call(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Edge);
        let calls = Arc::new(AtomicU32::new(0));
        let (counted, controller) = (calls.clone(), b.controller.clone());
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, move |me, n| {
            assert_eq!(n, 1);
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                controller.raise(me.kernel());
            }
        })
        .unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        b.controller.raise(kit.kernel());
        pause(kit);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        b.work_loop.remove_event_source(&source).unwrap();
    });
}

fn ie4_removal_unregisters_and_adding_again_registers(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Edge);
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, |_, _| {}).unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        b.work_loop.remove_event_source(&source).unwrap();
        assert!(!b.controller.raise(kit.kernel()));
        assert!(b.controller.handler.lock().is_none());
        b.work_loop.add_event_source(&source).unwrap();
        assert!(b.controller.handler.lock().is_some());
        assert!(!b.controller.raise(kit.kernel()), "registered, not enabled");
        source.enable();
        assert!(b.controller.raise(kit.kernel()));
        b.work_loop.remove_event_source(&source).unwrap();
    });
}

fn a_filter_decides_and_signal_interrupt_overrides_it(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, InterruptType::Edge);
        let answer = Arc::new(AtomicU32::new(0));
        let calls = Arc::new(AtomicU32::new(0));
        let (mine, counted) = (answer.clone(), calls.clone());
        let source = InterruptSource::with_filter(
            &b.owner,
            &b.nub,
            0,
            move |_, n| {
                counted.fetch_add(n as u32, Ordering::SeqCst);
            },
            move |_, signal| match mine.load(Ordering::SeqCst) {
                0 => false,
                1 => true,
                _ => {
                    signal.signal_interrupt();
                    false
                }
            },
        )
        .unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        for (say, total) in [(0, 0), (1, 1), (2, 2)] {
            answer.store(say, Ordering::SeqCst);
            b.controller.raise(kit.kernel());
            pause(kit);
            assert_eq!(calls.load(Ordering::SeqCst), total);
        }
        b.work_loop.remove_event_source(&source).unwrap();
    });
}

table! {
    ie1_a_negative_index_fails_and_hardware_stays_disabled_until_enable,
    ie2_a_level_source_is_disabled_until_its_action_ran,
    ie3_interrupts_coalesce_and_a_pending_count_is_delivered_after_disable,
    ie3_arrivals_during_the_action_give_another_call,
    ie4_removal_unregisters_and_adding_again_registers,
    a_filter_decides_and_signal_interrupt_overrides_it,
}
