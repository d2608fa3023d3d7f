//! The words of the control socket.

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
