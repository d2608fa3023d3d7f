//! The catalogue of personalities.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use mach::SpinLock;

use crate::{
    IoKit,
    ioreturn::{IOResult, IOReturn},
    registry::bundle::{BundleGate, Making},
    service::{Driver, ServiceRef},
    value::Properties,
};

/// The match category of a personality that names none.
pub const DEFAULT_CATEGORY: &str = "IODefaultMatchCategory";

/// Makes the driver of a personality for a nub (alloc and `init`); `None` = init said no.
pub type MakeDriver = Arc<dyn Fn(&ServiceRef, &Personality) -> Option<Box<dyn Driver>> + Send + Sync>;

/// One way to drive a kind of nub.
#[derive(Clone)]
pub struct Personality {
    /// The bundle that brings it; see [`Catalogue::unload`].
    pub bundle: &'static str,
    /// IOClass: what its driver's class is called.
    pub class: &'static str,
    /// IOProviderClass: any class in the nub's ancestry.
    pub provider_class: &'static str,
    /// Properties that the nub must have.
    pub wanted: Properties,
    /// IOProbeScore: highest first, ties in order of registration.
    pub score: i32,
    /// IOMatchCategory: one driver of each category on a nub.
    pub category: &'static str,
    /// Properties that the driver's service starts with.
    pub properties: Properties,
    /// What drivers in the making hold, if a loaded bundle brings it (O2).
    pub gate: Option<Arc<BundleGate>>,
    /// Makes the driver.
    pub make: MakeDriver,
}

impl Personality {
    /// A personality of score 0 in the default category that asks for no properties.
    pub fn new(
        bundle: &'static str,
        class: &'static str,
        provider_class: &'static str,
        make: impl Fn(&ServiceRef, &Personality) -> Option<Box<dyn Driver>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            bundle,
            class,
            provider_class,
            wanted: Properties::new(),
            score: 0,
            category: DEFAULT_CATEGORY,
            properties: Properties::new(),
            gate: None,
            make: Arc::new(make),
        }
    }

    /// The same, asking for property `key` to be `value`.
    #[must_use]
    pub fn wants(mut self, key: &'static str, value: impl Into<crate::Value>) -> Self {
        self.wanted.set(key, value);
        self
    }

    /// The same with this score.
    #[must_use]
    pub fn score(mut self, score: i32) -> Self {
        self.score = score;
        self
    }

    /// The same in this category.
    #[must_use]
    pub fn category(mut self, category: &'static str) -> Self {
        self.category = category;
        self
    }

    /// Holds its bundle, if it has one, while a driver is made. `None`: the bundle is gone, make none.
    pub(crate) fn begin_making(&self) -> Option<Option<Making>> {
        match &self.gate {
            Some(gate) => gate.enter().map(Some),
            None => Some(None),
        }
    }

    pub(crate) fn fits(&self, nub: &ServiceRef) -> bool {
        nub.class().is_a(self.provider_class) && nub.matches(&self.wanted)
    }
}

/// All personalities. A generation counter tells matching that there are new ones.
pub struct Catalogue {
    personalities: SpinLock<Vec<Arc<Personality>>>,
    generation: AtomicU64,
}

impl Catalogue {
    pub(crate) fn new() -> Self {
        Self { personalities: SpinLock::new(Vec::new()), generation: AtomicU64::new(1) }
    }

    /// Adds a personality. Nubs that are registered already see it when they register again.
    pub fn add(&self, kit: &IoKit, personality: Personality) {
        self.personalities.lock(kit.kernel()).push(Arc::new(personality));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes a bundle's personalities away. Busy while one of its classes has instances (O2).
    pub fn unload(&self, kit: &IoKit, bundle: &str) -> IOResult {
        let mine = |p: &Arc<Personality>| p.bundle == bundle;
        let all = self.personalities.lock(kit.kernel()).clone();
        if all.iter().filter(|p| mine(p)).any(|p| kit.instances(p.class) != 0) {
            return Err(IOReturn::Busy);
        }
        self.personalities.lock(kit.kernel()).retain(|p| !mine(p));
        Ok(())
    }

    /// The bundles, each once, in order of first personality.
    pub fn bundles(&self, kit: &IoKit) -> Vec<&'static str> {
        let mut bundles = Vec::new();
        for personality in self.personalities.lock(kit.kernel()).iter() {
            if !bundles.contains(&personality.bundle) {
                bundles.push(personality.bundle);
            }
        }
        bundles
    }

    /// What fits `nub`, best score first, ties in order of registration; and the generation that was looked at.
    pub(crate) fn find(&self, kit: &IoKit, nub: &ServiceRef) -> (Vec<Arc<Personality>>, u64) {
        let generation = self.generation();
        let all = self.personalities.lock(kit.kernel()).clone();
        let mut found: Vec<_> = all.into_iter().filter(|p| p.fits(nub)).collect();
        found.sort_by_key(|p| core::cmp::Reverse(p.score));
        (found, generation)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn clear(&self, kit: &IoKit) {
        let gone = core::mem::take(&mut *self.personalities.lock(kit.kernel()));
        drop(gone);
    }
}
