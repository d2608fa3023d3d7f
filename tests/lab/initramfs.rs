//! An initial root file system as the kernel takes it: a cpio archive in the "newc" form, uncompressed
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;

/// File type bits of a mode.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that is being written.
pub struct Initramfs {
    bytes: Vec<u8>,
    /// Names of folders, files and links.
    names: BTreeSet<String>,
    inode: u32,
}

impl Initramfs {
    /// An empty archive.
    pub fn new() -> Self {
        Self { bytes: Vec::new(), names: BTreeSet::new(), inode: 0 }
    }

    /// True if there is something at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.names.contains(path.trim_matches('/'))
    }

    /// Adds a file at `path` (a leading `/` is allowed), with the folders above it.
    pub fn file(&mut self, path: &str, executable: bool, data: &[u8]) {
        let mode = if executable { 0o755 } else { 0o644 };
        self.with_parents(path, FILE | mode, data);
    }

    /// Adds a symbolic link at `path` that leads to `target`.
    pub fn link(&mut self, path: &str, target: &str) {
        self.with_parents(path, LINK | 0o777, target.as_bytes());
    }

    /// Adds a folder and those above it.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || !self.names.insert(path.into()) {
            return;
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.record(path, DIRECTORY | 0o755, &[]);
    }

    /// The archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.record("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn with_parents(&mut self, path: &str, mode: u32, data: &[u8]) {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.names.insert(path.into());
        self.record(path, mode, data);
    }

    /// One record: magic, thirteen fields of eight hexadecimal digits, the name, the data; each part padded to four bytes.
    fn record(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.inode += 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let (uid, gid, time) = (0, 0, 0);
        let (major, minor, raw_major, raw_minor) = (0, 0, 0, 0);
        let sizes = (data.len() as u32, name.len() as u32 + 1);
        let check = 0;
        let fields = [
            self.inode, mode, uid, gid, links, time, sizes.0, major, minor, raw_major, raw_minor, sizes.1,
            check,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_padded_and_parents_come_first() {
        let mut archive = Initramfs::new();
        archive.file("/usr/bin/x", true, b"abc");
        archive.link("bin", "usr/bin");
        assert!(archive.has("/usr/bin/x") && archive.has("usr") && archive.has("bin") && !archive.has("x"));
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
        assert!(at("usr\0") < at("usr/bin\0") && at("usr/bin\0") < at("usr/bin/x\0"));
        assert!(at("usr/bin/x\0") < at("TRAILER!!!"));
        assert_eq!(text.matches("070701").count(), 5);
        // Mode and size of the file: fields 2 and 7.
        let record = &text[at("usr/bin/x\0") - 110..];
        assert_eq!((&record[14..22], &record[54..62]), ("000081ed", "00000003"));
    }
}
