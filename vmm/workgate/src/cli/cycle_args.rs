//! The words of `cycle`.

use super::{MachineChoice, fuzz, machine_time};
use crate::script::ScriptArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The device, by surprise: it is pulled out, and put back.
    Plug,
    /// The card, in order: its attention button is pressed, and it is put back.
    Eject,
    /// The driver: its bundle is unloaded, and loaded again.
    Load,
    /// The clients: they close their connections, and open others.
    Open,
}

/// `workgate cycle`
#[derive(Debug, Args)]
pub struct CycleArgs {
    /// The plan: machine, devices, threads and loads. Its rules and expectations are left out
    pub plan: PathBuf,
    /// What comes and goes
    #[arg(long, value_enum, default_value = "plug")]
    pub what: What,
    /// The device, by its name in the plan; not needed if only one has a load
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Passes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub passes: u64,
    /// From one pass to the next, such as 2ms of machine time, half of it with the device there; flat out if not given
    #[arg(long, value_name = "T", value_parser = machine_time)]
    pub period: Option<u64>,
    /// Requests that come back in a pass before it goes, at the least
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub requests: u64,
    /// Where to run it
    #[arg(long, value_enum, default_value = "auto")]
    pub machine: MachineChoice,
    /// Seed of the simulator's chooser
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Host seconds to a second of machine time on KVM, instead of what was measured: more where other work takes the processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub slow_down: Option<u64>,
    /// Give a device or all of a model another driver: DEVICE=DRIVER; may be repeated
    #[arg(long, value_name = "DEVICE=DRIVER", value_parser = fuzz::driver)]
    pub driver: Vec<(String, String)>,
    /// Write every figure of every pass into this file, as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}
