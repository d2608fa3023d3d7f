//! The qemu leg: our guest image, unchanged, on somebody else's hardware.
//!
//! QEMU's q35 with its own `edu` and `virtio-blk-pci` behind hot-plug root ports. Removal there is `device_del`, which presses the attention
//! button: an orderly ejection, which ends only when our guest has switched the slot's power off.

use crate::Request;
use crate::console::{self, Counts};
use crate::error::LabError;
use crate::process;
use crate::qmp::Qemu;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the guest may take for one step, in host time. Far above what is needed: it ends hangs.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Machine time after which the guest finishes by itself, in nanoseconds.
const FINISH_NS: u64 = 15_000_000_000;
/// Bytes of the disk's medium.
const MEDIUM_BYTES: u64 = 16 << 20;
/// QEMU's own errors, in the lab's folder.
const LOG: &str = "qemu-qemu.log";

/// The devices: the plan's name, slot, and what QEMU calls the model.
const DEVICES: [Unit; 2] = [
    Unit { name: "edu0", slot: 1, driver: "edu", disk: false },
    Unit { name: "disk0", slot: 2, driver: "virtio-blk-pci", disk: true },
];

struct Unit {
    name: &'static str,
    slot: u32,
    driver: &'static str,
    disk: bool,
}

impl Unit {
    /// The device as QEMU's `-device` and `device_add` take it.
    fn properties(&self) -> Value {
        let mut properties =
            json!({"driver": self.driver, "id": self.name, "bus": format!("port{}", self.slot)});
        if self.disk {
            properties["drive"] = "medium".into();
        }
        properties
    }
}

/// Boots the image, takes each device away while it works and gives it back, and checks the guest's account of it.
///
/// # Errors
/// Something is missing here, the guest did not survive, or a request was lost.
pub fn run(request: &Request) -> Result<(), LabError> {
    let qemu = process::find("qemu-system-x86_64", "qemu-system-x86")?;
    let folder = process::folder()?;
    let image = image(request, &folder)?;
    let console = folder.join("qemu-console.log");
    let result = session(&qemu, &image, &folder, &console);
    let text = std::fs::read(&console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    result.and_then(|()| judge(&text)).map_err(|error| match error {
        LabError::Failed(why) => LabError::Failed(format!("{why}\n{log}{}", process::last_lines(&text, 40))),
        other => other,
    })
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
fn session(qemu: &Path, image: &Path, folder: &Path, console: &Path) -> Result<(), LabError> {
    let medium = folder.join("medium.raw");
    let made = std::fs::File::create(&medium).and_then(|file| file.set_len(MEDIUM_BYTES));
    made.map_err(LabError::io(medium.display().to_string()))?;
    let mut machine = Qemu::start(&mut command(qemu, image, &medium, console), &folder.join(LOG))?;
    for unit in &DEVICES {
        until(&mut machine, console, unit.name, |text| console::begun(text, unit.name) >= 1)?;
    }
    for unit in &DEVICES {
        machine.execute("device_del", json!({"id": unit.name}))?;
        machine.event("DEVICE_DELETED", unit.name, STEP_LIMIT)?;
        println!("lab qemu: the guest gave {} up", unit.name);
        machine.execute("device_add", unit.properties())?;
        until(&mut machine, console, unit.name, |text| console::begun(text, unit.name) >= 2)?;
        println!("lab qemu: {} works again", unit.name);
    }
    let end = Instant::now() + STEP_LIMIT;
    while !machine.ended()? {
        if Instant::now() > end {
            return Err(LabError::Failed("the guest does not finish".into()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn command(qemu: &Path, image: &Path, medium: &Path, console: &Path) -> Command {
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
        .args(["-append", &words()]);
    let blockdev = json!({"driver": "file", "filename": medium.to_string_lossy(), "node-name": "medium"});
    command.args(["-blockdev", &blockdev.to_string()]);
    for unit in &DEVICES {
        let slot = unit.slot;
        let port = format!("pcie-root-port,id=port{slot},chassis={slot},slot={slot},addr={slot:#x}");
        command.args(["-device", &port, "-device", &unit.properties().to_string()]);
    }
    command
}

/// The guest's command line.
fn words() -> String {
    // The lab acts on what the guest says: it must not wait in the guest's log.
    let mut words = vec!["io=0x200000".to_owned()];
    for unit in &DEVICES {
        words.push(format!("slot.{}=name:{}", unit.slot, unit.name));
        words.push(format!("load.{}=clients:2,depth:4", unit.slot));
    }
    words.push(format!("finish={FINISH_NS}"));
    words.join(" ")
}

/// Waits until the console's text is such that `reached` says so.
fn until(
    machine: &mut Qemu,
    console: &Path,
    device: &str,
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
            return Err(LabError::Failed(format!("the guest ended before {device} worked")));
        }
        if Instant::now() > end {
            return Err(LabError::Failed(format!("no work on {device} begins")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Checks the guest's account: it survived; each device worked before and after, and went while requests were in flight;
/// nothing is lost or wrong.
fn judge(text: &str) -> Result<(), LabError> {
    if let Some(line) = console::trouble(text) {
        return Err(LabError::Failed(format!("the guest is in trouble: {line}")));
    }
    for unit in &DEVICES {
        let ended = console::ended(text, unit.name);
        if ended.len() != 2 {
            let count = ended.len();
            return Err(LabError::Failed(format!("{count} accounts of {} instead of 2", unit.name)));
        }
        if ended[0].offline == 0 {
            return Err(LabError::Failed(format!("{} went with nothing in flight", unit.name)));
        }
        for counts in &ended {
            println!("lab qemu: {} {counts:?}", unit.name);
            if let Some(fault) = fault(counts) {
                return Err(LabError::Failed(format!("{}: {fault}: {counts:?}", unit.name)));
            }
        }
        // The first one may go before it has done anything: it is taken out as soon as the guest has begun.
        if ended[1].done == 0 {
            return Err(LabError::Failed(format!("{}: nothing was done after it came back", unit.name)));
        }
    }
    Ok(())
}

/// What is wrong with an account, if anything is.
fn fault(counts: &Counts) -> Option<&'static str> {
    if counts.issued != counts.done + counts.offline + counts.wrong {
        return Some("requests are lost");
    }
    if counts.wrong != 0 {
        return Some("requests came back wrong");
    }
    None
}
