//! The root disk of a Linux in our machine: an ext4 file system in a file, made by e2fsprogs, and looked at by e2fsprogs when that Linux has gone.

use crate::binary;
use crate::error::LabError;
use crate::initramfs::Initramfs;
use crate::process;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian package of the tools.
const PACKAGE: &str = "e2fsprogs";
/// Size of the disk without what a tour writes, in MiB.
const MEBIBYTES: u32 = 24;
/// Where the disk is in the lab's file system.
pub const DISK: &str = "/linux/root.img";
/// Where the script is that looks at it.
const CHECK: &str = "/linux/check";

/// A file of the disk.
pub struct File<'a> {
    /// Its path, without a leading `/`.
    pub path: String,
    /// It is a program.
    pub executable: bool,
    /// What is in it.
    pub data: &'a [u8],
}

/// The tools, all of them from one package.
pub struct Tools {
    mke2fs: PathBuf,
    /// They look at the disk, in the machine that had it.
    inside: [PathBuf; 2],
}

impl Tools {
    /// Looks for them.
    ///
    /// # Errors
    /// [`LabError::Missing`] with their package.
    pub fn find() -> Result<Self, LabError> {
        let find = |name| process::find(name, PACKAGE);
        Ok(Self { mke2fs: find("mke2fs")?, inside: [find("e2fsck")?, find("debugfs")?] })
    }

    /// A disk with `files`, empty `folders`, and room for so many MiB more; made in `place`, which may hold an earlier one.
    ///
    /// # Errors
    /// A file cannot be written, or they do not fit.
    pub fn disk(
        &self,
        place: &Path,
        folders: &[&str],
        files: &[File],
        room: u32,
    ) -> Result<Vec<u8>, LabError> {
        let (tree, image) = (place.join("root"), place.join("root.img"));
        match std::fs::remove_dir_all(&tree) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LabError::io(tree.display().to_string())(error));
            }
            _ => {}
        }
        for folder in folders {
            make(&tree.join(folder))?;
        }
        for file in files {
            write(&tree.join(&file.path), file)?;
        }
        let mut command = Command::new(&self.mke2fs);
        // Nothing is left to be initialised later: what is written then is written by the tour.
        command.args(["-q", "-F", "-t", "ext4", "-L", "workgate"]);
        command.args(["-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", "-d"]);
        process::output(command.arg(&tree).arg(&image).arg(format!("{}M", MEBIBYTES + room)))?;
        std::fs::read(&image).map_err(LabError::io(image.display().to_string()))
    }

    /// Puts `disk` into the lab's file system, with what looks at it.
    ///
    /// # Errors
    /// A tool or a library that it needs cannot be read.
    pub fn add(&self, archive: &mut Initramfs, disk: &[u8]) -> Result<(), LabError> {
        archive.file(DISK, false, disk);
        archive.file(CHECK, true, include_bytes!("linux-check.sh"));
        for tool in &self.inside {
            let name = tool.file_name().unwrap_or_default().to_string_lossy();
            binary::add(archive, &format!("/bin/{name}"), tool)?;
        }
        Ok(())
    }
}

/// The command that looks at the disk when its Linux has gone. Its status is 0 if the file system is whole, and its files are as they were written.
pub fn check() -> String {
    format!("{CHECK} {DISK}")
}

fn make(folder: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(folder).map_err(LabError::io(folder.display().to_string()))
}

fn write(path: &Path, file: &File) -> Result<(), LabError> {
    path.parent().map_or(Ok(()), make)?;
    let mode = std::fs::Permissions::from_mode(if file.executable { 0o755 } else { 0o644 });
    let written = std::fs::write(path, file.data).and_then(|()| std::fs::set_permissions(path, mode));
    written.map_err(LabError::io(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk on which a tour has kept `data` (with the check sum of "written"), and what the script says of it.
    fn looked_at(tools: &Tools, busybox: &Path, place: &Path, data: &[u8]) -> (bool, String) {
        let mut sum = Command::new(busybox);
        let written = place.join("written");
        std::fs::write(&written, "written").expect("a file");
        let sum = process::output(sum.arg("sha256sum").arg(&written)).expect("a check sum");
        let sum = sum.replace(&*written.to_string_lossy(), "/kept/file");
        let file = |path: &str, data| File { path: path.into(), executable: false, data };
        let files = [file("kept/file", data), file("kept/sums", sum.as_bytes())];
        let disk = tools.disk(place, &["dev"], &files, 2).expect("a disk");
        let (script, image) = (place.join("check"), place.join("written.img"));
        std::fs::write(&script, include_bytes!("linux-check.sh")).expect("a file");
        std::fs::write(&image, disk).expect("a file");
        let mut shell = Command::new(busybox);
        shell.env("PATH", tools.inside[0].parent().expect("a folder"));
        let told = shell.arg("sh").arg(script).arg(image).output().expect("a shell");
        (told.status.success(), String::from_utf8_lossy(&told.stdout).into_owned())
    }

    #[test]
    fn a_disk_that_does_not_hold_what_was_written_is_found() {
        let (tools, busybox) = match (Tools::find(), process::find("busybox", "busybox-static")) {
            (Ok(tools), Ok(busybox)) => (tools, busybox),
            (Err(error), _) | (_, Err(error)) => return println!("skipped: {error}"),
        };
        let place = std::env::temp_dir().join(format!("workgate-root-disk-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a folder");
        let (good, said) = looked_at(&tools, &busybox, &place, b"written");
        assert!(good && said.ends_with("disk: 1 files are what was written\n"), "{said}");
        let (good, said) = looked_at(&tools, &busybox, &place, b"writteN");
        assert!(!good && said.ends_with("disk: WRONG: /kept/file is not what was written\n"), "{said}");
        std::fs::remove_dir_all(&place).expect("the folder is ours");
    }
}
