//! The words of the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A test bench for device drivers: virtual hardware that misbehaves on script.
#[derive(Debug, Parser)]
#[command(name = "workgate", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 all expectations held; 1 a bug was found; 2 the request is wrong; 3 this host cannot do it."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a plan and give a verdict
    #[command(
        after_help = "Examples:\n  workgate run tests/scenarios/surprise-removal.plan\n  workgate run my.plan --machine sim --seed 7 --json"
    )]
    Run(RunArgs),
    /// Boot an image in the KVM machine, its serial console on this terminal
    #[command(
        after_help = "Example:\n  workgate boot vmlinux --cpus 2 --memory 256M --cmdline 'console=ttyS0' --plug 1=edu"
    )]
    Boot(BootArgs),
    /// List the device models, their options and their fault sites
    Devices(ListArgs),
    /// Measure this host and say what it can do and what `--machine auto` will choose
    Doctor(ListArgs),
    /// Measure the bench itself, as ratios against peers in the same run
    Bench(BenchArgs),
}

/// Where a plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MachineChoice {
    /// The virtual machine.
    Kvm,
    /// The simulator.
    Sim,
    /// KVM where ring 0 runs natively, else the simulator.
    Auto,
}

/// `workgate run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plan
    pub plan: PathBuf,
    /// Where to run it
    #[arg(long, value_enum, default_value = "auto")]
    pub machine: MachineChoice,
    /// A guest image instead of the built-in one (KVM only): any x86-64 ELF with a PVH note
    #[arg(long, value_name = "ELF")]
    pub image: Option<PathBuf>,
    /// Seed of the simulator's chooser
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Host seconds to a second of machine time on KVM, instead of what was measured: more where other work takes the processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub slow_down: Option<u64>,
    /// Write the result and the trace into this folder
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate boot`
#[derive(Debug, Args)]
pub struct BootArgs {
    /// The image: a PVH ELF, or a Linux bzImage
    pub image: PathBuf,
    /// Processors, 1 to 8
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub cpus: usize,
    /// Memory, such as 256M
    #[arg(long, default_value = "256M", value_name = "SIZE")]
    pub memory: String,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub cmdline: String,
    /// Plug a device into a slot: SLOT=DEVICE[,option=value]…; may be repeated
    #[arg(long, value_name = "SLOT=DEVICE[,k=v]")]
    pub plug: Vec<String>,
}

/// Commands that only tell something.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Figures to measure, by their names in SPECIFICATION.md; all without any
    pub figures: Vec<String>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// Exit with status 1 if a figure of SPECIFICATION.md is missed
    #[arg(long)]
    pub check: bool,
}
