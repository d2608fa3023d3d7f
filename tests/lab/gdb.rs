//! The gdb leg: Debian's gdb on a run of the simulator, forward and back; on a live machine, and on a core of it, with the kernel's threads.

use crate::Request;
use crate::binary;
use crate::error::LabError;
use crate::process::{self, Running};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The plan whose alarm comes a second of machine time behind its removal.
const BACK: &str = "tests/lab/back.plan";
/// What goes forward and back in it.
const EXTENSION: &str = "vmm/workgate/gdb/workgate.py";
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
    let workgate = std::path::absolute(binary::workgate(request, "gdb")?)
        .map_err(LabError::io("the workgate binary"))?;
    let folder = process::folder()?.join("gdb");
    std::fs::create_dir_all(&folder).map_err(LabError::io(folder.display().to_string()))?;
    simulator(&gdb, &workgate, &folder)?;
    if !Path::new("/dev/kvm").exists() {
        return Err(LabError::missing("/dev/kvm", "a host with KVM, of any kind"));
    }
    let image = folder.join("guest.elf");
    process::output(Command::new(&workgate).arg("image").arg(&image).arg("--debug"))?;
    live(&gdb, &workgate, &image, &folder)?;
    core(&gdb, &workgate, &image, &folder)
}

/// A run of the simulator: from the alarm back to the removal, and forward to the same alarm. How long each way takes is told.
fn simulator(gdb: &Path, workgate: &Path, folder: &Path) -> Result<(), LabError> {
    let timed = |name: &str, line: &str| {
        let text = format!("import time; T = time.time(); gdb.execute('{line}')");
        format!("python {text}; print('LAB {name}: %.2f s' % (time.time() - T))")
    };
    let mut command = Command::new(gdb);
    command.current_dir(process::root()).args(["--batch", "-nx", "-x", EXTENSION]);
    let lines = [
        timed("begun", "wg-run"),
        "wg-alarms".to_owned(),
        timed("back", "wg-back-to removal"),
        "bt".to_owned(),
        "wg-bt".to_owned(),
        "wg-threads".to_owned(),
        "wg-gates".to_owned(),
        "wg-registry".to_owned(),
        timed("forward", "wg-stop-at alarm"),
        timed("a step back", "wg-back"),
        timed("a step forward", "wg-next"),
    ];
    for line in &lines {
        command.args(["-ex", line]);
    }
    command.arg("--args").arg(workgate).args(["replay", BACK, "--stop-at", "alarm"]);
    let told = said(&mut command)?;
    std::fs::write(folder.join("simulator-gdb.log"), &told).map_err(LabError::io("simulator-gdb.log"))?;
    let wanted = [
        "ALARM never-quiet",
        "fault unplug",
        "IOServiceTerminateThread#",
        "::block",
        "+-o ",
        "LAB a step forward",
    ];
    hold("gdb on a run of the simulator", &told, &wanted)?;
    for line in told.lines().filter_map(|line| line.strip_prefix("LAB ")) {
        println!("lab gdb: {line}");
    }
    let alarms = told.lines().filter(|line| line.starts_with("ALARM never-quiet: edu0")).count();
    match alarms {
        3 => Ok(()),
        _ => Err(LabError::Failed(format!("the alarm was reached {alarms} times, not 3:\n{told}"))),
    }
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
    if !process::wait_while_it_tells(|| machine.ended(), &[&log], SILENCE)? {
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
