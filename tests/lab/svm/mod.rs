//! The svm leg: a real kvm-amd without hardware.

mod cases;
mod cycles;
mod machine;

use crate::Request;
use crate::binary;
use crate::campaign::{Campaign, Case};
use crate::error::LabError;
use crate::exercised;
use crate::initramfs::Initramfs;
use crate::kernel;
use crate::linux;
use crate::login;
use crate::process;
use crate::report::Reports;
use crate::root_disk::Tools;
use crate::scenarios::{self, Scenario};
use machine::Files;
use std::path::{Path, PathBuf};

/// How the machines are made in which a case runs for the first time, the second: processors, and words for the kernel. What makes one machine stop need not
/// stop another: timers as fine as the ticks cannot keep the processor, and two processors need not wait for each other.
const MAKES: [(&str, &str); 4] =
    [("1", ""), ("1", "highres=off nohz=off"), ("2", ""), ("2", "highres=off nohz=off")];
/// Machines that run side by side. A plan's machine time is stretched, so that each waits for nearly half of its time.
const MACHINES: usize = 3;

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
    let cases = cases::cases(request, &scenarios)?;
    let tools = if request.boot_only { None } else { Some(Tools::find()?) };
    let payload = match tools {
        Some(tools) => {
            let workgate = binary::workgate(request, "svm")?;
            let disk =
                linux::root_disk(&tools, &kernel, &read(&busybox)?, &folder, cases::ejections(request))?;
            Some(Payload { workgate, tools, disk })
        }
        None => None,
    };
    let rounds = cases::rounds(request);
    let bench = Bench { qemu, busybox, kernel, payload, scenarios, folder, rounds };
    // A Linux in a machine in a machine has deadlines of its own: nothing runs beside it.
    let (tours, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.alone);
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

/// Shares the cases out so that no machine has much more to do than another. Never empty.
fn split(cases: Vec<Case>, machines: usize) -> Vec<Vec<Case>> {
    let mut shares: Vec<(u32, Vec<Case>)> = vec![(0, Vec::new()); machines.clamp(1, cases.len().max(1))];
    // The longest first: the short ones fill what is left.
    let mut cases = cases;
    cases.sort_by_key(|case| std::cmp::Reverse(case.seconds));
    for case in cases {
        if let Some(share) = shares.iter_mut().min_by_key(|(seconds, _)| *seconds) {
            share.0 += case.seconds;
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
        let reports = machine::boot(bench, &files, makes.next().unwrap_or(&MAKES[0]))?;
        campaign.judge(&reports).iter().for_each(|line| println!("lab svm: {line}"));
        exercised(&campaign, &reports).iter().for_each(|line| println!("lab svm: {line}"));
        if campaign.pending().is_empty() {
            return Ok(campaign.wrong());
        }
    }
}

/// What the tours among the cases that held exercised.
fn exercised(campaign: &Campaign, reports: &Reports) -> Vec<String> {
    let held = reports.reports.iter().filter(|report| campaign.held(&report.name));
    let tours = held.filter(|report| report.out.lines().any(|line| line == linux::LAST_WORD));
    tours.flat_map(|report| exercised::tour(&report.out)).collect()
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
        login::add(&mut archive, &shell)?;
        payload.tools.add(&mut archive, &payload.disk)?;
        for scenario in scenarios {
            archive.file(&format!("/scenarios/{}.plan", scenario.name), false, scenario.text.as_bytes());
        }
        for (name, text) in cycles::PLANS {
            archive.file(&cycles::place(name), false, text.as_bytes());
        }
    }
    archive.file("/init", true, machine::init_script(cases).as_bytes());
    Ok(archive.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn case(name: &str) -> Case {
        let seconds = if name == "long" { 15 } else { 1 };
        Case { name: name.into(), seconds, ..Case::default() }
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
    fn without_cases_one_machine_boots() {
        assert_eq!(split(Vec::new(), 2).len(), 1);
        assert_eq!(split(vec![case("a")], 2).len(), 1);
    }
}
