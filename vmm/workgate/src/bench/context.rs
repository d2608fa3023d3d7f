//! What every measurement needs: the host, this executable, a folder for files.

use super::qemu;
use super::stop::Stop;
use crate::exit::Failure;
use std::path::PathBuf;
use vmm::probe::HostReport;

/// See the module.
#[derive(Debug)]
pub struct Context {
    /// Ctrl-C.
    pub stop: Stop,
    /// What this host's KVM is, or why there is none.
    pub host: Result<HostReport, String>,
    /// QEMU's version, or why there is none.
    pub qemu: Result<String, String>,
    /// This program.
    pub executable: PathBuf,
    folder: PathBuf,
}

impl Context {
    /// Looks at the host.
    ///
    /// # Errors
    /// No folder for temporary files, or this program cannot find itself.
    pub fn new() -> Result<Self, Failure> {
        let stop = Stop::listen();
        let executable = std::env::current_exe()
            .map_err(|error| Failure::host(format_args!("cannot find this executable: {error}")))?;
        let folder = std::env::temp_dir().join(format!("workgate-bench-{}", std::process::id()));
        std::fs::create_dir(&folder)
            .map_err(|error| Failure::host(format_args!("cannot make {}: {error}", folder.display())))?;
        let host = vmm::probe::quick().map_err(|error| error.to_string());
        Ok(Self { stop, host, qemu: qemu::version(), executable, folder })
    }

    /// Writes a temporary file, which goes with the context.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    /// The guest image as a file.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn image(&self) -> Result<PathBuf, String> {
        self.file("image.elf", guest_image::IMAGE)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // What cannot be removed stays behind in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
