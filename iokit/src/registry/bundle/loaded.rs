//! What is known and what is loaded.

use alloc::{sync::Arc, vec::Vec};

use mach::{Kernel, Mutex};

use super::{Bundle, BundleError, BundleGate, check_bundle};
use crate::{
    Class, IoKit,
    matching::Personality,
    registry::SERVICE_PLANE,
    service::{Options, ServiceRef, State},
};

/// How long [`Bundles::remove`] waits for the last references to instances to go, ns.
const SETTLE_LIMIT: u64 = 100_000_000;
/// How often it looks, ns.
const SETTLE_STEP: u64 = 50_000;

/// The bundles of a kernel.
pub struct Bundles(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    /// What could be loaded.
    known: Vec<Arc<Bundle>>,
    /// What is, in the order of loading: libraries before those that need them.
    loaded: Vec<Loaded>,
}

struct Loaded {
    bundle: Arc<Bundle>,
    gate: Arc<BundleGate>,
}

impl Bundles {
    pub(crate) fn new(kernel: &Kernel) -> Self {
        Self(Mutex::in_class(kernel, kernel.lock_class("bundles"), Lists::default()))
    }

    /// Makes a bundle known; one of the same identifier is forgotten, but stays loaded if it is.
    pub fn add(&self, kit: &IoKit, bundle: Bundle) {
        let bundle = Arc::new(bundle);
        let mut lists = self.0.lock(kit.kernel());
        lists.known.retain(|b| b.identifier != bundle.identifier);
        lists.known.push(bundle);
    }

    /// Identifiers of what is loaded, in the order of loading.
    pub fn loaded(&self, kit: &IoKit) -> Vec<&'static str> {
        self.0.lock(kit.kernel()).loaded.iter().map(|l| l.bundle.identifier).collect()
    }

    /// The loaded bundle that brings drivers and defines `class`.
    pub fn driver(&self, kit: &IoKit, class: &Class) -> Option<&'static str> {
        let lists = self.0.lock(kit.kernel());
        let defines = |b: &Bundle| b.classes.iter().any(|c| c.name == class.name);
        let mut drivers = lists.loaded.iter().map(|l| &*l.bundle).filter(|b| !b.personalities.is_empty());
        drivers.find(|b| defines(b)).map(|b| b.identifier)
    }

    /// Loaded bundles that need this one, directly or not, in the order of loading.
    pub fn users(&self, kit: &IoKit, identifier: &'static str) -> Vec<&'static str> {
        let lists = self.0.lock(kit.kernel());
        let mut users: Vec<&'static str> = Vec::new();
        // Libraries are loaded before those that need them: one look suffices.
        for bundle in lists.loaded.iter().map(|l| &l.bundle) {
            if bundle.needs_library(identifier) || users.iter().any(|user| bundle.needs_library(user)) {
                users.push(bundle.identifier);
            }
        }
        users
    }

    /// Loads a bundle, its libraries first, puts their personalities into the catalogue, and lets the nubs that they fit
    /// be matched again. All or nothing. A bundle that is loaded already is left as it is.
    ///
    /// # Errors
    /// The first thing that stands in the way.
    pub fn load(&self, kit: &IoKit, identifier: &'static str) -> Result<(), BundleError> {
        let fresh = {
            let mut lists = self.0.lock(kit.kernel());
            let order = lists.order(identifier)?;
            let known: Vec<_> = lists.known.iter().map(|b| &**b).collect();
            for (n, bundle) in order.iter().enumerate() {
                if check_bundle(bundle, &known).iter().any(|c| c.is_error()) {
                    return Err(BundleError::Flawed(bundle.identifier));
                }
                lists.class_clash(bundle, &order[..n])?;
            }
            order.iter().flat_map(|bundle| lists.enter(kit, bundle)).collect::<Vec<_>>()
        };
        kit.match_again(&fresh);
        Ok(())
    }

    /// Takes a bundle's personalities out of the catalogue and forgets that it was loaded (O2).
    ///
    /// # Errors
    /// Unknown: it is not loaded. NeededBy: another loaded bundle needs it. InUse: one of its classes has an instance, or a driver
    /// is just being made.
    pub fn unload(&self, kit: &IoKit, identifier: &'static str) -> Result<(), BundleError> {
        let mut lists = self.0.lock(kit.kernel());
        let at = lists.position(identifier).ok_or(BundleError::Unknown(identifier))?;
        if let Some(user) = lists.loaded.iter().find(|l| l.bundle.needs_library(identifier)) {
            return Err(BundleError::NeededBy(user.bundle.identifier));
        }
        let loaded = &lists.loaded[at];
        // Closed before the look at the counts: whoever was inside has made its instance, and nobody comes in after.
        if !loaded.gate.close() {
            return Err(BundleError::InUse(identifier));
        }
        let in_use = loaded.bundle.classes.iter().any(|c| kit.instances(c.name) != 0);
        if in_use || kit.catalogue().unload(kit, identifier).is_err() {
            loaded.gate.open();
            return Err(BundleError::InUse(identifier));
        }
        let gone = lists.loaded.remove(at);
        drop(lists);
        drop(gone);
        Ok(())
    }

    /// Terminates every instance of the bundle's classes, waits for that, and unloads it.
    ///
    /// # Errors
    /// As [`Bundles::unload`]: InUse if somebody still has a reference to an instance.
    pub fn remove(&self, kit: &IoKit, identifier: &'static str) -> Result<(), BundleError> {
        let classes: Vec<_> = {
            let lists = self.0.lock(kit.kernel());
            let at = lists.position(identifier).ok_or(BundleError::Unknown(identifier))?;
            lists.loaded[at].bundle.classes.iter().map(|c| c.name).collect()
        };
        for entry in kit.root().map(|r| r.below_in(&SERVICE_PLANE)).unwrap_or_default() {
            if classes.contains(&entry.class().name) && !entry.is_inactive() {
                entry.terminate(Options::REQUIRED | Options::SYNCHRONOUS);
            }
        }
        self.unload_soon(kit, identifier)
    }

    /// Unloads, and gives other threads some time to let go of instances that are terminated.
    fn unload_soon(&self, kit: &IoKit, identifier: &'static str) -> Result<(), BundleError> {
        let deadline = kit.kernel().now().saturating_add(SETTLE_LIMIT);
        loop {
            match self.unload(kit, identifier) {
                Err(BundleError::InUse(_)) if kit.kernel().now() < deadline => {
                    kit.kernel().delay(SETTLE_STEP)
                }
                done => return done,
            }
        }
    }

    /// Unloads what can be, users before libraries; what stays.
    pub fn unload_all(&self, kit: &IoKit) -> Vec<&'static str> {
        let all = self.loaded(kit);
        all.into_iter().rev().filter(|b| self.unload(kit, b).is_err()).collect()
    }

    pub(crate) fn clear(&self, kit: &IoKit) {
        let gone = core::mem::take(&mut *self.0.lock(kit.kernel()));
        drop(gone);
    }
}

