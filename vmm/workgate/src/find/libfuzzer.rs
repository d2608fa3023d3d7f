//! `--engine libfuzzer`: cargo-fuzz looks for inputs, this program files them.

use super::{fuzz, keeper::Keeper};
use crate::cli::FuzzArgs;
use crate::exit::Failure;
use fuzzing::Target;
use fuzzing::engine::Summary;
use fuzzing::libfuzzer::variables;
use fuzzing::targets::Setting;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Runs cargo-fuzz and files what it found.
pub fn run(
    args: &FuzzArgs,
    target: &Arc<dyn Target>,
    setting: &Setting,
    end: Option<Duration>,
    keeper: &mut Keeper<'_>,
) -> Result<Summary, Failure> {
    if args.shard != (0, 1) {
        return Err(Failure::request("--shard goes with `--engine own`"));
    }
    if fuzzing::targets::names().all(|name| name != args.target) {
        return Err(Failure::request(format_args!("`{}` goes with `--engine own`", args.target)));
    }
    let folder = folder()?;
    let nightly = tools(&folder)?;
    let own = std::env::temp_dir().join(format!("workgate-libfuzzer-{}", std::process::id()));
    let (found, seeds) = (own.join("found"), own.join("seeds"));
    let failed = |error: std::io::Error| Failure::host(format_args!("cannot use {}: {error}", own.display()));
    std::fs::create_dir_all(&found).map_err(failed)?;
    std::fs::create_dir_all(&seeds).map_err(failed)?;
    for (number, seed) in target.seeds().iter().enumerate() {
        std::fs::write(seeds.join(format!("seed-{number:03}")), seed).map_err(failed)?;
    }
    // Inputs of a plan or a driver of the user's mean little to anybody else.
    let variables = variables(setting);
    let common =
        if variables.is_empty() { folder.join("corpus").join(&args.target) } else { own.join("corpus") };
    let corpus = args.corpus.clone().unwrap_or(common);
    let corpus = std::path::absolute(corpus).map_err(failed)?;
    std::fs::create_dir_all(&corpus).map_err(failed)?;
    let status = command(args, end, &nightly, &found)
        .current_dir(&folder)
        .envs(variables)
        .args([&corpus, &seeds])
        .status()
        .map_err(|error| Failure::host(format_args!("cannot run cargo: {error}")))?;
    let mut summary = Summary::default();
    for (number, entry) in std::fs::read_dir(&found).map_err(failed)?.enumerate() {
        let input = crate::load::bytes("input", &entry.map_err(failed)?.path())?;
        summary.runs += 1;
        fuzz::foreign(&**target, number as u64, input, &mut summary, keeper);
    }
    // What is worth keeping is in the folder of findings by now.
    let _ = std::fs::remove_dir_all(&own);
    // What an input broke, libFuzzer leaves as a file; without one, a failure is not an input's.
    if !status.success() && summary.runs == 0 {
        return Err(Failure::host(format_args!("cargo fuzz ended with {status}; its own message is above")));
    }
    Ok(summary)
}

/// The `fuzz` folder of the source tree that this is run in.
fn folder() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::host(format_args!("cannot tell the current folder: {error}")))?;
    let found = here.ancestors().map(|folder| folder.join("fuzz")).find(|folder| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.contains("workgate-fuzz"))
    });
    found.ok_or_else(|| {
        Failure::host(format_args!(
            "--engine libfuzzer needs Workgate's source tree, and there is none at {} or above it; `--engine own` needs nothing",
            here.display()
        ))
    })
}

/// Looks for what cargo-fuzz needs: the name of the nightly toolchain, or what is missing.
fn tools(folder: &Path) -> Result<String, Failure> {
    let output = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(folder).stderr(Stdio::null()).output();
        output.ok().filter(|output| output.status.success())
    };
    let toolchains = output("rustup", &["toolchain", "list"]);
    let toolchains = toolchains.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let nightly =
        toolchains.as_deref().unwrap_or_default().split_whitespace().find(|word| word.starts_with("nightly"));
    let mut missing = Vec::new();
    if nightly.is_none() {
        missing.push("a nightly toolchain (rustup toolchain install nightly --profile minimal)");
    }
    if output("cargo", &["fuzz", "--version"]).is_none() {
        missing.push("cargo-fuzz (cargo install cargo-fuzz --locked)");
    }
    if output("c++", &["--version"]).is_none() {
        missing.push("a C++ compiler");
    }
    match (nightly, missing.is_empty()) {
        (Some(nightly), true) => Ok(nightly.to_owned()),
        _ => Err(Failure::host(format_args!(
            "--engine libfuzzer: missing {}; `--engine own` needs nothing",
            missing.join("; ")
        ))),
    }
}

/// The command but for the folders of inputs.
fn command(args: &FuzzArgs, end: Option<Duration>, nightly: &str, found: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.env_remove("RUSTUP_TOOLCHAIN");
    command.arg(format!("+{nightly}")).args(["fuzz", "run", "--sanitizer", "none", &args.target]);
    command.arg("--").arg(format!("-artifact_prefix={}/", found.display()));
    command.arg(format!("-timeout={}", args.patience.as_secs()));
    // Processes of its own run all seeds before they look at the time, and keep none that breaks something; one process ends at that seed.
    match (args.first, args.jobs()) {
        (true, 1) => {}
        (true, jobs) => drop(command.arg(format!("-fork={jobs}"))),
        (false, jobs) => drop(command.arg(format!("-fork={jobs}")).arg("-ignore_crashes=1")),
    }
    command.arg(format!("-seed={}", args.seed as u32));
    if let Some(runs) = args.runs {
        command.arg(format!("-runs={runs}"));
    }
    if let Some(end) = end {
        command.arg(format!("-max_total_time={}", end.as_secs()));
    }
    if args.target == "plan_text" {
        command.arg("-dict=plan.dict");
    }
    if args.json {
        command.stdout(Stdio::null());
    }
    command
}
