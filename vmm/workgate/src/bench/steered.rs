//! The control socket of a machine in a process of its own: how long an answer takes during a storm, and a core.

use super::child::{self, Running};
use super::context::Context;
use super::report::{Part, Row};
use crate::control::Client;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A storm that does not end, with work beside it; whoever measures ends the machine.
const STORM: &str = "machine cpus=2 memory=64M\n\
    plug edu0 edu slot=1\n\
    plug disk0 virtio-blk slot=2 size=1M\n\
    load edu0 clients=2 depth=4\n\
    load disk0 clients=2 depth=4\n\
    at 1ms storm edu0 rate=100kHz for=1000s\n\
    run for=1000s\n";
/// Questions to one machine.
const QUESTIONS: usize = 2_000;
/// The same on KVM, and cores.
const FEW: usize = 200;
const CORES: usize = 5;
/// How long a machine may take to listen, and to get ready.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it is tried.
const TURN: Duration = Duration::from_millis(10);
/// Machine time of the guest at which it surely works, ns.
const AT_WORK: u64 = 2_000_000;

/// Asks a machine whether it runs, again and again.
pub fn answers(context: &Context) -> Vec<Row> {
    vec![Row::new("qmp-answer", both(context))]
}

/// Writes cores of a machine with 64 MiB.
pub fn cores(context: &Context) -> Vec<Row> {
    vec![Row::new("core", core(context))]
}

fn both(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let simulator = asked(context, "sim", QUESTIONS)?;
    let mut parts = parts("simulator", &simulator);
    // What a host without KVM lacks is named by the figures that need it.
    if context.host.is_ok() {
        parts.extend(self::parts("KVM", &asked(context, "kvm", FEW)?));
    }
    Ok((of(&simulator, 50), parts))
}

fn parts(machine: &str, times: &[f64]) -> Vec<Part> {
    let part = |what: &str, percent| Part::new(format!("{machine}, {what}"), of(times, percent), "ms");
    vec![part("median", 50), part("99 of 100", 99), part("the slowest", 100)]
}

/// Round trips of `query-status`, ms, sorted.
fn asked(context: &Context, machine: &str, questions: usize) -> Result<Vec<f64>, String> {
    let (_child, mut client) = at_work(context, machine)?;
    let mut times = Vec::with_capacity(questions);
    for _ in 0..questions {
        context.stop.check()?;
        let begin = Instant::now();
        let status = client.ask("query-status", json!({})).map_err(|failure| failure.message)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        if status["running"] != json!(true) {
            return Err(format!("the machine does not run: {status}"));
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The time below which so many of 100 are.
fn of(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}

fn core(context: &Context) -> Result<(f64, Vec<Part>), String> {
    context.host.as_ref().map_err(Clone::clone)?;
    let (_child, mut client) = at_work(context, "kvm")?;
    let path = context.file("bench.core", b"")?;
    let arguments = json!({"paging": false, "protocol": format!("file:{}", path.display())});
    let mut times = Vec::with_capacity(CORES);
    for _ in 0..CORES {
        context.stop.check()?;
        let begin = Instant::now();
        client.ask("dump-guest-memory", arguments.clone()).map_err(|failure| failure.message)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let stored = stored(&path)?;
    let parts = vec![
        Part::new("the slowest", of(&times, 100), "ms"),
        Part::new("on disk, pages of zeros left out", stored, "MiB"),
    ];
    Ok((of(&times, 50), parts))
}

/// What a file takes of the disk, MiB.
fn stored(path: &Path) -> Result<f64, String> {
    use std::os::unix::fs::MetadataExt;
    /// Bytes of a block of `st_blocks`, whatever the file system's are (stat(2)).
    const BLOCK: u64 = 512;
    let data = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((data.blocks() * BLOCK) as f64 / f64::from(1 << 20))
}

/// A machine in its storm.
fn at_work(context: &Context, machine: &str) -> Result<(Running, Client), String> {
    let plan = context.file("storm.plan", STORM.as_bytes())?;
    let socket = plan.with_file_name(format!("{machine}.sock"));
    let mut command = Command::new(&context.executable);
    command.args(["run", "--machine", machine, "--control"]).arg(&socket).arg(&plan);
    let child = child::spawn(&mut command, Stdio::null())?;
    let mut client = connect(context, &socket)?;
    let begin = Instant::now();
    loop {
        context.stop.check()?;
        let status = client.ask("query-status", json!({})).map_err(|failure| failure.message)?;
        if status["x-workgate-plan-time"].as_u64().is_some_and(|time| time >= AT_WORK) {
            return Ok((child, client));
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!("the machine does not get to work: {status}"));
        }
        std::thread::sleep(TURN);
    }
}

fn connect(context: &Context, socket: &Path) -> Result<Client, String> {
    let begin = Instant::now();
    loop {
        context.stop.check()?;
        match Client::connect(socket) {
            Ok(client) => return Ok(client),
            Err(failure) if begin.elapsed() > PATIENCE => return Err(failure.message),
            Err(_) => std::thread::sleep(TURN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!((of(&times, 50), of(&times, 99), of(&times, 100)), (50.0, 99.0, 100.0));
        assert!(of(&[], 50).is_nan());
    }
}