impl Lists {
    fn position(&self, identifier: &str) -> Option<usize> {
        self.loaded.iter().position(|l| l.bundle.identifier == identifier)
    }

    /// What must be loaded for `identifier`, in order, without what is loaded.
    fn order(&self, identifier: &'static str) -> Result<Vec<Arc<Bundle>>, BundleError> {
        let mut order: Vec<Arc<Bundle>> = Vec::new();
        // Begun, and how many of its libraries were looked at. No recursion: chains may be long.
        let mut open = alloc::vec![(self.find(identifier)?, 0)];
        while let Some((bundle, next)) = open.pop() {
            let Some(&(name, wanted)) = bundle.libraries.get(next) else {
                order.push(bundle);
                continue;
            };
            let library = self.library(&bundle, name, wanted)?;
            open.push((bundle, next + 1));
            if open.iter().any(|(b, _)| b.identifier == name) {
                return Err(BundleError::Circular(name));
            }
            if !order.iter().any(|b| b.identifier == name) {
                open.push((library, 0));
            }
        }
        order.retain(|b| self.position(b.identifier).is_none());
        Ok(order)
    }

    /// The known bundle `identifier`, if what is loaded of it (if anything) is that version.
    fn find(&self, identifier: &'static str) -> Result<Arc<Bundle>, BundleError> {
        let known = self.known.iter().find(|b| b.identifier == identifier);
        let known = known.ok_or(BundleError::Unknown(identifier))?;
        match self.position(identifier) {
            Some(at) if self.loaded[at].bundle.version != known.version => {
                Err(BundleError::OtherVersion(identifier))
            }
            _ => Ok(known.clone()),
        }
    }

    /// The library `name` for `user`: the loaded one, else the known one.
    fn library(&self, user: &Bundle, name: &'static str, wanted: &str) -> Result<Arc<Bundle>, BundleError> {
        let library = match self.position(name) {
            Some(at) => self.loaded[at].bundle.clone(),
            None => self.find(name)?,
        };
        if library.serves(wanted) {
            Ok(library)
        } else {
            Err(BundleError::Incompatible(user.identifier, name))
        }
    }

    /// Classes are told apart by name: two of one name would share one count.
    fn class_clash(&self, bundle: &Bundle, before: &[Arc<Bundle>]) -> Result<(), BundleError> {
        for class in &bundle.classes {
            let mut others = self.loaded.iter().map(|l| &l.bundle).chain(before);
            if let Some(other) = others.find(|b| b.classes.iter().any(|c| c.name == class.name)) {
                return Err(BundleError::ClassExists(class.name, other.identifier));
            }
        }
        Ok(())
    }

    /// Notes the bundle as loaded, and adds its personalities; these.
    fn enter(&mut self, kit: &IoKit, bundle: &Arc<Bundle>) -> Vec<Personality> {
        let gate = Arc::new(BundleGate::default());
        let mine = |(_, p): &(&'static str, Personality)| Personality {
            bundle: bundle.identifier,
            gate: Some(gate.clone()),
            ..p.clone()
        };
        let personalities: Vec<_> = bundle.personalities.iter().map(mine).collect();
        self.loaded.push(Loaded { bundle: bundle.clone(), gate });
        personalities.iter().for_each(|p| kit.catalogue().add(kit, p.clone()));
        personalities
    }
}

impl Bundle {
    fn needs_library(&self, identifier: &str) -> bool {
        self.libraries.iter().any(|(name, _)| *name == identifier)
    }
}

impl IoKit {
    /// Lets the registered nubs that one of `fresh` fits be matched again.
    fn match_again(&self, fresh: &[Personality]) {
        let fits = |nub: &ServiceRef| {
            nub.state().contains(State::REGISTERED) && !nub.is_inactive() && fresh.iter().any(|p| p.fits(nub))
        };
        for nub in self.root().map(|r| r.below_in(&SERVICE_PLANE)).unwrap_or_default() {
            if fits(&nub) {
                nub.register_service(Options::empty());
            }
        }
    }
}
