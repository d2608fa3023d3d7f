//! Memory of the VMM while a plan runs on KVM: everything resident in its process but the guest's RAM.

use super::child;
use super::context::Context;
use super::report::{Part, Row};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Guest memory: a size that no other mapping of the process has.
const GUEST_KIB: u64 = 96 << 10;
/// Long enough to be looked at, with devices and the trace ring in use.
const PLAN: &str = "machine cpus=2 memory=96M\n\
    plug edu0 edu slot=1\n\
    plug disk0 virtio-blk slot=2 size=1M\n\
    load edu0 clients=2 depth=4\n\
    load disk0 clients=2 depth=4\n\
    run for=10ms\n";
/// How often the process is looked at.
const TURN: Duration = Duration::from_millis(10);

/// Runs this program on KVM and looks at its mappings.
pub fn measure(context: &Context) -> Vec<Row> {
    vec![Row::new("resident", peak(context))]
}

/// Resident KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Resident {
    guest: u64,
    files: u64,
    anonymous: u64,
}

impl Resident {
    fn vmm(self) -> u64 {
        self.files + self.anonymous
    }
}

fn peak(context: &Context) -> Result<(f64, Vec<Part>), String> {
    context.host.as_ref().map_err(Clone::clone)?;
    let plan = context.file("resident.plan", PLAN.as_bytes())?;
    let mut command = Command::new(&context.executable);
    command.args(["run", "--machine", "kvm"]).arg(&plan);
    let mut child = child::spawn(&mut command, Stdio::null())?;
    let path = format!("/proc/{}/smaps", child.0.id());
    let (mut peak, mut samples) = (Resident::default(), 0);
    let status = loop {
        context.stop.check()?;
        if let Some(status) = child.0.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        let now = std::fs::read_to_string(&path).map(|text| resident(&text)).unwrap_or_default();
        if now.guest > 0 {
            samples += 1;
            peak = if now.vmm() > peak.vmm() { now } else { peak };
        }
        std::thread::sleep(TURN);
    };
    if !status.success() {
        return Err(format!("the run on KVM does not pass: {status}"));
    }
    if samples == 0 {
        return Err("the guest's memory was never seen in /proc".to_owned());
    }
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok((
        mib(peak.vmm()),
        vec![
            Part::new("executable and libraries", mib(peak.files), "MiB"),
            Part::new("heap and stacks", mib(peak.anonymous), "MiB"),
            Part::new(
                format!("guest RAM touched (not counted), peak of {samples} looks"),
                mib(peak.guest),
                "MiB",
            ),
        ],
    ))
}

/// Adds up the mappings of `smaps`: each has a line of addresses, permissions, offset, device, inode and name, then lines `Key: value kB`.
fn resident(smaps: &str) -> Resident {
    let mut sum = Resident::default();
    let (mut file, mut size) = (false, 0);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some("Size:"), Some(Ok(kib))) => size = kib,
            (Some("Rss:"), Some(Ok(kib))) if size >= GUEST_KIB && !file => sum.guest += kib,
            (Some("Rss:"), Some(Ok(kib))) if file => sum.files += kib,
            (Some("Rss:"), Some(Ok(kib))) => sum.anonymous += kib,
            (Some(first), _) if !first.ends_with(':') => {
                file = line.split_whitespace().nth(5).is_some_and(|name| name.starts_with('/'));
            }
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_told_apart() {
        let text = "\
55d0c0000000-55d0c0100000 r-xp 00000000 fe:00 42 /usr/bin/workgate
Size:               1024 kB
KernelPageSize:        4 kB
Rss:                 512 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0006000000 rw-p 00000000 00:00 0
Size:              98304 kB
Rss:                3000 kB
7f0010000000-7f0010100000 rw-p 00000000 00:00 0 [heap]
Size:               1024 kB
Rss:                 100 kB
";
        assert_eq!(resident(text), Resident { guest: 3000, files: 512, anonymous: 100 });
    }
}
