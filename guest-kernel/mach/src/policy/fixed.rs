//! Fixed priority: kernel threads and work loops.

use super::Rules;

/// The rules that the trait assumes.
pub(super) struct Fixed;

impl Rules for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
}
