//! The words of the control socket, and of the commands that look at a machine through it.

use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

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

/// `workgate top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The control socket of a machine that runs
    pub socket: PathBuf,
    /// Host milliseconds from one look to the next
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub interval: u64,
    /// Print one sample as text, what the machine did since its beginning; so without a terminal
    #[arg(long)]
    pub once: bool,
    /// Columns of such a text or picture
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(10..=400))]
    pub columns: u16,
    /// Write one sample as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

impl TopArgs {
    /// From one look to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval)
    }
}
