//! IC1–IC3: what an interrupt controller promises, with the kernel's own vectors and lines.

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
use mach::{KernelRef, LineId};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, NUB},
    world::{Shared, interrupt, pause, shared, thread, until},
};

/// A nub's one message, which has a vector of its own.
pub struct Message {
    kernel: KernelRef,
    vector: u8,
    taken: AtomicBool,
}

impl Message {
    /// A message with a fresh vector of `kernel`.
    pub fn new(kernel: &KernelRef) -> Self {
        let vector = kernel.interrupts().allocate_vector(kernel).expect("a free vector");
        Self { kernel: kernel.clone(), vector, taken: AtomicBool::new(false) }
    }

    /// Its vector.
    pub fn vector(&self) -> u8 {
        self.vector
    }
}

impl InterruptProvider for Message {
    fn count(&self) -> usize {
        1
    }
    fn interrupt_type(&self, _: usize) -> IOResult<InterruptType> {
        Ok(InterruptType::Edge)
    }
    fn register(&self, _: usize, handler: InterruptHandler) -> IOResult {
        if self.taken.swap(true, Ordering::SeqCst) {
            return Err(IOReturn::NoResources);
        }
        self.kernel.interrupts().register(&self.kernel, self.vector, handler);
        Ok(())
    }
    fn unregister(&self, _: usize) -> IOResult {
        self.kernel.interrupts().unregister(&self.kernel, self.vector);
        self.taken.store(false, Ordering::SeqCst);
        Ok(())
    }
    fn enable(&self, _: usize) -> IOResult {
        self.kernel.interrupts().enable(&self.kernel, self.vector);
        Ok(())
    }
    fn disable(&self, _: usize) -> IOResult {
        self.kernel.interrupts().disable(&self.kernel, self.vector);
        Ok(())
    }
}

/// A nub's place on a line that others share.
struct Share {
    kernel: KernelRef,
    gsi: u32,
    id: Shared<Option<LineId>>,
}

impl Share {
    fn id(&self) -> IOResult<LineId> {
        self.id.lock().ok_or(IOReturn::NoResources)
    }
}

impl InterruptProvider for Share {
    fn count(&self) -> usize {
        1
    }
    fn interrupt_type(&self, _: usize) -> IOResult<InterruptType> {
        Ok(InterruptType::Level)
    }
    fn register(&self, _: usize, handler: InterruptHandler) -> IOResult {
        let id = self.kernel.interrupts().register_line(&self.kernel, self.gsi, handler);
        *self.id.lock() = Some(id.map_err(|_| IOReturn::NoResources)?);
        Ok(())
    }
    fn unregister(&self, _: usize) -> IOResult {
        let id = self.id()?;
        self.kernel.interrupts().unregister_line(&self.kernel, id);
        *self.id.lock() = None;
        Ok(())
    }
    fn enable(&self, _: usize) -> IOResult {
        self.kernel.interrupts().enable_line(&self.kernel, self.id()?);
        Ok(())
    }
    fn disable(&self, _: usize) -> IOResult {
        self.kernel.interrupts().disable_line(&self.kernel, self.id()?);
        Ok(())
    }
}

/// A nub with these interrupts.
pub fn nub(kit: &IoKit, interrupts: Arc<dyn InterruptProvider>) -> ServiceRef {
    let mut nub = Mock::new(&NUB);
    nub.interrupts = Some(interrupts);
    nub.service(kit, "N")
}

/// A storm of `vector` from another thread.
fn storm(kit: &IoKit, vector: u8) -> Arc<mach::Thread> {
    thread(kit, move |kernel| (0..20).for_each(|_| interrupt(kernel, vector)))
}

fn ic1_after_disable_or_removal_the_filter_neither_runs_nor_begins(lab: &Lab<'_>) {
    for remove in [false, true] {
        lab.everywhere(move |kit| {
            let owner = Mock::new(&DRIVER).service(kit, "D");
            let work_loop = WorkLoop::new(&owner);
            let message = Arc::new(Message::new(kit.kernel()));
            let vector = message.vector();
            let nub = nub(kit, message);
            let gone = Arc::new(AtomicBool::new(false));
            let dead = gone.clone();
            let filter = move |me: &ServiceRef, _: &iokit::work_loop::Signal<'_>| {
                for _ in 0..10 {
                    assert!(!dead.load(Ordering::SeqCst), "it was said to be over");
                    me.kernel().machine().point(mach::seam::Point::Lock);
                }
                true
            };
            let source = InterruptSource::with_filter(&owner, &nub, 0, |_, _| {}, filter).unwrap();
            work_loop.add_event_source(&source).unwrap();
            source.enable();
            let storm = storm(kit, vector);
            kit.kernel().delay(5_000);
            match remove {
                true => work_loop.remove_event_source(&source).unwrap(),
                false => source.disable(),
            }
            gone.store(true, Ordering::SeqCst);
            storm.join(kit.kernel());
            work_loop.remove_event_source(&source).unwrap();
        });
    }
}

