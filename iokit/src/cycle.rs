//! Steps of a cycle: clients that close and come back, a driver's bundle that is unloaded and loaded again. The host asks for them one by one.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use mach::{KernelRef, Policy, SpinLock, band};
use trace::{Event, Kind, ring::Step};

use crate::{
    IOReturn, IoKit,
    load::Load,
    registry::{SERVICE_PLANE, bundle::BundleError},
};

/// What steps need to know.
pub(crate) struct Cycles {
    /// By slot: the bundles that a step has unloaded, in the order in which they are to be loaded.
    unloaded: SpinLock<BTreeMap<u32, Vec<&'static str>>>,
}

/// A step that could not be done: the reason, and what it is about.
type Failed = (IOReturn, &'static str);

impl Cycles {
    pub(crate) fn new() -> Self {
        Self { unloaded: SpinLock::new(BTreeMap::new()) }
    }
}

impl IoKit {
    /// Begins a step, on a thread of its own: it may wait long. `cycle.step` tells when it is done, or why it could not be.
    pub(crate) fn begin_step(&self, step: Step, slot: u32, load: Option<Arc<Load>>) {
        let kit = self.clone();
        let body = move |_: &KernelRef| kit.tell_step(step, slot, kit.step(step, slot, load));
        if self.kernel().spawn("cycle", band::KERNEL, Policy::Fixed, body).is_err() {
            self.tell_step(step, slot, Err((IOReturn::NoMemory, "cycle")));
        }
    }

    fn tell_step(&self, step: Step, slot: u32, done: Result<(), Failed>) {
        let (code, what) = done.map_or_else(|(why, what)| (why.code(), what), |()| (0, ""));
        let event = Event::new(Kind::Stepped).slot(slot).other(step as u32).arg(code.into());
        self.kernel().trace(event.text(what));
    }

    fn step(&self, step: Step, slot: u32, load: Option<Arc<Load>>) -> Result<(), Failed> {
        let load = || load.ok_or((IOReturn::NotFound, "load"));
        match step {
            Step::Close => load()?.close(slot).map_err(|why| (why, "clients")),
            Step::Open => {
                load()?.open(self, slot);
                Ok(())
            }
            Step::Unload => self.unload_driver_of(slot),
            Step::Load => self.load_driver_of(slot),
        }
    }

    fn load_driver_of(&self, slot: u32) -> Result<(), Failed> {
        let bundles = self.cycles().unloaded.lock(self.kernel()).remove(&slot);
        for bundle in bundles.ok_or((IOReturn::NotFound, "bundle"))? {
            self.bundles().load(self, bundle).map_err(|error| self.refused(bundle, &error))?;
        }
        Ok(())
    }

    /// Unloads the bundle of what drives the device in `slot`: terminates all instances of its classes first, those that drive other devices included. Bundles
    /// that need it, and have no instances, go before it.
    fn unload_driver_of(&self, slot: u32) -> Result<(), Failed> {
        let entries = self.root().map(|root| root.below_in(&SERVICE_PLANE)).unwrap_or_default();
        let mut mine = entries.iter().filter(|entry| entry.slot() == slot && !entry.is_inactive());
        let bundle = mine.find_map(|entry| self.bundles().driver(self, entry.class()));
        // Nobody may have an instance in hand: the bundle would be in use.
        drop(entries);
        let bundle = bundle.ok_or((IOReturn::NotFound, "driver"))?;
        let users = self.bundles().users(self, bundle);
        let mut gone: Vec<&'static str> = Vec::new();
        let mut done = Ok(());
        for user in users.into_iter().rev() {
            done = self.bundles().unload(self, user).map_err(|error| self.refused(user, &error));
            if done.is_err() {
                break;
            }
            gone.push(user);
        }
        if done.is_ok() {
            done = self.bundles().remove(self, bundle).map_err(|error| self.refused(bundle, &error));
            gone.extend(done.is_ok().then_some(bundle));
        }
        gone.reverse();
        self.cycles().unloaded.lock(self.kernel()).insert(slot, gone);
        done
    }

    /// Says on the console why a bundle cannot be loaded or unloaded.
    fn refused(&self, bundle: &'static str, error: &BundleError) -> Failed {
        self.kernel().log(format_args!("cycle: {error}"));
        let why = match error {
            BundleError::InUse(_) | BundleError::NeededBy(_) => IOReturn::Busy,
            _ => IOReturn::NotFound,
        };
        (why, bundle)
    }
}
