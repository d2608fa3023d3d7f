//! Looking at a bundle before it is loaded, in the spirit of `kextload -tn`.

use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;

use super::{Bundle, Version};
use crate::{
    class::{Class, IO_SERVICE, IO_USER_CLIENT},
    matching::Personality,
};

/// Most characters of an identifier (KMOD_MAX_NAME, less the end).
const IDENTIFIER_MAX: usize = 63;

/// A property of bundles that stand for a part of the kernel, which needs no library.
pub const KERNEL_RESOURCE: &str = "OSKernelResource";

/// Properties that belong to a developer's machine.
const BUNDLE_DEBUG: [&str; 2] = ["OSBundleDebugLevel", "OSBundleEnableKextLogging"];
/// The same for a personality; 0 is as good as nothing.
const PERSONALITY_DEBUG: &str = "IOKitDebug";

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The identifier is not a reversed domain name of up to 63 letters, digits, `.`, `-` and `_`.
    Identifier,
    /// The version is not one.
    Version,
    /// The compatible version is not one.
    CompatibleVersion,
    /// The compatible version is later than the version.
    CompatibleIsLater,
    /// No library is named, but a bundle cannot do without.
    NoLibraries,
    /// A library is named twice.
    LibraryTwice,
    /// The bundle names itself as a library.
    LibraryIsSelf,
    /// The version of a library is not one.
    LibraryVersion,
    /// No such library is known.
    LibraryUnknown,
    /// The library that is known does not serve that version.
    LibraryIncompatible,
    /// The library, or one that it needs, needs this bundle.
    LibraryCircle,
    /// A class is named twice.
    ClassTwice,
    /// Another known bundle has a class of that name.
    ClassElsewhere,
    /// A class derives from one that neither this bundle nor a library defines.
    SuperclassUnknown,
    /// Two personalities have one name.
    PersonalityTwice,
    /// A personality says that it belongs to another bundle.
    PersonalityBundle,
    /// A personality's class is neither this bundle's nor a library's.
    PersonalityClass,
    /// A personality has no provider class: it would match nothing.
    NoProviderClass,
    /// A personality has no match category.
    NoCategory,
    /// A debugging property was left in.
    Debug,
}

impl Flaw {
    /// Whether the bundle cannot be loaded like that.
    fn is_error(self) -> bool {
        !matches!(
            self,
            Self::NoLibraries
                | Self::ClassElsewhere
                | Self::PersonalityBundle
                | Self::NoCategory
                | Self::Debug
        )
    }

    fn text(self) -> &'static str {
        match self {
            Self::Identifier => "the identifier is not a reversed domain name",
            Self::Version => "the version is not of the form 1.2.3fc4",
            Self::CompatibleVersion => "the compatible version is not of the form 1.2.3fc4",
            Self::CompatibleIsLater => "the compatible version is later than the version",
            Self::NoLibraries => "no libraries are named",
            Self::LibraryTwice => "a library is named twice",
            Self::LibraryIsSelf => "the bundle is its own library",
            Self::LibraryVersion => "the version of a library is not of the form 1.2.3fc4",
            Self::LibraryUnknown => "a library is not known",
            Self::LibraryIncompatible => "a library does not serve the version that is asked for",
            Self::LibraryCircle => "a library needs this bundle",
            Self::ClassTwice => "a class is named twice",
            Self::ClassElsewhere => "another bundle has a class of that name",
            Self::SuperclassUnknown => "a superclass is defined neither here nor in a library",
            Self::PersonalityTwice => "two personalities have one name",
            Self::PersonalityBundle => "a personality belongs to another bundle",
            Self::PersonalityClass => "a personality's class is defined neither here nor in a library",
            Self::NoProviderClass => "a personality has no provider class",
            Self::NoCategory => "a personality has no match category",
            Self::Debug => "a debugging property was left in",
        }
    }
}

/// A flaw and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong.
    pub flaw: Flaw,
    /// What it is wrong with: an identifier, a version, a class, a personality, a property.
    pub about: &'static str,
}

impl Complaint {
    /// Whether the bundle cannot be loaded like that; else it is a warning.
    pub fn is_error(&self) -> bool {
        self.flaw.is_error()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(f, "{severity}: {}: {}", self.flaw.text(), self.about)
    }
}

/// What is wrong with `bundle`, among the bundles that are `known` (itself may be one of them). Nothing is loaded.
pub fn check_bundle(bundle: &Bundle, known: &[&Bundle]) -> Vec<Complaint> {
    let mut check = Check { bundle, known, found: Vec::new() };
    check.names();
    check.libraries();
    check.classes();
    check.personalities();
    check.debugging();
    check.found
}

struct Check<'a> {
    bundle: &'a Bundle,
    known: &'a [&'a Bundle],
    found: Vec<Complaint>,
}

impl<'a> Check<'a> {
    fn complain(&mut self, wrong: bool, flaw: Flaw, about: &'static str) {
        if wrong {
            self.found.push(Complaint { flaw, about });
        }
    }

