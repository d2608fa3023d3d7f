//! The machine of the leg: what its first process does, and its life under QEMU.

use super::Bench;
use crate::campaign::Case;
use crate::error::LabError;
use crate::process;
use crate::qmp::Qemu;
use crate::report::{self, MARK, Reports};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The machine inside says that it is alive each so many seconds.
const HEARTBEAT_SECONDS: u32 = 5;
const ALIVE: &str = "alive at";
/// How long it may say nothing, and how long while it boots.
const SILENCE: Duration = Duration::from_secs(120);
const SILENCE_BOOTING: Duration = Duration::from_secs(300);
/// How often a key is pressed on the machine's keyboard.
const KEY: Duration = Duration::from_secs(2);
/// What a command that is told to end has for that, in seconds.
const LAST_SECONDS: u32 = 20;

/// The files of one machine.
pub struct Files {
    pub initrd: PathBuf,
    pub console: PathBuf,
    pub results: PathBuf,
    pub qemu: PathBuf,
}

/// What the first process does: load the modules, run each command with a time limit, and send back status, output and errors
/// with their lengths over the second serial line. The first is the kernel's console; on it the machine says that it is alive, and shows what the tours of
/// a Linux say as they say it.
pub fn init_script(cases: &[Case]) -> String {
    let mut script = format!(
        "#!/bin/sh\n\
         b=/bin/busybox\n\
         $b mount -t devtmpfs none /dev; $b mount -t proc none /proc; $b mount -t sysfs none /sys\n\
         $b mount -t tmpfs none /tmp; $b mkdir /dev/pts; $b mount -t devpts none /dev/pts\n\
         (while read -r up idle </proc/uptime; do echo \"{ALIVE} $up s\"; $b sleep {HEARTBEAT_SECONDS}; done) >/dev/ttyS0 &\n\
         for m in /modules/*.ko; do $b insmod $m; done\n\
         $b stty -F /dev/ttyS1 raw -echo\n\
         exec 3>/dev/ttyS1\n\
         kvm=no; [ -c /dev/kvm ] && kvm=yes\n\
         echo \"{MARK} ready $($b uname -r) kvm=$kvm\" >&3\n",
    );
    for case in cases {
        let program = case.program.unwrap_or("/bin/workgate");
        let quoted = case.arguments.iter().map(|argument| format!("'{argument}'"));
        let command = quoted.collect::<Vec<_>>().join(" ");
        let (before, after) = match case.says {
            Some(_) => (": >/tmp/out; $b tail -f /tmp/out >/dev/ttyS0 & shown=$!\n", "$b kill $shown\n"),
            None => ("", ""),
        };
        let check = case.check.as_ref().map_or(String::new(), |check| {
            format!("[ $s -ne 0 ] || {{ {check} >>/tmp/out 2>>/tmp/err; s=$?; }}\n")
        });
        script.push_str(&format!(
            "{before}\
             $b timeout -k {LAST_SECONDS} {} {program} {command} >/tmp/out 2>/tmp/err </dev/null; s=$?\n\
             {check}\
             echo \"{MARK} report {} $s $($b stat -c %s /tmp/out) $($b stat -c %s /tmp/err)\" >&3\n\
             $b cat /tmp/out /tmp/err >&3; echo >&3\n\
             {after}",
            case.limit, case.name,
        ));
    }
    script.push_str(&format!("echo \"{MARK} done\" >&3\nexec 3>&-\n$b poweroff -f\n"));
    script
}

