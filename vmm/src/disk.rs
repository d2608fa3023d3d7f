//! Files behind disks: the plan's `file=`.

use devices::fault::plan::Plug;
use devices::virtio::store::{BlockStore, SeekStore};
use std::fs::OpenOptions;

/// Opens the file of a `plug` statement that has one.
///
/// # Errors
/// It cannot be opened or measured, as a sentence.
pub fn open(plug: &Plug) -> Result<Option<Box<dyn BlockStore>>, String> {
    let Some(path) = plug.options.get("file") else { return Ok(None) };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| format!("cannot open {path}: {error}"))?;
    let store = SeekStore::new(file, |file| file.sync_data())
        .map_err(|error| format!("cannot use {path}: {error}"))?;
    Ok(Some(Box::new(store)))
}
