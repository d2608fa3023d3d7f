//! The qemu leg: our guest image, unchanged, on somebody else's hardware.
//!
//! QEMU's q35 with its own `edu`, `virtio-blk-pci` and `qemu-xhci` behind hot-plug root ports, and a stick, a keyboard, a hub and a mouse behind
//! that controller. Removal of a card there is `device_del`, which presses the attention button: an orderly ejection, which ends only when our guest
//! has switched the slot's power off. A USB device is pulled out by it at once.

mod judge;
mod units;

use crate::Request;
use crate::console;
use crate::error::LabError;
use crate::process;
use crate::qmp::Qemu;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use units::{REMOVALS, UNITS, Unit};

/// How long the guest may take for one step, in host time. Far above what is needed: it ends hangs.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Machine time after which the guest finishes by itself, in nanoseconds, and what each round adds: a quiet host needs a second and a half for one.
const FINISH_NS: u64 = 15_000_000_000;
const ROUND_NS: u64 = 5_000_000_000;
/// What lies between two looks.
const STEP: Duration = Duration::from_millis(20);
/// Operations on a medium after which it is in use.
const USES: u64 = 16;
/// Bytes of a medium.
const MEDIUM_BYTES: u64 = 16 << 20;
/// QEMU's own errors, in the lab's folder.
const LOG: &str = "qemu-qemu.log";

/// Boots the image, takes each device away while it works and gives it back, and checks the guest's account of it.
///
/// # Errors
/// Something is missing here, the guest did not survive, or a request was lost.
pub fn run(request: &Request) -> Result<(), LabError> {
    let qemu = process::find("qemu-system-x86_64", "qemu-system-x86")?;
    let folder = process::folder()?;
    let image = image(request, &folder)?;
    let console = folder.join("qemu-console.log");
    let rounds = request.rounds.unwrap_or(1);
    let result = session(&qemu, &image, &folder, &console, rounds);
    let text = std::fs::read(&console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let judged = result.and_then(|()| judge::judge(&text, rounds as usize).map_err(LabError::Failed));
    let told = judged.map_err(|error| match error {
        LabError::Failed(why) => LabError::Failed(format!("{why}\n{log}{}", process::last_lines(&text, 40))),
        other => other,
    })?;
    told.iter().for_each(|line| println!("lab qemu: {line}"));
    Ok(())
}

/// The image as a file.
fn image(request: &Request, folder: &Path) -> Result<PathBuf, LabError> {
    if let Some(file) = &request.image {
        return Ok(file.clone());
    }
    let file = folder.join("guest.elf");
    std::fs::write(&file, guest_image::IMAGE).map_err(LabError::io(file.display().to_string()))?;
    Ok(file)
}

/// One run of the machine: each device goes and comes back, then the guest finishes by itself.
fn session(qemu: &Path, image: &Path, folder: &Path, console: &Path, rounds: u32) -> Result<(), LabError> {
    let command = &mut command(qemu, image, folder, console, rounds)?;
    let mut machine = Qemu::start(command, &folder.join(LOG))?;
    working(&mut machine, console, &UNITS.iter().collect::<Vec<_>>())?;
    let begun = Instant::now();
    for round in 1..=rounds {
        self::round(&mut machine, console)?;
        println!("lab qemu: round {round} of {rounds} done after {} ms", begun.elapsed().as_millis());
    }
    let end = Instant::now() + STEP_LIMIT + Duration::from_nanos(finish(rounds));
    while !machine.ended()? {
        if Instant::now() > end {
            return Err(LabError::Failed("the guest does not finish".into()));
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Takes each device away while it works, and gives it back.
fn round(machine: &mut Qemu, console: &Path) -> Result<(), LabError> {
    for removed in REMOVALS {
        let gone: Vec<&Unit> = UNITS.iter().filter(|unit| unit.goes_with(removed)).collect();
        machine.execute("device_del", json!({"id": removed}))?;
        for unit in gone.iter().filter(|unit| unit.told_of_when(removed)) {
            machine.event("DEVICE_DELETED", unit.name, STEP_LIMIT)?;
        }
        until(machine, console, &format!("{removed} is not given up"), |text| given_up(text, &gone))?;
        println!("lab qemu: the guest gave {removed} up");
        for unit in &gone {
            machine.execute("device_add", unit.properties())?;
        }
        working(machine, console, &gone)?;
        println!("lab qemu: {removed} works again");
    }
    Ok(())
}

/// Whether each workload that begun on these devices has ended.
fn given_up(text: &str, units: &[&Unit]) -> bool {
    units.iter().all(|unit| console::ended(text, unit.name).len() == console::begun(text, unit.name))
}

/// Waits until work on these devices has begun, and their media have been used; somebody types meanwhile.
fn working(machine: &mut Qemu, console: &Path, units: &[&Unit]) -> Result<(), LabError> {
    for unit in units.iter().filter(|unit| unit.load.is_some()) {
        until(machine, console, &format!("no work on {} begins", unit.name), |text| {
            console::begun(text, unit.name) == console::ended(text, unit.name).len() + 1
        })?;
    }
    let end = Instant::now() + STEP_LIMIT;
    loop {
        type_and_move(machine)?;
        let now = operations(machine, units)?;
        if now.iter().all(|&count| count >= USES) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(LabError::Failed("a medium is not used".into()));
        }
        std::thread::sleep(STEP);
    }
}

/// Operations on the medium of each of these devices that has one since the device is there, by QEMU's account.
fn operations(machine: &mut Qemu, units: &[&Unit]) -> Result<Vec<u64>, LabError> {
    let stats = machine.execute("query-blockstats", json!({}))?;
    let stats = stats.as_array().ok_or_else(|| LabError::Failed("QEMU has no block statistics".into()))?;
    let count = |node: &str| {
        let of = stats.iter().filter(|entry| entry["node-name"] == node);
        let number = |entry: &Value, key: &str| entry["stats"][key].as_u64().unwrap_or(0);
        of.map(|entry| number(entry, "rd_operations") + number(entry, "wr_operations")).sum()
    };
    Ok(units.iter().filter_map(|unit| unit.node).map(count).collect())
}

/// Somebody presses a key, lets it go, and moves the mouse.
fn type_and_move(machine: &mut Qemu) -> Result<(), LabError> {
    let key =
        |down: bool| json!({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "a"}}});
    let moved = json!({"type": "rel", "data": {"axis": "x", "value": 3}});
    machine.execute("input-send-event", json!({"events": [key(true), key(false), moved]}))?;
    Ok(())
}

fn command(
    qemu: &Path,
    image: &Path,
    folder: &Path,
    console: &Path,
    rounds: u32,
) -> Result<Command, LabError> {
    let mut command = Command::new(qemu);
    command
        .args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "256M"])
        .args(["-display", "none", "-nodefaults", "-no-reboot"])
        // Without this, QEMU's ACPI tables take hot plug away from the root ports.
        .args(["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-kernel")
        .arg(image)
        .args(["-append", &words(rounds)]);
    for unit in &UNITS {
        if let Some(node) = unit.node {
            let file = medium(folder, node)?;
            let node = json!({"driver": "file", "filename": file.to_string_lossy(), "node-name": node});
            command.args(["-blockdev", &node.to_string()]);
        }
        if let Some(port) = unit.root_port() {
            command.args(["-device", &port]);
        }
        command.args(["-device", &unit.properties().to_string()]);
    }
    Ok(command)
}

