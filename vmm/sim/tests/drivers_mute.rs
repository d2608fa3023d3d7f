//! IC3 on real lines: a sharer that is registered and not enabled mutes everyone.

use std::sync::Arc;
use std::sync::Mutex;

use devices::fault::plan::Plan;
use iokit::class::IO_SERVICE;
use iokit::matching::Personality;
use iokit::work_loop::{InterruptSource, WorkLoop};
use iokit::{Class, Driver, IoKit, Options, ServiceRef};
use sim::Ended;
use trace::Kind;

/// The slot whose line slot 1 shares.
const SHARER: u32 = 5;

static SHARER_CLASS: Class = Class::new("Sharer", &IO_SERVICE);

/// Registers its interrupt; enables it, or does not.
struct Sharer {
    enables: bool,
    parts: Mutex<Option<(Arc<WorkLoop>, Arc<InterruptSource>)>>,
}

impl Sharer {
    fn begin(&self, me: &ServiceRef, nub: &ServiceRef) -> iokit::IOResult {
        let work_loop = WorkLoop::new(me);
        let source = InterruptSource::with_filter(me, nub, 0, |_, _| {}, |_, _| false)?;
        work_loop.add_event_source(&source)?;
        if self.enables {
            source.enable();
        }
        *self.parts.lock().unwrap() = Some((work_loop, source));
        Ok(())
    }
}

impl Driver for Sharer {
    fn class(&self) -> &'static Class {
        &SHARER_CLASS
    }
    fn start(&self, me: &ServiceRef, nub: &ServiceRef) -> bool {
        nub.open(me, Options::empty()) && self.begin(me, nub).is_ok()
    }
    fn did_terminate(&self, me: &ServiceRef, nub: &ServiceRef, options: Options, defer: &mut bool) {
        nub.close(me, Options::empty());
        me.default_did_terminate(nub, options, *defer);
    }
    fn stop(&self, _: &ServiceRef, _: &ServiceRef) {
        let parts = self.parts.lock().unwrap().take();
        if let Some((work_loop, source)) = parts {
            work_loop.remove_event_source(&source).unwrap();
        }
    }
}

fn share(enables: bool) -> impl FnOnce(&IoKit) + Send + 'static {
    move |kit| {
        let make = move |nub: &ServiceRef, _: &Personality| {
            let sharer = Sharer { enables, parts: Mutex::new(None) };
            (nub.slot() == SHARER).then(|| Box::new(sharer) as Box<dyn Driver>)
        };
        let personality = Personality::new("sharer", SHARER_CLASS.name, "IOPCIDevice", make);
        kit.catalogue().add(kit, personality.score(10));
    }
}

/// Interrupts that the filter of the card in slot 1 claimed, and its requests that came back, in the first 5 ms.
fn claimed_and_done(enables: bool, seed: u64) -> (usize, usize) {
    let text = "machine cpus=2\nplug edu1 edu slot=5 irq=intx\nplug edu0 edu slot=1 irq=intx absent=yes\n\
                load edu0 clients=1 depth=1\nat 1ms plug edu0\nrun for=6ms\n";
    let plan = Plan::parse("mute.plan", text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let (mut ready, mut claimed, mut done) = (None, 0, 0);
    let mut sink = |event: &trace::Event| {
        if event.kind == Kind::Ready {
            ready = Some(event.time);
        }
        let early = ready.is_some_and(|at| event.time < at + 6_000_000);
        if early && event.slot == 1 {
            claimed += usize::from(event.kind == Kind::Filter && event.arg == 1);
            done += usize::from(event.kind == Kind::IoDone);
        }
    };
    let outcome = sim::run_with(&plan, seed, share(enables), &mut sink).expect("a machine");
    assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {outcome:#?}");
    (claimed, done)
}

#[test]
fn ic3_a_sharer_that_is_registered_and_not_enabled_mutes_everyone() {
    for seed in 0..50 {
        assert_eq!(claimed_and_done(false, seed), (0, 0), "seed {seed}: muted");
        let (claimed, done) = claimed_and_done(true, seed);
        assert!(claimed > 0 && done > 0, "seed {seed}: {claimed} claimed, {done} done");
    }
}
