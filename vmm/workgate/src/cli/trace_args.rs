//! The words of `workgate trace`.

use crate::script::ScriptArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How a trace is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// A line for each event, for people.
    Text,
    /// A JSON document for each event, one a line.
    Json,
    /// One document in the trace-event format, for Perfetto and Chrome.
    Chrome,
    /// Processor time in folded stacks, a line for each, in ns of machine time: what flame graphs are made of.
    Folded,
}

/// `workgate trace`
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// A trace (trace.bin of --report), the folder of a report, or a plan or capsule, which runs in the simulator
    pub file: PathBuf,
    /// Follow a machine that runs: FILE is the control socket that it was given with --control
    #[arg(long)]
    pub follow: bool,
    /// How it is told
    #[arg(long, value_enum, default_value = "text")]
    pub format: TraceFormat,
    /// Write into this file instead of the standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only what this CPU recorded; may be repeated
    #[arg(long, value_name = "N")]
    pub cpu: Vec<u8>,
    /// Only what this thread did: its name, its number, or NAME#NUMBER; may be repeated
    #[arg(long, value_name = "THREAD")]
    pub thread: Vec<String>,
    /// Only what belongs to this device of the plan, or to slotN; may be repeated
    #[arg(long, value_name = "NAME")]
    pub device: Vec<String>,
    /// Only events of this kind, such as gate.close, or gate for all that begin so; may be repeated
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Only from this plan time on
    #[arg(long, value_name = "TIME", value_parser = plan_time)]
    pub from: Option<u64>,
    /// Only up to this plan time
    #[arg(long, value_name = "TIME", value_parser = plan_time)]
    pub to: Option<u64>,
    /// At most so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Seed of the simulator's chooser, for a plan
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

/// A moment of the plan's clock, in ns.
fn plan_time(text: &str) -> Result<u64, String> {
    devices::fault::plan::units::TIME
        .parse(text, &(0..=u64::MAX))
        .map_err(|error| format!("{error}; expected a time such as 500us or 2ms"))
}
