//! The measurements.

use super::cell::{Cell, End};
use super::{HostReport, classify, code, slow_down};
use crate::VmmError;
use crate::run::open;
use kvm_ioctls::Cap;
use std::time::{Duration, Instant};

/// Capabilities that the machine can make use of.
const CAPABILITIES: [(&str, Cap); 16] = [
    ("user-memory", Cap::UserMemory),
    ("ext-cpuid", Cap::ExtCpuid),
    ("set-tss-addr", Cap::SetTssAddr),
    ("irqchip", Cap::Irqchip),
    ("irq-routing", Cap::IrqRouting),
    ("irqfd", Cap::Irqfd),
    ("irqfd-resample", Cap::IrqfdResample),
    ("ioeventfd", Cap::Ioeventfd),
    ("signal-msi", Cap::SignalMsi),
    ("pit2", Cap::Pit2),
    ("mp-state", Cap::MpState),
    ("get-tsc-khz", Cap::GetTscKhz),
    ("tsc-control", Cap::TscControl),
    ("tsc-deadline-timer", Cap::TscDeadlineTimer),
    ("immediate-exit", Cap::ImmediateExit),
    ("coalesced-mmio", Cap::CoalescedMmio),
];

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Samples {
    /// Repetitions, of which the best counts: what disturbs a measurement makes it worse only. Many short ones find a moment in
    /// which the host's scheduler leaves them alone.
    repetitions: u32,
    /// Exits in a repetition.
    exits: u32,
    /// Least time of a counted loop.
    least: Duration,
}

impl Samples {
    /// To choose a machine.
    pub const QUICK: Self = Self { repetitions: 8, exits: 16, least: Duration::from_micros(400) };
    /// For people to read.
    pub const FULL: Self = Self { repetitions: 16, exits: 64, least: Duration::from_millis(1) };
}

/// Turns of the first counted loop: a third of a millisecond where it is interpreted.
const FIRST_TURNS: u64 = 200;
/// A counted loop takes at least this many times what its entry takes.
const ENTRY_SHARE: u32 = 4;
/// Turns of the longest one: it ends on any host.
const MOST_TURNS: u64 = 1 << 30;

/// Measures everything.
///
/// # Errors
/// KVM is not there, or refuses something.
pub fn report(samples: Samples) -> Result<HostReport, VmmError> {
    let kvm = open()?;
    let api_version = kvm.get_api_version();
    let start = Instant::now();
    let mut cell = Cell::new(&kvm)?;
    let created = start.elapsed();
    let instructions_per_second = rate(&mut cell, samples)?;
    let exit_nanos = exits(&mut cell, code::PORT_WRITES, samples)?;
    let mmio_exit_nanos = exits(&mut cell, code::READS, samples)?;
    let capabilities = CAPABILITIES.map(|(name, capability)| (name.to_owned(), cell.has(capability))).into();
    let tsc_khz = cell.tsc_khz();
    let tried = Tried::new(&mut cell)?;
    let start = Instant::now();
    drop(cell);
    let create_vm_nanos = nanos(created + start.elapsed());
    let kind = classify(instructions_per_second, exit_nanos, !tried.failing.is_empty());
    Ok(HostReport {
        kind,
        instructions_per_second,
        exit_nanos,
        mmio_exit_nanos,
        create_vm_nanos,
        failing_instructions: tried.failing,
        passing_instructions: tried.passing,
        absent_instructions: tried.absent,
        slow_down: slow_down(kind, instructions_per_second, exit_nanos),
        tsc_khz,
        api_version,
        capabilities,
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn unexpected(end: End) -> VmmError {
    VmmError::Missing(match end {
        End::Halted => "exits at ports and unmapped addresses",
        End::Exit | End::Exception | End::InternalError => "guest code in long mode",
    })
}

/// Instructions a second: a counted loop that gets longer until it takes long enough, less the time that its entry and exit cost (and a
/// host that translates code, its translation).
fn rate(cell: &mut Cell, samples: Samples) -> Result<u64, VmmError> {
    let mut entry = best(cell, 1, samples)?;
    let mut turns = FIRST_TURNS;
    let mut time = count_down(cell, turns)?;
    while time < samples.least.max(entry * ENTRY_SHARE) && turns < MOST_TURNS {
        let factor = nanos(samples.least) / nanos(time).max(1) + 1;
        turns = (turns * factor.clamp(2, 16)).min(MOST_TURNS);
        time = count_down(cell, turns)?;
    }
    time = time.min(best(cell, turns, samples)?);
    entry = entry.min(time / ENTRY_SHARE);
    let instructions = u128::from((turns - 1) * code::COUNT_DOWN_LENGTH);
    let rate = instructions * 1_000_000_000 / (time - entry).as_nanos().max(1);
    Ok(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// The shortest of several loops of `turns`.
fn best(cell: &mut Cell, turns: u64, samples: Samples) -> Result<Duration, VmmError> {
    (0..samples.repetitions).try_fold(Duration::MAX, |best, _| Ok(best.min(count_down(cell, turns)?)))
}

fn count_down(cell: &mut Cell, turns: u64) -> Result<Duration, VmmError> {
    cell.load(code::COUNT_DOWN, turns)?;
    let start = Instant::now();
    let end = cell.run()?;
    let elapsed = start.elapsed();
    if end == End::Halted { Ok(elapsed) } else { Err(unexpected(end)) }
}

/// Cost of an exit of `code`, which exits at every turn, in ns.
fn exits(cell: &mut Cell, code: &[u8], samples: Samples) -> Result<u64, VmmError> {
    cell.load(code, 0)?;
    let mut best = Duration::MAX;
    for _ in 0..samples.repetitions {
        let start = Instant::now();
        for _ in 0..samples.exits {
            match cell.run()? {
                End::Exit => {}
                end => return Err(unexpected(end)),
            }
        }
        best = best.min(start.elapsed());
    }
    Ok((nanos(best) / u64::from(samples.exits)).max(1))
}

/// What became of each of the instructions.
#[derive(Default)]
struct Tried {
    failing: Vec<String>,
    passing: Vec<String>,
    absent: Vec<String>,
}

impl Tried {
    fn new(cell: &mut Cell) -> Result<Self, VmmError> {
        let mut tried = Self::default();
        for (name, instruction) in code::INSTRUCTIONS {
            let mut code = instruction.to_vec();
            code.push(code::END);
            cell.load(&code, 0)?;
            let list = match cell.run()? {
                End::InternalError => &mut tried.failing,
                End::Exception => &mut tried.absent,
                End::Halted | End::Exit => &mut tried.passing,
            };
            list.push((*name).to_owned());
        }
        Ok(tried)
    }
}
