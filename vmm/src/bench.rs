//! What the machine costs: `workgate bench`.
//!
//! Figures compare two ways to the same thing in the same run, on the same processor: the host's own speed cancels out.

use crate::guest::Guest;
use crate::machine::Machine;
use crate::run::build;
use crate::{Options, VmmError, processor};
use devices::fault::plan::Plan;
use devices::platform::layout::{APERTURE_BASE, SLOT_APERTURE_BYTES};
use kvm_ioctls::VcpuFd;
use serde::Serialize;
use std::time::{Duration, Instant};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};

/// Memory space of the device on, by configuration mechanism 1: `mov edx, 0xcf8; mov eax, 0x80010004; out dx, eax; mov dl, 0xfc;
/// mov eax, 2; out dx, ax`. Then `mov ebx, BAR; mov eax, [ebx]; jmp` back: an exit a turn, at a register of the device.
#[rustfmt::skip]
const GUEST: [u8; 29] = [
    0xba, 0xf8, 0x0c, 0, 0, 0xb8, 0x04, 0, 0x01, 0x80, 0xef, 0xb2, 0xfc, 0xb8, 2, 0, 0, 0, 0x66, 0xef,
    0xbb, 0, 0, 0, 0, 0x8b, 0x03, 0xeb, 0xfc,
];
/// Where the address goes in [`GUEST`].
const ADDRESS_AT: usize = 21;
/// Exits before the loop.
const PRELUDE: u32 = 2;
/// Exits in a batch.
const BATCH: u32 = 200;
/// Batches of each kind, in turns; the best of each counts.
const BATCHES: u32 = 24;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// A register read that exits, in a loop that does nothing but call KVM_RUN, ns.
    pub raw_exit_nanos: u64,
    /// The same read through the machine: dispatch, locks, address decoding, the device's model, deadlines, ns.
    pub machine_exit_nanos: u64,
    /// The second by the first.
    pub exit_ratio: f64,
    /// From the request for a machine to the first exit of its guest, ns.
    pub first_instruction_nanos: u64,
    /// What KVM takes for an empty machine with interrupt controllers and one processor, ns.
    pub empty_machine_nanos: u64,
    /// Resident memory of this process beyond the guest's RAM while the machine exists, bytes.
    pub resident_bytes: u64,
}

/// Measures exits through the machine against exits in a raw loop, and what a machine costs in time and memory.
///
/// # Errors
/// KVM is not there, or refuses something.
pub fn mmio_ratio() -> Result<Figures, VmmError> {
    let empty = empty_machine()?;
    let text = "machine cpus=1 memory=64M\nplug edu0 edu slot=1\n";
    let plan = Plan::parse("bench", text).map_err(|_| VmmError::Missing("an `edu` device"))?;
    let start = Instant::now();
    let (machine, mut cpus) = build(&plan, &Guest::Code(&guest()), &Options::default(), false)?;
    let vcpu = cpus.first_mut().ok_or(VmmError::Cpus(0))?;
    step(&machine, vcpu)?;
    let first = start.elapsed();
    for _ in 1..PRELUDE {
        step(&machine, vcpu)?;
    }
    let (raw, through) = exits(&machine, vcpu)?;
    let each = |time: Duration| nanos(time) / u64::from(BATCH);
    Ok(Figures {
        raw_exit_nanos: each(raw),
        machine_exit_nanos: each(through),
        exit_ratio: through.as_secs_f64() / raw.as_secs_f64().max(f64::MIN_POSITIVE),
        first_instruction_nanos: nanos(first),
        empty_machine_nanos: nanos(empty),
        resident_bytes: resident_now(&machine)?,
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn guest() -> [u8; GUEST.len()] {
    let bar = APERTURE_BASE + SLOT_APERTURE_BYTES;
    let mut code = GUEST;
    code[ADDRESS_AT..ADDRESS_AT + 4].copy_from_slice(&(bar as u32).to_le_bytes());
    code
}

/// What KVM itself takes.
fn empty_machine() -> Result<Duration, VmmError> {
    let kvm = crate::run::open()?;
    let start = Instant::now();
    let vm = kvm.create_vm().map_err(VmmError::system("cannot make a virtual machine"))?;
    vm.create_irq_chip().map_err(VmmError::system("cannot make the interrupt controllers"))?;
    let _vcpu = vm.create_vcpu(0).map_err(VmmError::system("cannot make a processor"))?;
    Ok(start.elapsed())
}

fn step(machine: &Machine, vcpu: &mut VcpuFd) -> Result<(), VmmError> {
    match processor::step(machine, vcpu, 0) {
        None => Ok(()),
        Some(_) => Err(VmmError::Missing("exits that lead back into the guest")),
    }
}

/// The best batch of exits in a raw loop, and of exits through the machine, in turns.
fn exits(machine: &Machine, vcpu: &mut VcpuFd) -> Result<(Duration, Duration), VmmError> {
    let (mut raw, mut through) = (Duration::MAX, Duration::MAX);
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..BATCH {
            vcpu.run().map_err(VmmError::system("cannot run a processor"))?;
        }
        raw = raw.min(start.elapsed());
        let start = Instant::now();
        for _ in 0..BATCH {
            step(machine, vcpu)?;
        }
        through = through.min(start.elapsed());
    }
    Ok((raw, through))
}

fn resident_now(machine: &Machine) -> Result<u64, VmmError> {
    let maps = std::fs::read_to_string("/proc/self/smaps")
        .map_err(|error| VmmError::System { what: "cannot read /proc/self/smaps", error })?;
    let ram: Vec<_> =
        machine.memory.mmap.iter().map(|region| (region.as_ptr() as u64, region.len())).collect();
    Ok(resident(&maps, &ram))
}

/// Resident bytes of all mappings in a text of proc(5) `smaps`, without those that lie in `ram` (address and length).
fn resident(maps: &str, ram: &[(u64, u64)]) -> u64 {
    let (mut total, mut counts) = (0u64, true);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some((start, _)) = first.split_once('-') {
            let start = u64::from_str_radix(start, 16).unwrap_or(0);
            counts = !ram.iter().any(|(base, bytes)| (*base..base + bytes).contains(&start));
        } else if first == "Rss:" && counts {
            total += words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_summed_without_the_guests() {
        let maps = "00001000-00003000 r--p 00000000 00:00 0 /bin/x\nSize: 8 kB\nRss: 4 kB\n\
                    7f0000000000-7f0004000000 rw-p 00000000 00:00 0\nRss: 65536 kB\nVmFlags: rd wr\n\
                    7f0004000000-7f0004001000 rw-p 00000000 00:00 0\nRss: 8 kB\n";
        assert_eq!(resident(maps, &[(0x7f00_0000_0000, 64 << 20)]), 12 << 10);
        assert_eq!(resident("garbage\n\nRss:\nRss: x kB", &[]), 0);
    }

    #[test]
    fn the_machine_takes_little_memory_and_its_figures_are_consistent() {
        let figures = match mmio_ratio() {
            Ok(figures) => figures,
            Err(error @ (VmmError::NoKvm | VmmError::NoPermission)) => return println!("skipped: {error}"),
            Err(error) => panic!("{error}"),
        };
        println!("{figures:?}");
        assert!(figures.raw_exit_nanos > 0 && figures.exit_ratio > 0.0);
        assert!(figures.first_instruction_nanos > 0 && figures.empty_machine_nanos > 0);
        assert!(
            figures.resident_bytes > 0 && figures.resident_bytes <= 16 << 20,
            "{}",
            figures.resident_bytes
        );
    }
}
