//! The svm leg: a real kvm-amd without hardware.

use crate::Request;
use crate::binary;
use crate::campaign::{Campaign, Case};
use crate::error::LabError;
use crate::initramfs::Initramfs;
use crate::kernel;
use crate::linux;
use crate::process;
use crate::qmp::Qemu;
use crate::report::{self, MARK, Reports};
use crate::root_disk::{self, Tools};
use crate::scenarios::{self, Scenario};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long one command may take. Far above what is needed: it ends hangs.
const COMMAND_LIMIT_SECONDS: u32 = 500;
/// The same for each second of a plan's machine time, several times what it takes on a host that does nothing else.
const LIMIT_PER_MACHINE_SECOND: u32 = 500;
/// The same for each round of the tour in which everything is torn out; it gets [`LINUX_LIMIT_SECONDS`] besides.
const ROUND_LIMIT_SECONDS: u32 = 150;
/// How long a Linux may take for its tour: this host takes two minutes and a half, and more than eight beside other work.
const LINUX_LIMIT_SECONDS: u32 = 1_500;
/// The machine inside says that it is alive each so many seconds.
const HEARTBEAT_SECONDS: u32 = 5;
const ALIVE: &str = "alive at";
/// How long it may say nothing, and how long while it boots.
const SILENCE: Duration = Duration::from_secs(120);
const SILENCE_BOOTING: Duration = Duration::from_secs(300);
/// How often a key is pressed on the machine's keyboard.
const KEY: Duration = Duration::from_secs(2);
/// How the machines are made in which a case runs for the first time, the second: processors, and words for the kernel. What makes one machine stop need not
/// stop another: timers as fine as the ticks cannot keep the processor, and two processors need not wait for each other.
const MAKES: [(&str, &str); 4] =
    [("1", ""), ("1", "highres=off nohz=off"), ("2", ""), ("2", "highres=off nohz=off")];
/// What a command that is told to end has for that, in seconds.
const LAST_SECONDS: u32 = 20;
/// Rounds of that tour, unless it is told how many: alone, and in the long leg.
const ROUNDS: u32 = 1;
const ROUNDS_LONG: u32 = 20;
/// Host seconds to a machine second. The machine measures 17 when nothing else runs; a busy host must not turn a plan's deadlines into
/// judgements of the host.
const SLOW_DOWN: &str = "120";
/// The same for plans that end so soon, or in which a driver's own timer is so short, that the time of a few interrupts is too long.
const SLOW_DOWN_DELICATE: &str = "800";
/// The name of the case that boots a Linux in our machine.
const LINUX: &str = "linux";
/// The same, and things are torn out of it.
const SURPRISE: &str = "linux-surprise";
/// Machine time that takes as long as a short plan, in ms.
const WEIGHT_MS: u64 = 80;
/// Machines that run side by side: each keeps one processor busy.
const MACHINES: usize = 2;

/// Boots the machine, runs the scenarios in it, and checks how each ended.
///
/// # Errors
/// Something is missing here, or a scenario did not end as it must.
pub fn run(request: &Request) -> Result<(), LabError> {
    let qemu = process::find("qemu-system-x86_64", "qemu-system-x86")?;
    let busybox = process::find("busybox", "busybox-static")?;
    let folder = process::folder()?;
    let kernel = kernel::unpacked(&folder)?;
    let scenarios = scenarios::all()?;
    let cases = cases(request, &scenarios)?;
    let tools = if request.boot_only { None } else { Some(Tools::find()?) };
    let payload = match tools {
        Some(tools) => {
            let workgate = binary::workgate(request, "svm")?;
            let disk = linux::root_disk(&tools, &kernel, &read(&busybox)?, &folder)?;
            Some(Payload { workgate, tools, disk })
        }
        None => None,
    };
    let rounds = rounds(request);
    let bench = Bench { qemu, busybox, kernel, payload, scenarios, folder, rounds };
    // A Linux in a machine in a machine has deadlines of its own: nothing runs beside it.
    let (tours, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.says.is_some());
    let mut wrong = Vec::new();
    for tour in tours {
        wrong.extend(one_after_another(&bench, &tour.name.clone(), vec![tour])?);
    }
    wrong.extend(side_by_side(&bench, split(cases, MACHINES))?);
    if wrong.is_empty() { Ok(()) } else { Err(LabError::Failed(wrong.join(", "))) }
}

/// What all machines of the leg share.
struct Bench {
    qemu: PathBuf,
    busybox: PathBuf,
    kernel: kernel::Kernel,
    payload: Option<Payload>,
    scenarios: Vec<Scenario>,
    folder: PathBuf,
    rounds: u32,
}

