//! The words of the control socket, and of the commands that look at a machine through it.

use clap::Args;
use std::path::PathBuf;

/// `--control`, of the commands that run one machine.
#[derive(Clone, Debug, Default, Args)]
pub struct ControlArgs {
    /// Listen on this Unix socket for commands in the QEMU Machine Protocol (docs/control.md)
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// With --control: the machine does not begin before `cont`
    #[arg(long, requires = "control")]
    pub paused: bool,
}

/// `workgate ioreg`
#[derive(Debug, Args)]
pub struct LookArgs {
    /// The control socket of a machine that runs
    pub socket: PathBuf,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate classcount`
#[derive(Debug, Args)]
pub struct ClassCountArgs {
    /// Where to look
    #[command(flatten)]
    pub look: LookArgs,
    /// Classes; all that have instances if none is named
    pub classes: Vec<String>,
}
