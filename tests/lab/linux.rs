//! A Linux in our own machine, in the svm leg: Debian's kernel as a guest of `workgate boot`, and its own drivers on our devices.

use crate::error::LabError;
use crate::initramfs::Initramfs;
use crate::kernel::Kernel;
use crate::root_disk::{DISK, File, Tools};
use std::path::{Path, PathBuf};

/// Where the kernel is in the lab's file system.
pub const KERNEL: &str = "/linux/vmlinuz";
/// Where the file system is with which the guest begins.
const INITRD: &str = "/linux/initrd";

/// Devices, and where they are, beside the [root disk](DISK) in slot 2.
const DEVICES: [&str; 11] = [
    "1=edu",
    "3=xhci",
    "3.1=usb-storage,size=16M",
    "3.2=usb-keyboard",
    "3.3=usb-serial",
    "3.4=usb-hub,ports=4",
    "3.4.2=usb-mouse",
    "4=ohci",
    "4.1=firewire-disk,size=16M",
    "4.2=firewire-node",
    "5=virtio-blk,size=16M",
];

/// Another machine, and what is torn out of it in one round.
const SURPRISE: &str = include_str!("linux-surprise.plan");
/// How a rule of that plan begins: its number follows.
const RING: &str = "on bell0.mmio.write #";
/// Where that plan is in the lab's file system.
const PLAN: &str = "/linux/surprise.plan";
/// What the kernel is told in either tour. Its buffer is to keep all that it says in many rounds: the drivers' complaints are looked for in the end.
const KERNEL_WORDS: &str = "console=ttyS0 loglevel=5 log_buf_len=4M";

/// The guest's first process: it finds the root disk, and goes on there.
const INIT: &str = include_str!("linux-init.sh");
/// What it goes on with: [the tour](../../docs/lab.md). Powers off in any case.
const TOUR: &str = include_str!("linux-tour.sh");
/// Empty folders of the root disk.
const FOLDERS: [&str; 4] = ["dev", "proc", "sys", "kept"];
/// The last line of a tour in which all was well.
pub const LAST_WORD: &str = "guest: no driver complains";

/// The root disk: busybox, the modules of all devices but itself, and the tour.
///
/// # Errors
/// A module cannot be read, or the disk not be made.
pub fn root_disk(
    tools: &Tools,
    kernel: &Kernel,
    busybox: &[u8],
    folder: &Path,
    rounds: u32,
) -> Result<Vec<u8>, LabError> {
    let modules = modules(&kernel.guest_modules)?;
    let program = |path: &str, data| File { path: path.into(), executable: true, data };
    let mut files = vec![program("bin/busybox", busybox), program("tour", TOUR.as_bytes())];
    files.extend(modules.iter().map(|(path, data)| File { path: path.clone(), executable: false, data }));
    tools.disk(folder, &FOLDERS, &files, rounds)
}

/// Modules with their places, whose order is the one in which to load them.
fn modules(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, LabError> {
    let numbered = files.iter().enumerate();
    let read = |(n, module): (usize, &PathBuf)| {
        let bytes = std::fs::read(module).map_err(LabError::io(module.display().to_string()))?;
        Ok((format!("modules/{n:02}.ko"), bytes))
    };
    numbered.map(read).collect()
}

/// Puts kernel and the guest's first file system into the lab's file system; things are torn out `rounds` times.
///
/// # Errors
/// A module cannot be read.
pub fn add(
    archive: &mut Initramfs,
    kernel: &Kernel,
    image: &[u8],
    busybox: &[u8],
    rounds: u32,
) -> Result<(), LabError> {
    let mut inner = Initramfs::new();
    for folder in ["dev", "proc", "root"] {
        inner.folder(folder);
    }
    inner.file("/bin/busybox", true, busybox);
    inner.link("/bin/sh", "busybox");
    for (path, module) in modules(&kernel.root_modules)? {
        inner.file(&path, false, &module);
    }
    inner.file("/init", true, INIT.as_bytes());
    archive.file(KERNEL, false, image);
    archive.file(INITRD, false, &inner.finish());
    archive.file(PLAN, false, surprise_plan(rounds).as_bytes());
    Ok(())
}

/// What `workgate` is told for the tour in which everything is ejected in order, `rounds` times. A kernel that panics stops, and does not reset the machine, which
/// would look like an end in order.
pub fn arguments(rounds: u32) -> Vec<String> {
    let root = format!("2=virtio-blk,file={DISK}");
    let devices = DEVICES.into_iter().chain([&*root]).flat_map(|device| ["--plug", device]);
    let words = format!("{KERNEL_WORDS} rounds={rounds}");
    told(["--cpus", "2", "--memory", "300M"].into_iter().chain(devices), &words)
}

/// The same for the tour in which everything is torn out, `rounds` times.
pub fn surprise_arguments(rounds: u32) -> Vec<String> {
    told(["--plan", PLAN], &format!("{KERNEL_WORDS} tour=surprise rounds={rounds}"))
}

/// The plan of `rounds` rounds: the rules of the first one again and again, at the rings that follow.
fn surprise_plan(rounds: u32) -> String {
    let rules = SURPRISE.lines().filter_map(rule);
    let rings = rules.clone().count();
    let further = (1..rounds as usize).flat_map(|round| {
        let rules = rules.clone();
        rules.map(move |(number, action)| format!("{RING}{} {action}\n", number + round * rings))
    });
    SURPRISE.lines().map(|line| format!("{line}\n")).chain(further).collect()
}

/// The ring at which a rule of the plan acts, and what it does.
fn rule(line: &str) -> Option<(usize, &str)> {
    let (number, action) = line.strip_prefix(RING)?.split_once(' ')?;
    Some((number.parse().ok()?, action))
}

fn told<'a>(machine: impl IntoIterator<Item = &'a str>, command_line: &str) -> Vec<String> {
    let kernel = ["boot", KERNEL, "--initrd", INITRD, "--cmdline", command_line];
    kernel.into_iter().map(String::from).chain(machine.into_iter().map(String::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::{DISK, surprise_plan};
    use devices::catalogue;
    use devices::fault::plan::Plan;

    #[test]
    fn each_round_tears_out_the_same_at_rings_of_its_own() {
        for rounds in [1, 3, 20] {
            let plan = Plan::parse("surprise", &surprise_plan(rounds)).expect("a good plan");
            assert_eq!(catalogue::check(&plan), [], "{rounds}");
            assert_eq!(plan.plugs[1].options["file"], DISK);
            assert_eq!(plan.rules.len(), 14 * rounds as usize);
            let text = surprise_plan(rounds);
            for ring in 1..=plan.rules.len() {
                assert_eq!(text.matches(&format!("#{ring} ")).count(), 1, "{ring} of {rounds}");
            }
            assert!(text.contains(&format!("#{} replug edu0", 14 * rounds)));
        }
    }
}
