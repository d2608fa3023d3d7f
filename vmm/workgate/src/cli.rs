//! The words of the command line.

mod console_args;
mod control_args;
mod cycle_args;
mod debug_args;
mod fuzz;
mod stop_at;
mod trace_args;

pub use console_args::ConsoleArgs;
pub use control_args::{ClassCountArgs, ControlArgs, LookArgs, TopArgs};
pub use cycle_args::{CycleArgs, What};
pub use debug_args::{DebugArgs, ImageArgs, StacksArgs};
pub use fuzz::{Engine, FuzzArgs, MergeArgs};
pub use stop_at::{EXPECTED, StopAt};
pub use trace_args::{TraceArgs, TraceFormat};

use crate::script::ScriptArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

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
        after_help = "Examples:\n  workgate run tests/scenarios/surprise-removal.plan\n  workgate run tests/scenarios/*.plan --machine sim\n  workgate run my.plan --machine sim --seed 7 --json\n  workgate run my.plan --control /tmp/wg.sock --paused      (and then: qmp-shell /tmp/wg.sock)"
    )]
    Run(RunArgs),
    /// Boot an image in the KVM machine, its serial console on this terminal
    #[command(
        after_help = "Example:\n  workgate boot vmlinux --cpus 2 --memory 256M --cmdline 'console=ttyS0' --plug 1=edu\n  workgate boot bzImage --initrd initrd --cmdline 'console=ttyS0' --plan removal.plan\n  workgate boot vmlinux --plug 1=edu --control /tmp/wg.sock"
    )]
    Boot(BootArgs),
    /// Run many schedules of a plan, or pull a card out at every event, and keep what breaks
    #[command(
        after_help = "Examples:\n  workgate explore my.plan --chooser pct --time 1m\n  workgate explore my.plan --removal all --pairs --report report\n  workgate explore my.plan --chooser exhaustive --depth 1"
    )]
    Explore(ExploreArgs),
    /// Let bytes mean plans, schedules or accesses, change what reaches something new, and keep what breaks
    #[command(
        after_help = "Examples:\n  workgate fuzz teardown --time 60s\n  workgate fuzz teardown --driver edu=zoo-close-early --runs 5000\n  workgate fuzz schedules --plan my.plan --jobs 4\n  workgate fuzz pci --engine libfuzzer --time 10m"
    )]
    Fuzz(FuzzArgs),
    /// Let a device, its driver or its clients come and go, pass after pass, and watch what grows
    #[command(
        after_help = "Examples:\n  workgate cycle my.plan\n  workgate cycle my.plan --what open --device disk0 --passes 1000 --out passes.csv\n  workgate cycle my.plan --what load --driver edu=zoo-instance-leak-fixed --period 2ms"
    )]
    Cycle(CycleArgs),
    /// Join the result folders of explore and fuzz runs that were cut into shards
    #[command(after_help = "Example:\n  workgate merge shard-0 shard-1 shard-2 --out findings")]
    Merge(MergeArgs),
    /// Make a bug small: fewer statements, fewer deviations of the schedule, the same rule broken
    #[command(
        after_help = "Example:\n  workgate shrink tests/scenarios/close-early.plan --out small.capsule"
    )]
    Shrink(ShrinkArgs),
    /// Run a capsule (or a plan) again, event by event
    #[command(
        after_help = "Examples:\n  workgate replay findings/io-lost.capsule\n  workgate replay findings/io-lost.capsule --stop-at willTerminate\n  workgate replay findings/io-lost.capsule --machine kvm"
    )]
    Replay(ReplayArgs),
    /// Print, filter or convert the trace of a run
    #[command(
        after_help = "Examples:\n  workgate trace report/trace.bin --device edu0 --from 1ms --to 2ms\n  workgate trace my.plan --kind gate --thread IOConfigThread\n  workgate trace report --format chrome --out trace.json      (opens in ui.perfetto.dev)\n  workgate trace --follow /tmp/wg.sock --kind gate"
    )]
    Trace(TraceArgs),
    /// Print the IOKit registry of a machine that runs with --control
    #[command(after_help = "Example:\n  workgate ioreg /tmp/wg.sock")]
    Ioreg(LookArgs),
    /// Print how many instances each class has, in a machine that runs with --control
    #[command(
        after_help = "Examples:\n  workgate classcount /tmp/wg.sock\n  workgate classcount /tmp/wg.sock EduDriver IOPCIDevice"
    )]
    Classcount(ClassCountArgs),
    /// Watch a machine that runs with --control: threads, bands, gates, interrupts, wake-up latencies
    #[command(
        after_help = "Examples:\n  workgate top /tmp/wg.sock\n  workgate top /tmp/wg.sock --once --columns 80"
    )]
    Top(TopArgs),
    /// Print every kernel thread of a core with its stack, and who has which gate
    #[command(
        after_help = "Examples:\n  workgate run my.plan --machine kvm --core /tmp\n  workgate stacks /tmp/my.core\n  workgate image guest.elf --debug && gdb guest.elf /tmp/my.core"
    )]
    Stacks(StacksArgs),
    /// Write the built-in guest image into a file, for debuggers and other machines
    #[command(after_help = "Example:\n  workgate image guest.elf --debug && gdb guest.elf my.core")]
    Image(ImageArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  workgate completions bash > ~/.local/share/bash-completion/completions/workgate\n  workgate completions fish > ~/.config/fish/completions/workgate.fish"
    )]
    Completions(CompletionsArgs),
    /// Write the manual pages, one for each command
    #[command(after_help = "Example:\n  workgate man ~/.local/share/man/man1")]
    Man(ManArgs),
    /// Print the plan that a script generates
    #[command(after_help = "Example:\n  workgate plan sweep.rhai --set cards=4 > sweep.plan")]
    Plan(PlanArgs),
    /// List and check the driver bundles of the guest: versions, libraries, classes, what they match
    #[command(after_help = "Examples:\n  workgate bundles\n  workgate bundles edu storage --json")]
    Bundles(BundlesArgs),
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
    /// The plan; several run one after the other
    #[arg(required = true, value_name = "PLAN")]
    pub plans: Vec<PathBuf>,
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
    /// Write the result and the trace into this folder; of several plans, into a folder there for each
    #[arg(long, value_name = "DIR", conflicts_with = "collect")]
    pub report: Option<PathBuf>,
    /// Write what was exercised (steps of teardown, sites, rule checks) as an lcov tracefile, with its lists beside it
    #[arg(long, value_name = "FILE")]
    pub lcov: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// The console, and a collection
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The control socket
    #[command(flatten)]
    pub control: ControlArgs,
    /// Cores and debuggers
    #[command(flatten)]
    pub debug: DebugArgs,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