/// What the machines need beyond a KVM device.
struct Payload {
    workgate: PathBuf,
    tools: Tools,
    /// The root disk of a Linux in our machine.
    disk: Vec<u8>,
}

/// How often everything is torn out.
fn rounds(request: &Request) -> u32 {
    request.rounds.unwrap_or(if request.long { ROUNDS_LONG } else { ROUNDS })
}

/// Shares the cases out so that no machine has much more to do than another. Never empty.
fn split(cases: Vec<Case>, machines: usize) -> Vec<Vec<Case>> {
    let mut shares: Vec<(u32, Vec<Case>)> = vec![(0, Vec::new()); machines.clamp(1, cases.len().max(1))];
    // The longest first: the short ones fill what is left.
    let mut cases = cases;
    cases.sort_by_key(|case| std::cmp::Reverse(case.weight));
    for case in cases {
        if let Some(share) = shares.iter_mut().min_by_key(|(weight, _)| *weight) {
            share.0 += case.weight;
            share.1.push(case);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Runs each share in machines of its own, all at the same time; the names of the cases that did not hold.
fn side_by_side(bench: &Bench, shares: Vec<Vec<Case>>) -> Result<Vec<String>, LabError> {
    std::thread::scope(|scope| {
        let machines = shares.into_iter().enumerate();
        let machines: Vec<_> = machines
            .map(|(number, share)| scope.spawn(move || one_after_another(bench, &number.to_string(), share)))
            .collect();
        let mut wrong = Vec::new();
        for machine in machines {
            match machine.join() {
                Ok(names) => wrong.extend(names?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(wrong)
    })
}

/// Runs cases in the machine `label`, and in a new one for as long as some are not judged.
fn one_after_another(bench: &Bench, label: &str, cases: Vec<Case>) -> Result<Vec<String>, LabError> {
    let file = |name: &str, kind: &str| bench.folder.join(format!("svm-{name}-{label}{kind}"));
    let files = Files {
        initrd: file("initrd", ""),
        console: file("console", ".log"),
        results: file("results", ".log"),
        qemu: file("qemu", ".log"),
    };
    let mut campaign = Campaign::new(cases);
    let mut makes = MAKES.iter().cycle();
    loop {
        let archive = archive(bench, &campaign.pending())?;
        std::fs::write(&files.initrd, archive).map_err(LabError::io(files.initrd.display().to_string()))?;
        let reports = boot(bench, &files, makes.next().unwrap_or(&MAKES[0]))?;
        campaign.judge(&reports).iter().for_each(|line| println!("lab svm: {line}"));
        if campaign.pending().is_empty() {
            return Ok(campaign.wrong());
        }
    }
}

/// The files of one machine.
struct Files {
    initrd: PathBuf,
    console: PathBuf,
    results: PathBuf,
    qemu: PathBuf,
}

fn cases(request: &Request, scenarios: &[Scenario]) -> Result<Vec<Case>, LabError> {
    if request.boot_only {
        return Ok(Vec::new());
    }
    let limit = COMMAND_LIMIT_SECONDS;
    let of_plan = |scenario: &Scenario| {
        let machine_time = u32::try_from(scenario.machine_time).unwrap_or(u32::MAX);
        limit.saturating_add(machine_time.saturating_mul(LIMIT_PER_MACHINE_SECOND) / 1_000)
    };
    let doctor = Case {
        name: "doctor".into(),
        arguments: vec!["doctor".into()],
        status: 0,
        says: None,
        check: None,
        chance: false,
        weight: 1,
        limit,
    };
    let linux = |name: &str, arguments, limit| Case {
        name: name.into(),
        arguments,
        status: 0,
        says: Some(linux::LAST_WORD),
        check: Some(root_disk::check()),
        chance: false,
        weight: 1,
        limit,
    };
    let wanted = |name: &str| request.only.is_empty() || request.only.iter().any(|only| only == name);
    let asked = |scenario: &&Scenario| request.long || !request.only.is_empty() || !scenario.long;
    let cases =
        scenarios.iter().filter(asked).filter(|scenario| wanted(&scenario.name)).map(|scenario| Case {
            name: scenario.name.clone(),
            arguments: [
                "run",
                &format!("/scenarios/{}.plan", scenario.name),
                "--machine",
                "kvm",
                "--slow-down",
                if scenario.delicate { SLOW_DOWN_DELICATE } else { SLOW_DOWN },
                "--json",
            ]
            .map(Into::into)
            .into(),
            status: scenario.status,
            says: None,
            check: None,
            chance: scenario.chance,
            weight: u32::try_from(1 + scenario.machine_time / WEIGHT_MS).unwrap_or(u32::MAX),
            limit: of_plan(scenario),
        });
    let tour = wanted(LINUX).then(|| linux(LINUX, linux::arguments(), LINUX_LIMIT_SECONDS));
    let surprise = wanted(SURPRISE) && (request.long || !request.only.is_empty());
    let rounds = rounds(request);
    let surprise_limit = LINUX_LIMIT_SECONDS.saturating_add(rounds.saturating_mul(ROUND_LIMIT_SECONDS));
    let surprise = surprise.then(|| linux(SURPRISE, linux::surprise_arguments(rounds), surprise_limit));
    let cases: Vec<Case> = cases.chain(tour).chain(surprise).collect();
    let known = |only: &&String| cases.iter().any(|case| case.name == **only);
    if let Some(unknown) = request.only.iter().find(|only| !known(only)) {
        let names = scenarios.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(LabError::Failed(format!(
            "there is no scenario `{unknown}`; there are {names}, {LINUX}, {SURPRISE}"
        )));
    }
    Ok(std::iter::once(doctor).chain(cases).collect())
}

fn read(file: &Path) -> Result<Vec<u8>, LabError> {
    std::fs::read(file).map_err(LabError::io(file.display().to_string()))
}

/// The root file system: busybox, modules, workgate with the libraries that it needs, scenarios, and what to run.
fn archive(bench: &Bench, cases: &[Case]) -> Result<Vec<u8>, LabError> {
    let Bench { kernel, scenarios, .. } = bench;
    let mut archive = Initramfs::new();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    let shell = read(&bench.busybox)?;
    archive.file("/bin/busybox", true, &shell);
    archive.link("/bin/sh", "busybox");
    for (n, module) in kernel.modules.iter().enumerate() {
        archive.file(&format!("/modules/{n:02}.ko"), false, &read(module)?);
    }
    if let Some(payload) = &bench.payload {
        binary::add(&mut archive, "/bin/workgate", &payload.workgate)?;
        linux::add(&mut archive, kernel, &read(&kernel.image)?, &shell, bench.rounds)?;
        payload.tools.add(&mut archive, &payload.disk)?;
        for scenario in scenarios {
            archive.file(&format!("/scenarios/{}.plan", scenario.name), false, scenario.text.as_bytes());
        }
    }
    archive.file("/init", true, init_script(cases).as_bytes());
    Ok(archive.finish())
}

/// What the first process does: load the modules, run each command with a time limit, and send back status, output and errors
/// with their lengths over the second serial line. The first is the kernel's console; on it the machine says that it is alive, and shows what the tours of
/// a Linux say as they say it.
fn init_script(cases: &[Case]) -> String {
    let mut script = format!(
        "#!/bin/sh\n\
         b=/bin/busybox\n\
         $b mount -t devtmpfs none /dev; $b mount -t proc none /proc; $b mount -t sysfs none /sys\n\
         $b mount -t tmpfs none /tmp\n\
         (while read -r up idle </proc/uptime; do echo \"{ALIVE} $up s\"; $b sleep {HEARTBEAT_SECONDS}; done) >/dev/ttyS0 &\n\
         for m in /modules/*.ko; do $b insmod $m; done\n\
         $b stty -F /dev/ttyS1 raw -echo\n\
         exec 3>/dev/ttyS1\n\
         kvm=no; [ -c /dev/kvm ] && kvm=yes\n\
         echo \"{MARK} ready $($b uname -r) kvm=$kvm\" >&3\n",
    );
    for case in cases {
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
             $b timeout -k {LAST_SECONDS} {} /bin/workgate {command} >/tmp/out 2>/tmp/err </dev/null; s=$?\n\
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
fn boot(bench: &Bench, files: &Files, make: &(&str, &str)) -> Result<Reports, LabError> {
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
    use super::*;

    fn case(name: &str) -> Case {
        let weight = if name == "long" { 15 } else { 1 };
        Case {
            name: name.into(),
            arguments: Vec::new(),
            status: 0,
            says: None,
            check: None,
            chance: false,
            weight,
            limit: 1,
        }
    }

    #[test]
    fn each_case_goes_to_one_machine_and_the_long_one_has_less_company() {
        let mut cases: Vec<Case> = (0..41).map(|n| case(&n.to_string())).collect();
        cases.push(case("long"));
        let shares = split(cases, 2);
        let mut names: Vec<&str> = shares.iter().flatten().map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 42);
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [14, 28]);
    }

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

    #[test]
    fn without_cases_one_machine_boots() {
        assert_eq!(split(Vec::new(), 2).len(), 1);
        assert_eq!(split(vec![case("a")], 2).len(), 1);
    }
}
