//! Which tests there are.

use crate::{lab::Lab, rules};

/// A test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Its name, which begins with the rule that it holds.
    pub name: &'static str,
    /// The path of the module that it is in.
    pub module: &'static str,
    /// The test itself.
    pub test: fn(&Lab<'_>),
}

/// The table of a file: every test in it, by name.
macro_rules! table {
    ($($name:ident),* $(,)?) => {
        /// The tests of this file.
        pub(crate) const TESTS: &[Test] =
            &[$(Test { name: stringify!($name), module: module_path!(), test: $name }),*];
    };
}
pub(crate) use table;

impl Test {
    /// The last part of the module's path: the file's name.
    pub fn file(&self) -> &'static str {
        self.module.rsplit("::").next().unwrap_or(self.module)
    }
}

/// All tests. The order is the same in every build of one version, so that a place in it names a test to the guest and to its host.
pub fn tests() -> impl Iterator<Item = Test> {
    rules::ALL.iter().flat_map(|tests| tests.iter().copied())
}