/// `workgate boot`
#[derive(Debug, Args)]
pub struct BootArgs {
    /// The image: a PVH ELF, or a Linux bzImage
    pub image: PathBuf,
    /// A plan: the machine, its devices, and when what goes wrong with them, instead of the options for that. Its `run` says only until when rules may act
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cpus", "memory", "plug"])]
    pub plan: Option<PathBuf>,
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
    /// Plug a device into a slot: SLOT=DEVICE[,option=value]…; or, behind one, into a port: SLOT.PORT=DEVICE. May be repeated
    #[arg(long, value_name = "SLOT=DEVICE[,k=v]")]
    pub plug: Vec<String>,
    /// The console, and a collection
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The control socket
    #[command(flatten)]
    pub control: ControlArgs,
    /// Cores and debuggers
    #[command(flatten)]
    pub debug: DebugArgs,
}

/// Commands that only tell something.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate bundles`
#[derive(Debug, Args)]
pub struct BundlesArgs {
    /// Identifiers, or their last parts (`edu`, `family.usb`); all without any
    pub bundles: Vec<String>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
}

/// `workgate bench`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// Instead of the figures
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// Figures to measure, by their names in SPECIFICATION.md; all without any
    pub figures: Vec<String>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// Exit with status 1 if a figure of SPECIFICATION.md is missed
    #[arg(long)]
    pub check: bool,
}

/// Measurements with words of their own.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Executions and time to find each bug of the zoo, by method, with the fixed twins beside them: exit status 1 if one of these is accused
    #[command(
        after_help = "Examples:\n  workgate bench find\n  workgate bench find lock-order reentry --limit 10s --json"
    )]
    Find(FindArgs),
}

/// `workgate bench find`
#[derive(Debug, Args)]
pub struct FindArgs {
    /// Bugs, by their names in docs/zoo.md; all without any
    pub bugs: Vec<String>,
    /// Longest time for a bug and a method, such as 30s (60s if not given)
    #[arg(long, value_name = "T", value_parser = host_time)]
    pub limit: Option<Duration>,
    /// Most executions for a bug and a method
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub executions: u64,
    /// Executions of each fixed twin for a method, at the least
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub twins: u64,
    /// Seed of every hunt: the same seed takes the same executions
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Hunts at a time; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,
    /// The stress loops on KVM also where KVM interprets guest instructions
    #[arg(long)]
    pub kvm: bool,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// Exit with status 1 if a figure of SPECIFICATION.md is missed
    #[arg(long)]
    pub check: bool,
}

impl FindArgs {
    /// Hunts at a time.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// Who decides what a plan leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChooserChoice {
    /// Pseudo-random, a seed each.
    Random,
    /// Ranked CPUs and a few changes of mind: finds a bug of depth d with a known probability.
    Pct,
    /// Steps between blocking locks in the order of random ranks (partial order sampling).
    Pos,
    /// Every schedule with at most --depth deviations.
    Exhaustive,
}