/// The filter waits for something that whoever disables the interrupt holds: neither goes on.
fn ic1_disabling_while_holding_what_the_filter_needs_hangs(lab: &Lab<'_>) {
    lab.hanging(|kit| {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let message = Arc::new(Message::new(kit.kernel()));
        let vector = message.vector();
        let nub = nub(kit, message);
        let (held, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (needed, seen) = (held.clone(), inside.clone());
        let filter = move |me: &ServiceRef, _: &iokit::work_loop::Signal<'_>| {
            seen.store(true, Ordering::SeqCst);
            while needed.load(Ordering::SeqCst) {
                me.kernel().relax();
            }
            true
        };
        let source = InterruptSource::with_filter(&owner, &nub, 0, |_, _| {}, filter).unwrap();
        source.enable();
        held.store(true, Ordering::SeqCst);
        thread(kit, move |kernel| interrupt(kernel, vector));
        until(kit, &inside);
        source.disable();
        held.store(false, Ordering::SeqCst);
    });
}

fn ic2_a_shared_line_calls_all_enabled_filters_in_slot_order_and_a_message_is_not_shared(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let kernel = kit.kernel();
        let message = Arc::new(Message::new(kernel));
        let one = nub(kit, message);
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let first = InterruptSource::new(&owner, Some(&one), 0, |_, _| {}).unwrap();
        let second = InterruptSource::new(&owner, Some(&one), 0, |_, _| {});
        assert_eq!(second.err(), Some(IOReturn::NoResources));
        drop(first);
        assert!(InterruptSource::new(&owner, Some(&one), 0, |_, _| {}).is_ok());

        let sources: Vec<_> = ["D0", "D1", "D2"]
            .into_iter()
            .map(|name| {
                let share = Share { kernel: kernel.clone(), gsi: 19, id: shared(kit, None) };
                let (nub, owner) = (nub(kit, Arc::new(share)), Mock::new(&DRIVER).service(kit, name));
                let source = InterruptSource::with_filter(&owner, &nub, 0, |_, _| {}, |_, _| false).unwrap();
                (source, owner)
            })
            .collect();
        [2, 0, 1].into_iter().for_each(|n| sources[n].0.enable());
        interrupt(kernel, kernel.interrupts().line_vector(kernel, 19).unwrap());
    });
    for run in runs {
        assert_eq!(run.lines(&[Kind::Filter]), ["D0.filter", "D1.filter", "D2.filter"], "seed {}", run.seed);
    }
}

/// The level handler of the sharer that works is masked by the action of the one that does not, and the other way round.
fn ic3_a_level_source_mutes_its_line_from_the_filter_to_the_end_of_its_action(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let kernel = kit.kernel();
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let share = Share { kernel: kernel.clone(), gsi: 19, id: shared(kit, None) };
        let nub = nub(kit, Arc::new(share));
        let (filtered, acted) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (seen, counted) = (filtered.clone(), acted.clone());
        let source = InterruptSource::with_filter(
            &owner,
            &nub,
            0,
            move |_, n| {
                counted.fetch_add(n as u32, Ordering::SeqCst);
            },
            move |_, _| {
                seen.fetch_add(1, Ordering::SeqCst);
                true
            },
        )
        .unwrap();
        work_loop.add_event_source(&source).unwrap();
        source.enable();
        pause(kit, 10_000_000);
        let vector = kernel.interrupts().line_vector(kernel, 19).unwrap();
        work_loop.run_action(|| (0..3).for_each(|_| interrupt(kernel, vector)));
        pause(kit, 10_000_000);
        assert_eq!((filtered.load(Ordering::SeqCst), acted.load(Ordering::SeqCst)), (1, 1));
        interrupt(kernel, vector);
        pause(kit, 10_000_000);
        assert_eq!((filtered.load(Ordering::SeqCst), acted.load(Ordering::SeqCst)), (2, 2));
        work_loop.remove_event_source(&source).unwrap();
    });
}

table! {
    ic1_after_disable_or_removal_the_filter_neither_runs_nor_begins,
    ic1_disabling_while_holding_what_the_filter_needs_hangs,
    ic2_a_shared_line_calls_all_enabled_filters_in_slot_order_and_a_message_is_not_shared,
    ic3_a_level_source_mutes_its_line_from_the_filter_to_the_end_of_its_action,
}