/// Runs the machine until it ends or says nothing any more, and reads what it sent.
///
/// # Errors
/// It did not come as far as its KVM device.
pub fn boot(bench: &Bench, files: &Files, make: &(&str, &str)) -> Result<Reports, LabError> {
    let serial = |file: &Path| format!("file:{}", file.display());
    let mut command = Command::new(&bench.qemu);
    command
        .args(["-machine", "q35", "-accel", "tcg", "-cpu", "EPYC,+svm,+npt"])
        // One processor first: with two, the kernel inside sometimes stops for good while it runs guests (docs/lab.md).
        .args(["-smp", make.0, "-m", "1536M"])
        .args(["-display", "none", "-nodefaults", "-no-reboot"])
        .arg("-kernel")
        .arg(&bench.kernel.image)
        .arg("-initrd")
        .arg(&files.initrd)
        // On a busy host the kernel may find no tick in time, and panic. Its symbols tell where it stopped.
        .arg("-append")
        .arg(format!("console=ttyS0 panic=-1 quiet mitigations=off no_timer_check nokaslr {}", make.1))
        .args(["-serial", &serial(&files.console), "-serial", &serial(&files.results)]);
    // What an earlier machine said is not this one's.
    for file in [&files.console, &files.results] {
        std::fs::write(file, []).map_err(LabError::io(file.display().to_string()))?;
    }
    let started = Instant::now();
    let mut machine = Qemu::start(&mut command, &files.qemu)?;
    let told = [&*files.results, &*files.console];
    let ready = || std::fs::metadata(&files.results).is_ok_and(|told| told.len() > 0);
    let booted = process::wait_while_it_tells(|| Ok(ready() || machine.ended()?), &told, SILENCE_BOOTING)?;
    let mut pressed = Instant::now();
    let mut ended = || {
        if machine.ended()? {
            return Ok(true);
        }
        if pressed.elapsed() >= KEY {
            pressed = Instant::now();
            press(&mut machine);
        }
        Ok(false)
    };
    let ended = booted && process::wait_while_it_tells(&mut ended, &told, SILENCE)?;
    println!("lab svm: the machine ran for {:.1} s", started.elapsed().as_secs_f32());
    let reports = report::read(&std::fs::read(&files.results).unwrap_or_default());
    let ready = reports.ready.as_deref().unwrap_or("nothing");
    println!("lab svm: inside runs {ready}");
    let text = std::fs::read(&files.console).unwrap_or_default();
    let last = last_words(&String::from_utf8_lossy(&text));
    if !reports.whole {
        println!("lab svm: its last words\n{last}");
    }
    if !ended {
        println!("lab svm: it stopped here\n{}", state(&mut machine));
    }
    if ready.ends_with("kvm=yes") {
        return Ok(reports);
    }
    let log = std::fs::read_to_string(&files.qemu).unwrap_or_default();
    let how = if ended { "ended" } else { "fell silent" };
    Err(LabError::Failed(format!("the machine {how} before it had a KVM device\n{log}{last}")))
}

/// Presses a key, for the interrupt that it is. A timer's interrupt that the emulator has lost keeps a halted processor waiting for good: the vector is in its local
/// APIC, but nobody looks. The next interrupt, whichever it is, makes the APIC look at all that wait (docs/lab.md).
fn press(machine: &mut Qemu) {
    let key = json!({ "keys": [{ "type": "qcode", "data": "shift" }] });
    // A machine that has ended meanwhile is found at the next look.
    let _ = machine.execute("send-key", key);
}

/// The end of a console, with the last of the lines that only say that the machine is alive.
fn last_words(console: &str) -> String {
    let lines = || console.lines().enumerate();
    let alive = lines().filter(|(_, line)| line.starts_with(ALIVE)).last().map(|(n, _)| n);
    let told = lines().filter(|&(n, line)| Some(n) == alive || !line.starts_with(ALIVE));
    process::last_lines(&told.map(|(_, line)| format!("{line}\n")).collect::<String>(), 40)
}

/// Where the processor of a machine that says nothing is, as its monitor tells.
fn state(machine: &mut Qemu) -> String {
    let mut ask = |line: &str| match machine.execute("human-monitor-command", json!({ "command-line": line }))
    {
        Ok(told) => told.as_str().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    let registers = ask("info registers");
    let general = registers.lines().take_while(|line| !line.starts_with("FCW"));
    general.chain(ask("info lapic").lines()).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::case;
    use super::*;

    #[test]
    fn a_check_runs_after_a_command_that_held_and_its_status_counts() {
        let script = init_script(&[Case { check: Some("/look".into()), ..case("a") }]);
        let lines: Vec<&str> = script.lines().collect();
        let command = lines.iter().position(|line| line.contains("/bin/workgate")).expect("a command");
        assert_eq!(lines[command + 1], "[ $s -ne 0 ] || { /look >>/tmp/out 2>>/tmp/err; s=$?; }");
        assert!(lines[command + 2].contains("report a $s"));
        assert!(!init_script(&[case("a")]).contains("-ne 0"));
    }

    #[test]
    fn last_words_are_not_buried_under_signs_of_life() {
        let mut console: String = (0..9).map(|n| format!("word {n}\nalive at {n} s\n")).collect();
        console.extend((9..99).map(|n| format!("alive at {n} s\n")));
        let words: String = (0..9).map(|n| format!("word {n}\n")).collect();
        assert_eq!(last_words(&console), format!("{words}alive at 98 s"));
        assert_eq!(last_words(""), "");
    }
}