/// An empty medium.
fn medium(folder: &Path, node: &str) -> Result<PathBuf, LabError> {
    let file = folder.join(format!("{node}.raw"));
    let made = std::fs::File::create(&file).and_then(|file| file.set_len(MEDIUM_BYTES));
    made.map_err(LabError::io(file.display().to_string()))?;
    Ok(file)
}

/// The guest's command line.
fn words(rounds: u32) -> String {
    // The lab acts on what the guest says: it must not wait in the guest's log.
    let mut words = vec!["io=0x200000".to_owned()];
    words.extend(UNITS.iter().flat_map(Unit::words));
    words.push(format!("finish={}", finish(rounds)));
    words.join(" ")
}

/// When the guest finishes, in machine ns.
fn finish(rounds: u32) -> u64 {
    FINISH_NS + ROUND_NS * u64::from(rounds)
}

/// Waits until the console's text is such that `reached` says so.
fn until(
    machine: &mut Qemu,
    console: &Path,
    otherwise: &str,
    reached: impl Fn(&str) -> bool,
) -> Result<(), LabError> {
    let end = Instant::now() + STEP_LIMIT;
    loop {
        let text = std::fs::read(console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if reached(&text) {
            return Ok(());
        }
        if machine.ended()? || console::trouble(&text).is_some() {
            return Err(LabError::Failed(format!("the guest ended, and {otherwise}")));
        }
        if Instant::now() > end {
            return Err(LabError::Failed(otherwise.to_owned()));
        }
        std::thread::sleep(STEP);
    }
}
