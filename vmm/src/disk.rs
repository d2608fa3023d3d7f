//! Files behind disks: the plan's `file=`.

use devices::fault::plan::Plug;
use devices::virtio::store::{BlockStore, SeekStore};
use std::fs::{OpenOptions, TryLockError};

/// Bytes of a sector.
const SECTOR_BYTES: u64 = 512;

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
    // Two disks in one file, here or in another process, would find each other's data.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => format!("{path} is in use as a disk already"),
        TryLockError::Error(error) => format!("cannot lock {path}: {error}"),
    })?;
    let store = SeekStore::new(file, |file| file.sync_data())
        .map_err(|error| format!("cannot use {path}: {error}"))?;
    if store.bytes() == 0 || !store.bytes().is_multiple_of(SECTOR_BYTES) {
        return Err(format!("{path} has {} bytes; a disk has a multiple of {SECTOR_BYTES}", store.bytes()));
    }
    Ok(Some(Box::new(store)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::fault::plan::Plan;

    fn medium(path: &str) -> Result<Option<u64>, String> {
        let plan = Plan::parse("t", &format!("plug d virtio-blk slot=1 file=\"{path}\"\n")).expect("a plan");
        open(&plan.plugs[0]).map(|store| store.map(|store| store.bytes()))
    }

    #[test]
    fn only_a_file_of_whole_sectors_that_nobody_else_uses_is_a_disk() {
        let path = std::env::temp_dir().join(format!("workgate-disk-{}", std::process::id()));
        let name = path.to_str().expect("a path in UTF-8");
        assert!(medium(name).expect_err("missing").contains("cannot open"));
        for (bytes, good) in [(0, false), (511, false), (513, false), (1024, true)] {
            std::fs::write(&path, vec![0; bytes]).expect("a writable temporary folder");
            assert_eq!(medium(name).is_ok(), good, "{bytes}");
        }
        let plan = Plan::parse("t", &format!("plug d virtio-blk slot=1 file=\"{name}\"\n")).expect("a plan");
        let first = open(&plan.plugs[0]).expect("the first");
        assert!(medium(name).expect_err("shared").contains("in use"));
        drop(first);
        assert_eq!(medium(name), Ok(Some(1024)));
        std::fs::remove_file(&path).expect("the file is ours");
        assert!(medium("/").is_err() && medium("/dev/null").is_err());
    }
}
