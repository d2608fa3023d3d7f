//! Kernel modules with what they depend on, in the order in which to load them.

use crate::error::LabError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The tag in a module's `.modinfo` section behind which the names stand that it depends on (Linux, scripts/mod/modpost.c).
const DEPENDS: &[u8] = b"\0depends=";

/// `wanted` and all that they need, found among `files`, each after what it depends on. What is not there as a file is built into the kernel.
///
/// # Errors
/// A file cannot be read.
pub fn in_order(files: &[PathBuf], wanted: &[&str]) -> Result<Vec<PathBuf>, LabError> {
    let mut modules = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "ko")) {
        modules.insert(plain(&file.file_stem().unwrap_or_default().to_string_lossy()), file.clone());
    }
    let mut order = Vec::new();
    for name in wanted {
        add(&modules, &plain(name), &mut order)?;
    }
    Ok(order)
}

fn add(modules: &BTreeMap<String, PathBuf>, name: &str, order: &mut Vec<PathBuf>) -> Result<(), LabError> {
    let Some(file) = modules.get(name).filter(|file| !order.contains(file)) else { return Ok(()) };
    for needed in depends(&read(file)?) {
        add(modules, &needed, order)?;
    }
    order.push(file.clone());
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, LabError> {
    std::fs::read(file).map_err(LabError::io(file.display().to_string()))
}

/// The names in a module's `depends=`.
fn depends(module: &[u8]) -> Vec<String> {
    let Some(at) = module.windows(DEPENDS.len()).position(|bytes| bytes == DEPENDS) else {
        return Vec::new();
    };
    let rest = &module[at + DEPENDS.len()..];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    let names = String::from_utf8_lossy(&rest[..end]).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(plain).collect()
}

/// Names of modules and of their files differ in this.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_depends_on_is_read_from_it() {
        let module = b"\x7fELF...\0license=GPL\0depends=usbcore,scsi-mod\0name=usb_storage\0";
        assert_eq!(depends(module), ["usbcore", "scsi_mod"]);
        assert!(depends(b"\0depends=\0").is_empty() && depends(b"").is_empty());
        assert_eq!(depends(b"\0depends=a"), ["a"]);
    }
}
