//! Cores of a machine on KVM: of one that is held, and of one that has ended.

use super::{Seen, cpu};
use crate::machine::Machine;
use inspect::core::{About, CoreError, Written, write};
use inspect::{Cpu, Space};
use kvm_ioctls::VcpuFd;
use std::path::{Path, PathBuf};

/// The signal that stands for a panic (`SIGABRT`).
const ABORTED: u16 = 6;

/// What a core tells of where its machine came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The plan's name.
    pub plan: String,
    /// Where the image's kernel publishes its threads.
    pub root: Option<u64>,
    /// Where the image's table of functions is in memory.
    pub symbols: Option<u64>,
}

impl Origin {
    /// That of a machine which runs `image`.
    pub fn new(plan: &str, image: &[u8]) -> Self {
        let symbols = inspect::symbols::table_of(image);
        Self { plan: plan.to_owned(), root: inspect::root_of(image), symbols }
    }
}

/// Where a core goes: a file, or into a folder under the plan's name.
#[derive(Clone, Debug)]
pub struct CoreFile(PathBuf);

impl CoreFile {
    /// `path`, a file or a folder that is there.
    ///
    /// # Errors
    /// The folder that it would be in is not there: said before the machine runs, not after.
    pub fn new(path: &Path, plan: &str) -> Result<Self, String> {
        if path.is_dir() {
            let name = Path::new(plan).file_name().unwrap_or(std::ffi::OsStr::new("guest"));
            return Ok(Self(path.join(name).with_extension("core")));
        }
        let folder = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(format!("{}: expected a file or a folder", path.display())),
        };
        match folder.is_dir() {
            true => Ok(Self(path.to_owned())),
            false => Err(format!("{}: there is no folder {}", path.display(), folder.display())),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Writes the core of a machine that is held.
///
/// # Errors
/// See [`CoreError`].
pub fn live(machine: &Machine, cpus: usize, path: &Path, reason: &str) -> Result<Written, CoreError> {
    let number = |number| machine.hold.call(machine, number, move |vcpu| cpu(vcpu, number)).flatten();
    let cpus: Vec<Cpu> = (0..cpus).filter_map(number).collect();
    save(machine, &cpus, path, (reason, 0))
}

/// Writes the core of a machine that has ended, whose processors have been handed back. `first`: the processor that matters.
///
/// # Errors
/// See [`CoreError`].
pub fn at_end<'a>(
    machine: &Machine,
    cpus: impl Iterator<Item = &'a VcpuFd>,
    first: usize,
    path: &Path,
    reason: &str,
) -> Result<Written, CoreError> {
    let mut cpus: Vec<Cpu> = cpus.enumerate().filter_map(|(number, vcpu)| cpu(vcpu, number)).collect();
    // Stable: the others stay in order.
    cpus.sort_by_key(|cpu| cpu.number != first);
    save(machine, &cpus, path, (reason, ABORTED))
}

fn save(
    machine: &Machine,
    cpus: &[Cpu],
    path: &Path,
    (reason, signal): (&str, u16),
) -> Result<Written, CoreError> {
    let memory = Seen(&machine.memory.mmap);
    let origin = &machine.origin;
    let paging = cpus.first().map(|cpu| cpu.paging).unwrap_or_default();
    let about = About {
        version: About::VERSION,
        plan: origin.plan.clone(),
        time: machine.clock.now(),
        reason: reason.to_owned(),
        signal,
        root: origin.root,
        symbols: origin.symbols,
        threads: inspect::threads(&memory, origin.root, cpus),
    };
    write(path, &memory, &Space::new(&memory, paging).kernel_mappings(), &about)
}
