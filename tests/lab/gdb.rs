//! The gdb leg: Debian's gdb on a live machine, and on a core of it, with the kernel's threads.

use crate::Request;
use crate::binary;
use crate::error::LabError;
use crate::process::{self, Running};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The plan that runs: a card goes, so that its driver is told to terminate.
const PLAN: &str = "tests/scenarios/both-machines.plan";
/// What gdb does with the machine.
const SCRIPT: &str = "tests/lab/gdb.gdb";
/// Names for a core's threads.
const NAMES: &str = "vmm/workgate/gdb/threads.py";
/// How long a machine may say nothing.
const SILENCE: Duration = Duration::from_secs(300);

/// Runs gdb.
///
/// # Errors
/// gdb or KVM is missing, or something did not hold.
pub fn run(request: &Request) -> Result<(), LabError> {
    let gdb = process::find("gdb", "gdb")?;
    if !Path::new("/dev/kvm").exists() {
        return Err(LabError::missing("/dev/kvm", "a host with KVM, of any kind"));
    }
    let workgate = std::path::absolute(binary::workgate(request, "gdb")?)
        .map_err(LabError::io("the workgate binary"))?;
    let folder = process::folder()?.join("gdb");
    std::fs::create_dir_all(&folder).map_err(LabError::io(folder.display().to_string()))?;
    let image = folder.join("guest.elf");
    process::output(Command::new(&workgate).arg("image").arg(&image).arg("--debug"))?;
    live(&gdb, &workgate, &image, &folder)?;
    core(&gdb, &workgate, &image, &folder)
}

/// A live machine, broken in a driver's willTerminate.
fn live(gdb: &Path, workgate: &Path, image: &Path, folder: &Path) -> Result<(), LabError> {
    let socket = folder.join("gdb.sock");
    let log = folder.join("live-run.log");
    let mut command = Command::new(workgate);
    command.current_dir(process::root()).args(["run", PLAN, "--machine", "kvm", "--gdb"]).arg(&socket);
    let mut machine = Running::start(&mut command, &log)?;
    while !socket.exists() {
        if machine.ended()? {
            return Err(LabError::Failed(format!("the machine did not begin:\n{}", read(&log)?)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut command = Command::new(gdb);
    command.current_dir(process::root()).args(["--batch", "-nx"]).arg(image);
    command.arg("-ex").arg(format!("target remote {}", socket.display())).args(["-x", SCRIPT]);
    let told = said(&mut command)?;
    std::fs::write(folder.join("live-gdb.log"), &told).map_err(LabError::io("live-gdb.log"))?;
    if !machine.wait_while_it_tells(&log, SILENCE)? {
        return Err(LabError::Failed("the machine does not come to an end after gdb let it go".to_owned()));
    }
    let run = read(&log)?;
    let wanted = [
        "LAB stopped",
        "LAB stepped",
        "(IOConfigThread, ",
        "priority 81)",
        "(idle0, ",
        "will_terminate",
        "switch_away",
        "idle_loop",
        "class EduDriver",
        "wake-up, kernel band",
        " threads\n",
    ];
    hold("gdb on a live machine", &told, &wanted)?;
    hold("the run that gdb let go", &run, &["PASS"])
}

/// The core of a machine that stands at the same place.
fn core(gdb: &Path, workgate: &Path, image: &Path, folder: &Path) -> Result<(), LabError> {
    let core = folder.join("panic.core");
    let mut command = Command::new(workgate);
    command.args(["boot", "--memory", "64M", "--cmdline", "crash=panic", "--core"]).arg(&core).arg(image);
    process::output(&mut command)?;
    let mut command = Command::new(gdb);
    command.current_dir(process::root()).args(["--batch", "-nx", "-x", NAMES]).arg(image).arg(&core);
    command.args(["-ex", "workgate-threads", "-ex", "info threads", "-ex", "thread apply all bt"]);
    let told = process::output(&mut command)?;
    std::fs::write(folder.join("core-gdb.log"), &told).map_err(LabError::io("core-gdb.log"))?;
    let wanted = ["\"first (running, priority 81)\"", "\"idle0 (", "crash::crash", "idle_loop"];
    hold("gdb on a core", &told, &wanted)?;
    let told = process::output(Command::new(workgate).arg("stacks").arg(&core).arg("--image").arg(image))?;
    hold("workgate stacks", &told, &["first: running on cpu0", "crash::crash", "start_cpu"])
}

/// What gdb said: what a machine's `monitor` answers goes to its error stream.
fn said(command: &mut Command) -> Result<String, LabError> {
    let output = command.stdin(Stdio::null()).output().map_err(LabError::io("gdb"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = text(&output.stdout) + &text(&output.stderr);
    match output.status.success() {
        true => Ok(told),
        false => Err(LabError::Failed(format!("gdb: {}\n{told}", output.status))),
    }
}

fn read(file: &PathBuf) -> Result<String, LabError> {
    let bytes = std::fs::read(file).map_err(LabError::io(file.display().to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// All of `wanted` is in `told`.
fn hold(what: &str, told: &str, wanted: &[&str]) -> Result<(), LabError> {
    println!("lab gdb: {what}: {} lines", told.lines().count());
    match wanted.iter().find(|part| !told.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(LabError::Failed(format!("{what}: no `{part}` in\n{told}"))),
    }
}
