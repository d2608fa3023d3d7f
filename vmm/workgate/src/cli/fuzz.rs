//! The words of `fuzz` and `merge`.

use super::{host_time, jobs, shard};
use crate::script::ScriptArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// What drives a fuzz target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// This program, guided by the trace. Needs nothing.
    Own,
    /// libFuzzer, guided by instrumented code. Needs the source tree, a nightly toolchain, cargo-fuzz and a C++ compiler.
    Libfuzzer,
}

/// `workgate fuzz`
#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// What to fuzz: teardown, steady, schedules, user_client, mach_messages, plan_text, pci, pci_config, virtqueues, xhci, kvm-image …
    pub target: String,
    /// How long, such as 30s or 5m (10s if nothing else ends it)
    #[arg(long, value_name = "T", value_parser = host_time)]
    pub time: Option<Duration>,
    /// Most inputs to run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// OS threads; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,
    /// This part of the work: I/N, I from 0
    #[arg(long, value_name = "I/N", default_value = "0/1", value_parser = shard)]
    pub shard: (u64, u64),
    /// What inputs are made from: the same seed and --runs give the same campaign
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The plan that inputs vary (teardown, steady, schedules)
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Give a device or all of a model another driver: DEVICE=DRIVER; may be repeated (teardown, steady, schedules)
    #[arg(long, value_name = "DEVICE=DRIVER", value_parser = driver)]
    pub driver: Vec<(String, String)>,
    /// Begin with the inputs in this folder, and keep new ones there
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// Run this one input, and tell what it means
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "time", "corpus", "report"])]
    pub input: Option<PathBuf>,
    /// How long one input may take before it counts as a hang
    #[arg(long, value_name = "T", default_value = "60s", value_parser = host_time)]
    pub patience: Duration,
    /// What looks for inputs
    #[arg(long, value_enum, default_value = "own")]
    pub engine: Engine,
    /// End at the first bug
    #[arg(long)]
    pub first: bool,
    /// Keep bugs as they were found
    #[arg(long)]
    pub no_shrink: bool,
    /// Where plans, capsules and findings.jsonl go if something is found
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Write the report into this folder: a page, JUnit XML, JSON, and the files of the bugs
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

impl FuzzArgs {
    /// OS threads.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// A device and its driver.
pub fn driver(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(device, driver)| !device.is_empty() && !driver.is_empty());
    let (device, driver) =
        parts.ok_or_else(|| "expected DEVICE=DRIVER, such as edu=zoo-close-early".to_owned())?;
    Ok((device.to_owned(), driver.to_owned()))
}

/// `workgate merge`
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Result folders
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
    /// Where the joined result goes
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Write the report into this folder: a page, JUnit XML, JSON, and the files of the bugs
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}
