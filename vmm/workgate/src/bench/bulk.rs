//! Reads of 64 KiB from a USB stick, by bulk transfers of xHCI, beside the same reads from virtio-blk: in the simulator, on one core.
//!
//! A run without reads is taken off, so that boot and enumeration do not count. Doorbells and interrupts are those that the device models see.

use super::context::Context;
use super::cycles::core_time;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
use devices::fault::plane::Site;
use iokit::family::storage::{IO_MEDIA, client};
use iokit::matching::NotificationKind;
use iokit::user_client::Arguments;
use iokit::{IoKit, Properties, ServiceRef};
use mach::{KernelRef, Policy, band};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a read.
const BYTES: usize = 64 << 10;
/// Blocks of a read.
const BLOCKS: u64 = BYTES as u64 / 512;
/// Reads of a run; all of them are on the disk.
const READS: u64 = 128;
/// Runs of each side, turn by turn, of which the best counts.
const RUNS: usize = 10;
/// Bulk transfers of a command: command, data, status (Bulk-Only Transport 1.0, 5).
const STAGES: u64 = 3;

const USB: &str = "plug usb0 xhci slot=1\nplug stick0 usb-storage on=usb0 port=1 size=16M latency=1us\n";
const SUPER: &str =
    "plug usb0 xhci slot=1\nplug stick0 usb-storage on=usb0 port=1 size=16M latency=1us speed=super\n";
const VIRTIO: &str = "plug disk0 virtio-blk slot=1 size=16M latency=1us\n";

/// The figures that [`measure`] answers.
pub const FIGURES: &[&str] = &["usb-byte", "usb-rate", "usb-doorbells", "usb-interrupts"];

/// What a run was.
#[derive(Clone, Copy, Debug)]
struct Run {
    core: Duration,
    /// Machine ns of the reads.
    machine: u64,
    doorbells: u64,
    interrupts: u64,
    /// Packets to a USB device: each command begins with one.
    commands: u64,
}

/// Both sides, and what there is to tell of them.
pub fn measure(context: &Context) -> Vec<Row> {
    let rows = both(context).and_then(|(usb, virtio)| Ok((usb, virtio, of_reads(SUPER)?)));
    let rows = rows.map(|(usb, virtio, fast)| {
        let transfers = (usb.commands * STAGES) as f64;
        let time = |run: &Run| run.core.as_secs_f64() * 1e6 / READS as f64;
        let machine = |run: &Run| run.machine as f64 / 1e3 / READS as f64;
        let byte = vec![
            Part::new("host time of a read from the stick", time(&usb), "us"),
            Part::new("host time of a read from virtio-blk", time(&virtio), "us"),
            Part::new("machine time of a read from the stick", machine(&usb), "us"),
            Part::new("machine time of a read from virtio-blk", machine(&virtio), "us"),
        ];
        let rate = vec![
            Part::new("machine time of a read from the stick", machine(&fast), "us"),
            Part::new("machine time of a read from virtio-blk", machine(&virtio), "us"),
        ];
        let each = |count: u64| (count as f64 / transfers, vec![Part::new("bulk transfers", transfers, "")]);
        let rates = (machine(&fast) / machine(&virtio), rate);
        [(time(&usb) / time(&virtio), byte), rates, each(usb.doorbells), each(usb.interrupts)]
    });
    match rows {
        Ok(rows) => FIGURES.iter().zip(rows).map(|(id, row)| Row::new(id, Ok(row))).collect(),
        Err(reason) => FIGURES.iter().map(|id| Row::missing(id, reason.clone())).collect(),
    }
}

fn both(context: &Context) -> Result<(Run, Run), String> {
    let mut best: Option<(Run, Run)> = None;
    for _ in 0..RUNS {
        context.stop.check()?;
        let (usb, virtio) = (of_reads(USB)?, of_reads(VIRTIO)?);
        let quicker = |before: Run, now: Run| if now.core < before.core { now } else { before };
        best = Some(best.map_or((usb, virtio), |(u, v)| (quicker(u, usb), quicker(v, virtio))));
    }
    best.ok_or_else(|| "no run".to_owned())
}

/// What the reads of a run cost.
fn of_reads(plug: &str) -> Result<Run, String> {
    let (without, with) = (once(plug, 0)?, once(plug, READS)?);
    Ok(Run {
        core: with.core.saturating_sub(without.core),
        machine: with.machine,
        doorbells: with.doorbells - without.doorbells,
        interrupts: with.interrupts - without.interrupts,
        commands: with.commands - without.commands,
    })
}

/// Machine time that a thread took for its reads, and those that were good.
type Told = Arc<Mutex<(u64, u64)>>;

fn once(plug: &str, reads: u64) -> Result<Run, String> {
    let text = format!("machine cpus=1 memory=64M\n{plug}run for=200ms\n");
    let plan: Plan = crate::load::parse("bulk.plan", &text).map_err(|failure| failure.message)?;
    let told = Told::default();
    let place = told.clone();
    let origin = Instant::now();
    let begin = core_time(origin);
    let readers = move |kit: &IoKit| watch(kit, reads, &place);
    let outcome = sim::run_with(&plan, 1, readers, &mut |_| {}).map_err(|error| error.to_string())?;
    let core = core_time(origin).saturating_sub(begin);
    let (machine, good) = *told.lock().unwrap_or_else(PoisonError::into_inner);
    if outcome.ended != sim::Ended::Done || good != reads {
        return Err(format!("{good} of {reads} reads, then {:?}", outcome.ended));
    }
    let count = |wanted: Site| {
        let place = Site::ALL.iter().position(|site| *site == wanted).unwrap_or(0);
        outcome.sites.iter().map(|(_, counts)| counts[place]).sum()
    };
    let (doorbells, interrupts) = (count(Site::Doorbell), count(Site::IrqRaise));
    Ok(Run { core, machine, doorbells, interrupts, commands: count(Site::UsbOut) })
}

/// Reads from each disk that appears, on a thread of its own.
fn watch(kit: &IoKit, reads: u64, told: &Told) {
    let told = told.clone();
    let wanted = (IO_MEDIA.name, Properties::new());
    kit.notifications().add(kit, NotificationKind::FirstPublish, wanted, 0, move |disk| {
        let (own, told) = (disk.clone(), told.clone());
        let body = move |kernel: &KernelRef| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = read(kernel, own, reads);
        };
        // Without a thread no read is good, which is told.
        let _ = disk.kernel().spawn("bulk", band::DEFAULT, Policy::Timeshare, body);
    });
}

fn read(kernel: &KernelRef, disk: ServiceRef, reads: u64) -> (u64, u64) {
    let Ok(connection) = disk.open_connection(0) else { return (0, 0) };
    drop(disk);
    let (mut data, mut good) = (vec![0; BYTES], 0);
    let begin = kernel.now();
    for number in 0..reads {
        let mut arguments =
            Arguments { scalar_input: &[number * BLOCKS], struct_output: &mut data, ..Arguments::default() };
        good += u64::from(connection.call(client::READ, &mut arguments).is_ok());
    }
    let took = kernel.now() - begin;
    // The device is still there: there is nothing that closing could fail for.
    let _ = connection.close();
    (took, good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_rings_each_endpoint_once_and_interrupts_once() {
        let run = of_reads(USB).expect("all reads");
        assert!(run.commands >= READS, "{run:?}");
        // The controller's own and those of the watchdog's looks are in both runs.
        assert!(run.doorbells <= run.commands * 2 && run.interrupts <= run.commands, "{run:?}");
        assert!(of_reads(VIRTIO).expect("all reads").interrupts > 0);
    }
}