/// What `--removal` pulls out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RemovalChoice {
    /// Every device of the plan.
    All,
}

/// `workgate explore`
#[derive(Debug, Args)]
pub struct ExploreArgs {
    /// The plan
    pub plan: PathBuf,
    /// Most schedules to run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: Option<u64>,
    /// How long, such as 30s or 5m (10s if nothing else ends it)
    #[arg(long, value_name = "T", value_parser = host_time)]
    pub time: Option<Duration>,
    /// Who decides what the plan leaves open
    #[arg(long, value_enum, default_value = "random", conflicts_with = "removal")]
    pub chooser: ChooserChoice,
    /// Most changes of mind (pct) or deviations (exhaustive, up to 3)
    #[arg(long, value_name = "D", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub depth: u32,
    /// OS threads; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,
    /// Pull the cards out at every event of a reference run instead
    #[arg(long, value_enum, value_name = "all")]
    pub removal: Option<RemovalChoice>,
    /// With --removal: at events that are alike, too
    #[arg(long, requires = "removal")]
    pub every: bool,
    /// With --removal: each removal also together with interrupts, and with a timer
    #[arg(long, requires = "removal")]
    pub pairs: bool,
    /// With --removal: each removal of a card also in order, by the attention button
    #[arg(long, requires = "removal")]
    pub eject: bool,
    /// With --removal: how much of the plan's time to look at, such as 500us; until everything is at work, and 1 ms more, if not given
    #[arg(long, requires = "removal", value_name = "TIME", value_parser = machine_time)]
    pub horizon: Option<u64>,
    /// This part of the work: I/N, I from 0
    #[arg(long, value_name = "I/N", default_value = "0/1", value_parser = shard)]
    pub shard: (u64, u64),
    /// Go on after the first bug (a removal matrix always does)
    #[arg(long)]
    pub keep_going: bool,
    /// Keep bugs as they were found
    #[arg(long)]
    pub no_shrink: bool,
    /// Where capsules and findings.jsonl go if something is found
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Write what was exercised (steps of teardown, sites, rule checks) as an lcov tracefile, with its lists beside it
    #[arg(long, value_name = "FILE")]
    pub lcov: Option<PathBuf>,
    /// Write the report into this folder: a page, JUnit XML, JSON, and the files of the bugs
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Write the page alone
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

impl ExploreArgs {
    /// OS threads.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// OS threads: as said, or as many as there are cores.
fn jobs(asked: Option<u64>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(cores, |jobs| jobs as usize)
}

/// `workgate shrink`
#[derive(Debug, Args)]
pub struct ShrinkArgs {
    /// A plan that fails, or a capsule
    pub file: PathBuf,
    /// The seed under which the plan fails; without it, the first that does is looked for
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The capsule to write; FILE.small.capsule if not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

/// `workgate replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A capsule, or a plan
    pub file: PathBuf,
    /// Stop behind this event and show what came before: its number in the trace, or a word with #N, such as willTerminate#2, alarm,
    /// removal or edu0.io.issue#40; under gdb, stand there (docs/debugging.md)
    #[arg(long, value_name = "EVENT", value_parser = stop_at::stop_at)]
    pub stop_at: Option<StopAt>,
    /// Where to run it
    #[arg(long, value_enum, default_value = "sim")]
    pub machine: MachineChoice,
    /// Seed of the simulator's chooser, for a plan
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Host seconds to a second of machine time on KVM
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub slow_down: Option<u64>,
    /// Print one machine-readable document
    #[arg(long)]
    pub json: bool,
    /// For a script in place of a plan
    #[command(flatten)]
    pub script: ScriptArgs,
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts =
        text.split_once('/').and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    let good = parts.filter(|(index, count)| index < count);
    good.ok_or_else(|| "expected I/N with I below N, such as 0/4".to_owned())
}

/// A time of the host's clock.
fn host_time(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as 30s, 5m or 2h".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let number = number.parse::<u64>().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|s| (1..=864_000).contains(s))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// A time of the machine's clock, in ns, as plans write it.
fn machine_time(text: &str) -> Result<u64, String> {
    let range = 1_000..=3_600_000_000_000;
    devices::fault::plan::units::TIME
        .parse(text, &range)
        .map_err(|error| format!("{error}; expected a time such as 500us or 2ms"))
}

/// `workgate completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `workgate man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write into; it is made if it is not there
    pub folder: PathBuf,
}

/// `workgate plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The script
    pub script_file: PathBuf,
    /// What it is given
    #[command(flatten)]
    pub script: ScriptArgs,
}