    fn known(&self, identifier: &str) -> Option<&'a Bundle> {
        self.known.iter().find(|b| b.identifier == identifier).copied()
    }

    fn names(&mut self) {
        let Bundle { identifier, version, compatible, .. } = *self.bundle;
        self.complain(!is_reversed_domain(identifier), Flaw::Identifier, identifier);
        let parsed = Version::parse(version);
        self.complain(parsed.is_none(), Flaw::Version, version);
        if let Some(text) = compatible {
            let oldest = Version::parse(text);
            self.complain(oldest.is_none(), Flaw::CompatibleVersion, text);
            let later = oldest.zip(parsed).is_some_and(|(oldest, version)| oldest > version);
            self.complain(later, Flaw::CompatibleIsLater, text);
        }
    }

    fn libraries(&mut self) {
        let Bundle { identifier, ref libraries, .. } = *self.bundle;
        let is_kernel = self.bundle.properties.get(KERNEL_RESOURCE).is_some();
        self.complain(libraries.is_empty() && !is_kernel, Flaw::NoLibraries, identifier);
        for (n, &(name, wanted)) in libraries.iter().enumerate() {
            self.complain(libraries[..n].iter().any(|(l, _)| *l == name), Flaw::LibraryTwice, name);
            let readable = Version::parse(wanted).is_some();
            self.complain(!readable, Flaw::LibraryVersion, wanted);
            if name == identifier {
                self.complain(true, Flaw::LibraryIsSelf, name);
                continue;
            }
            let library = self.known(name);
            self.complain(library.is_none(), Flaw::LibraryUnknown, name);
            if let Some(library) = library {
                self.complain(readable && !library.serves(wanted), Flaw::LibraryIncompatible, name);
                self.complain(self.leads_back(library), Flaw::LibraryCircle, name);
            }
        }
    }

    /// `library` and all that it needs, by way of whatever, as far as known.
    fn reach(&self, library: &'a Bundle) -> Vec<&'a Bundle> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut left = alloc::vec![library];
        while let Some(bundle) = left.pop() {
            if seen.insert(bundle.identifier) {
                found.push(bundle);
                left.extend(bundle.libraries.iter().filter_map(|(name, _)| self.known(name)));
            }
        }
        found
    }

    fn leads_back(&self, library: &'a Bundle) -> bool {
        let needs_us = |b: &&Bundle| b.libraries.iter().any(|(name, _)| *name == self.bundle.identifier);
        self.reach(library).iter().any(needs_us)
    }

    /// Whether a class of this name is defined here, in a library (of a library), or by the kernel.
    fn defines(&self, class: &str) -> bool {
        let here = |b: &Bundle| b.classes.iter().any(|c| c.name == class);
        let libraries = self.bundle.libraries.iter().filter_map(|(name, _)| self.known(name));
        [IO_SERVICE.name, IO_USER_CLIENT.name].contains(&class)
            || here(self.bundle)
            || libraries.flat_map(|l| self.reach(l)).any(here)
    }

    fn classes(&mut self) {
        let classes: &[&'static Class] = &self.bundle.classes;
        for (n, class) in classes.iter().enumerate() {
            self.complain(classes[..n].iter().any(|c| c.name == class.name), Flaw::ClassTwice, class.name);
            let others = self.known.iter().filter(|b| b.identifier != self.bundle.identifier);
            let elsewhere = others.into_iter().any(|b| b.classes.iter().any(|c| c.name == class.name));
            self.complain(elsewhere, Flaw::ClassElsewhere, class.name);
            if let Some(superclass) = class.superclass {
                self.complain(!self.defines(superclass.name), Flaw::SuperclassUnknown, superclass.name);
            }
        }
    }

    fn personalities(&mut self) {
        let all: &[(&'static str, Personality)] = &self.bundle.personalities;
        for (n, (name, personality)) in all.iter().enumerate() {
            self.complain(all[..n].iter().any(|(other, _)| other == name), Flaw::PersonalityTwice, name);
            self.complain(personality.bundle != self.bundle.identifier, Flaw::PersonalityBundle, name);
            self.complain(!self.defines(personality.class), Flaw::PersonalityClass, personality.class);
            self.complain(personality.provider_class.is_empty(), Flaw::NoProviderClass, name);
            self.complain(personality.category.is_empty(), Flaw::NoCategory, name);
            let debug = personality.properties.get(PERSONALITY_DEBUG);
            self.complain(debug.is_some_and(|v| v.as_number() != Some(0)), Flaw::Debug, PERSONALITY_DEBUG);
        }
    }

    fn debugging(&mut self) {
        for key in BUNDLE_DEBUG {
            self.complain(self.bundle.properties.get(key).is_some(), Flaw::Debug, key);
        }
    }
}

/// Whether it is two parts or more of letters, digits, `-` and `_`, with points between, and not too long.
fn is_reversed_domain(identifier: &str) -> bool {
    let part =
        |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    identifier.len() <= IDENTIFIER_MAX && identifier.contains('.') && identifier.split('.').all(part)
}
