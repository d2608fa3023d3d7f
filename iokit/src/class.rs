//! Classes: names, ancestry and instance counts (O2).

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

/// What a class is called and what it derives from. Always an immutable `static`.
#[derive(Debug)]
pub struct Class {
    /// Its name, as in `IOProviderClass`.
    pub name: &'static str,
    /// What it derives from.
    pub superclass: Option<&'static Class>,
}

impl Class {
    /// A class that derives from `superclass`.
    pub const fn new(name: &'static str, superclass: &'static Class) -> Self {
        Self { name, superclass: Some(superclass) }
    }

    /// Whether this class is, or derives from, the class called `name`.
    pub fn is_a(&self, name: &str) -> bool {
        let mut class = Some(self);
        while let Some(c) = class {
            if c.name == name {
                return true;
            }
            class = c.superclass;
        }
        false
    }
}

/// The class that all services derive from.
pub static IO_SERVICE: Class = Class { name: "IOService", superclass: None };
/// The root of the registry.
pub static IO_REGISTRY_ROOT: Class = Class::new("IORegistryRoot", &IO_SERVICE);
/// The platform expert, the root's one client.
pub static IO_PLATFORM_EXPERT: Class = Class::new("IOPlatformExpertDevice", &IO_SERVICE);
/// User clients.
pub static IO_USER_CLIENT: Class = Class::new("IOUserClient", &IO_SERVICE);

/// How many instances of one class there are.
#[derive(Debug)]
pub struct ClassCount {
    class: &'static Class,
    instances: AtomicU32,
}

impl ClassCount {
    /// The class.
    pub fn class(&self) -> &'static Class {
        self.class
    }

    /// Instances alive.
    pub fn instances(&self) -> u32 {
        self.instances.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self) {
        self.instances.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn remove(&self) {
        let before = self.instances.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "a class has fewer than no instances");
    }
}

/// Every class that ever had an instance, in order of first use.
#[derive(Debug, Default)]
pub(crate) struct ClassTable {
    counts: Vec<Arc<ClassCount>>,
}

impl ClassTable {
    /// The count of `class`, made on first use. Classes are told apart by name.
    pub(crate) fn count_of(&mut self, class: &'static Class) -> Arc<ClassCount> {
        if let Some(found) = self.find(class.name) {
            return found;
        }
        let count = Arc::new(ClassCount { class, instances: AtomicU32::new(0) });
        self.counts.push(count.clone());
        count
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<ClassCount>> {
        self.counts.iter().find(|c| c.class.name == name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<ClassCount>> {
        self.counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestry_is_transitive() {
        static NUB: Class = Class::new("IOPCIDevice", &IO_SERVICE);
        assert!(NUB.is_a("IOPCIDevice") && NUB.is_a("IOService") && !NUB.is_a("IOUserClient"));
    }

    #[test]
    fn one_count_a_class() {
        let mut table = ClassTable::default();
        table.count_of(&IO_SERVICE).add();
        assert_eq!(table.count_of(&IO_SERVICE).instances(), 1);
        assert_eq!(table.all().len(), 1);
    }
}
