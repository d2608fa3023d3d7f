//! What was exercised, as files.

use super::bug::write_whole;
use crate::exit::Failure;
use explore::teardown::{Item, Lcov};
use std::path::Path;

/// Writes the tracefile `path` and the lists that it is about beside it.
pub fn write(path: &Path, items: &[Item]) -> Result<(), Failure> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let lcov = Lcov::new(items, &stem);
    for (name, text) in &lcov.lists {
        write_whole(&path.with_file_name(name), text)?;
    }
    write_whole(path, &lcov.text)
}
