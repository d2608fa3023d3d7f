//! The words for looking into a machine: cores, and what reads them.

use clap::Args;
use std::path::PathBuf;

/// What can be seen of a machine on KVM from outside.
#[derive(Clone, Debug, Default, Args)]
pub struct DebugArgs {
    /// If the guest panics, hangs or stops as no guest should: write an ELF core with every kernel thread into this file, or into this folder (KVM only; docs/debugging.md)
    #[arg(long, value_name = "PATH")]
    pub core: Option<PathBuf>,
    /// Wait at HOST:PORT, :PORT or the path of a Unix socket for a debugger such as gdb (KVM only); the machine does not begin before it has come
    #[arg(long, value_name = "ADDR|PATH")]
    pub gdb: Option<String>,
    /// With --gdb: the machine runs before a debugger has come
    #[arg(long, requires = "gdb")]
    pub gdb_later: bool,
}

impl DebugArgs {
    /// The option that needs the KVM machine, if one does, and why it does.
    pub fn needs_kvm(&self) -> Option<(&'static str, &'static str)> {
        const WHY: &str = "the simulated kernel runs in this very process and has no memory of its own";
        let option = match (&self.core, &self.gdb) {
            (Some(_), _) => "--core",
            (None, Some(_)) => "--gdb",
            (None, None) => return None,
        };
        Some((option, WHY))
    }
}

/// `workgate stacks`
#[derive(Debug, Args)]
pub struct StacksArgs {
    /// A core that `--core` or `dump-guest-memory` wrote
    pub core: PathBuf,
    /// The image whose symbols name the functions; the table in the guest's own memory if not given
    #[arg(long, value_name = "ELF")]
    pub image: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate image`
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Where the image goes
    pub file: PathBuf,
    /// As the linker left it, with symbols, lines and types: for debuggers. It boots all the same
    #[arg(long)]
    pub debug: bool,
}
