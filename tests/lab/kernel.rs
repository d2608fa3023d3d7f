//! The kernel of the svm leg, inside of QEMU and inside of our own machine: Debian's, downloaded as a package and unpacked, not installed.

use crate::error::LabError;
use crate::modules;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that depends on the current kernel of the ordinary flavour: it has kvm-amd, and drivers of all that we model.
const META: &str = "linux-image-amd64";

/// Modules that make the KVM device, in the order of their dependencies. One that a kernel has built in is not there
/// as a file.
const MODULES: [&str; 4] = ["irqbypass", "kvm", "ccp", "kvm-amd"];

/// Modules of a guest of ours that lead to its root disk, and the file system on that. ext4 asks for its check sum by name, which is no dependency that is
/// written down.
const ROOT_MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];
/// Modules of a guest of ours: drivers of our other devices.
const GUEST_MODULES: [&str; 9] = [
    "xhci-pci",
    "usb-storage",
    "sd_mod",
    "usbhid",
    "hid-generic",
    "evdev",
    "cdc-acm",
    "firewire-ohci",
    "firewire-sbp2",
];
/// The one among them that the smaller flavours do not have.
const FIREWIRE: &str = "firewire-sbp2";

/// An unpacked kernel.
pub struct Kernel {
    /// The bootable image.
    pub image: PathBuf,
    /// Files of the modules that make the KVM device, in the order in which to load them.
    pub modules: Vec<PathBuf>,
    /// The same for a guest of ours, as far as its root disk.
    pub root_modules: Vec<PathBuf>,
    /// The same for all else there.
    pub guest_modules: Vec<PathBuf>,
}

/// The kernel from the cache in `folder`, else from the package archive.
///
/// # Errors
/// [`LabError::Missing`] if there is no package archive to be had.
pub fn unpacked(folder: &Path) -> Result<Kernel, LabError> {
    let root = folder.join("kernel");
    if let Some(kernel) = look(&root)? {
        return Ok(kernel);
    }
    let package = download(folder)?;
    // Unpacked beside and renamed, so that an interrupted run leaves no half kernel behind.
    let fresh = folder.join("kernel.new");
    let remove = |path: &Path| match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::io("the kernel cache")(error))
        }
        _ => Ok(()),
    };
    remove(&fresh)?;
    process::output(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&fresh))?;
    remove(&root)?;
    std::fs::rename(&fresh, &root).map_err(LabError::io("the kernel cache"))?;
    look(&root)?.ok_or_else(|| {
        LabError::Failed(format!("{} has no kernel with kvm-amd and firewire-sbp2", package.display()))
    })
}

/// The kernel below `root`, if it is whole.
fn look(root: &Path) -> Result<Option<Kernel>, LabError> {
    let files = walk(root)?;
    let named = |file: &&PathBuf, name: &str| file.file_name().is_some_and(|f| f.to_string_lossy() == name);
    let image =
        files.iter().find(|f| f.file_name().is_some_and(|f| f.to_string_lossy().starts_with("vmlinuz-")));
    let has = |name: &str| files.iter().any(|f| named(&f, &format!("{name}.ko")));
    let Some(image) = image.filter(|_| has("kvm-amd") && has(FIREWIRE)) else { return Ok(None) };
    let modules = modules::in_order(&files, &MODULES)?;
    let root_modules = modules::in_order(&files, &ROOT_MODULES)?;
    let mut guest_modules = modules::in_order(&files, &GUEST_MODULES)?;
    guest_modules.retain(|module| !root_modules.contains(module));
    Ok(Some(Kernel { image: image.clone(), modules, root_modules, guest_modules }))
}

/// All files below a folder; none if it is not there.
fn walk(root: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LabError::io(folder.display().to_string())(error)),
        };
        for entry in entries {
            let entry = entry.map_err(LabError::io("the kernel cache"))?;
            let kind = entry.file_type().map_err(LabError::io("the kernel cache"))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Downloads the package of the current kernel into `folder`.
fn download(folder: &Path) -> Result<PathBuf, LabError> {
    process::find("apt-get", "apt")?;
    process::find("dpkg-deb", "dpkg")?;
    let name = match current()? {
        Some(name) => name,
        None => {
            // No package lists yet (a fresh container): fetch them once. It needs the rights to do so.
            let updated = process::output(Command::new("apt-get").arg("update"));
            let hint = || "a Debian package archive for apt-get, or the kernel unpacked in target/lab/kernel";
            updated.map_err(|error| LabError::missing(format!("{META}: {error}"), hint()))?;
            current()?.ok_or_else(|| LabError::missing(META, hint()))?
        }
    };
    println!("lab svm: downloading {name}");
    let fetched = process::output(Command::new("apt-get").arg("download").arg(&name).current_dir(folder));
    fetched.map_err(|error| {
        LabError::missing(format!("{name}: {error}"), "a package archive that can be reached")
    })?;
    let package = walk(folder)?.into_iter().find(|file| {
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
    });
    package.ok_or_else(|| LabError::Failed(format!("apt-get download {name} left no package")))
}

/// The package that [`META`] depends on now; `None` if apt knows of none.
fn current() -> Result<Option<String>, LabError> {
    let shown = Command::new("apt-cache").args(["show", "--no-all-versions", META]).output();
    let shown = shown.map_err(LabError::io("apt-cache"))?;
    Ok(first_image(&String::from_utf8_lossy(&shown.stdout)))
}

/// The first `linux-image-…` of the `Depends:` line.
fn first_image(shown: &str) -> Option<String> {
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends:"))?;
    let names = depends.split(',').filter_map(|part| part.split_whitespace().next());
    names.into_iter().find(|name| name.starts_with("linux-image-")).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::first_image;

    #[test]
    fn the_dependency_names_the_kernel() {
        let shown =
            "Package: linux-image-amd64\nVersion: 6.1.9-1\nDepends: linux-image-6.1.0-5-amd64 (= 6.1.9-1)\n";
        assert_eq!(first_image(shown).as_deref(), Some("linux-image-6.1.0-5-amd64"));
        assert_eq!(first_image("N: Unable to locate package\n"), None);
    }
}
