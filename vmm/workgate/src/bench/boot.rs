//! Our image in our machine, and in QEMU's: to its first instruction, which sends a carriage return on the serial line, and from
//! there to its first kernel thread, which says so with `trace=console`. Both run on KVM, so that the ratio is one of machines.

use super::child::{Heard, listen};
use super::context::Context;
use super::qemu::{self, Accelerator};
use super::report::{Part, Row};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use vmm::probe::HostKind;

/// What the first kernel thread prints.
const FIRST_THREAD: &str = "boot.firstThread";
/// Guest memory on both sides, MiB.
const MEMORY: u32 = 256;
/// Boots of each side, turn by turn, of which the best counts.
const BOOTS: usize = 5;
/// After this time no further turn begins: where QEMU's firmware is interpreted, it takes seconds.
const TIME: Duration = Duration::from_secs(20);

/// The best of several boots.
#[derive(Clone, Copy, Debug)]
struct Boot {
    start: Duration,
    kernel: Duration,
}

impl Boot {
    const NONE: Self = Self { start: Duration::MAX, kernel: Duration::MAX };

    fn add(&mut self, heard: &Heard) {
        self.start = self.start.min(heard.first_byte);
        self.kernel = self.kernel.min(heard.wanted - heard.first_byte);
    }
}

/// Boots both, in turns.
pub fn measure(context: &Context) -> Vec<Row> {
    let measured = both(context);
    let row = |id, part: fn(&Boot) -> Duration| {
        let ratio = measured.as_ref().map_err(Clone::clone).map(|(ours, theirs)| {
            let [ours, theirs] = [ours, theirs].map(|boot| part(boot).as_secs_f64() * 1e3);
            (
                ours / theirs,
                vec![Part::new("Workgate (kvm)", ours, "ms"), Part::new("QEMU q35 (kvm)", theirs, "ms")],
            )
        });
        Row::new(id, ratio)
    };
    vec![row("start-to-guest", |boot| boot.start), row("guest-to-thread", |boot| boot.kernel)]
}

fn both(context: &Context) -> Result<(Boot, Boot), String> {
    context.host.as_ref().map_err(Clone::clone)?;
    context.qemu.as_ref().map_err(Clone::clone)?;
    let image = context.image()?;
    let (mut ours, mut theirs) = (Boot::NONE, Boot::NONE);
    let begin = Instant::now();
    for turn in 0..BOOTS {
        if turn > 0 && begin.elapsed() > TIME {
            break;
        }
        ours.add(&listen(&mut our_command(context, &image), FIRST_THREAD, &context.stop)?);
        theirs.add(&listen(&mut their_command(&image), FIRST_THREAD, &context.stop)?);
    }
    Ok((ours, theirs))
}

fn our_command(context: &Context, image: &Path) -> Command {
    let mut command = Command::new(&context.executable);
    command.arg("boot").arg(image).args(["--memory", &format!("{MEMORY}M"), "--cmdline", "trace=console"]);
    command
}

fn their_command(image: &Path) -> Command {
    qemu::command(Accelerator::Kvm, MEMORY, image, "trace=console")
}

/// Frequency that the counting QEMU's guest is told for its time-stamp counter, which counts instructions; low, so that what
/// the kernel waits for by the clock (the calibration of a timer that KVM's guests need not calibrate) takes few of them.
const COUNTER_HZ: u64 = 1_000_000;
/// Nanoseconds of such a clock to an instruction.
const NANOS_PER_INSTRUCTION: u64 = 1_000_000_000 / COUNTER_HZ;

/// Counts the instructions of the boot path. QEMU counts exactly; a host that interprets them gives a second opinion.
pub fn instructions(context: &Context) -> Vec<Row> {
    vec![Row::new("boot-instructions", counted(context))]
}

fn counted(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let image = context.image()?;
    let estimate = interpreted(context, &image);
    let exact = exact(context, &image);
    let mut parts = Vec::new();
    if let Ok(estimate) = &estimate {
        parts.push(Part::new("estimate: time on this host, times its instructions a second", *estimate, ""));
    }
    match (exact, estimate) {
        (Ok(count), _) => {
            parts.push(Part::new("counted by QEMU (tcg, icount)", count, ""));
            Ok((count, parts))
        }
        (Err(_), Ok(estimate)) => Ok((estimate, parts)),
        (Err(no_count), Err(no_estimate)) => Err(format!("{no_count}; {no_estimate}")),
    }
}

/// The guest's machine time at its first thread, on a clock that ticks once an instruction.
fn exact(context: &Context, image: &Path) -> Result<f64, String> {
    context.qemu.as_ref().map_err(Clone::clone)?;
    let line = format!("trace=console tsc_hz={COUNTER_HZ}");
    let mut command = qemu::command(Accelerator::Counting, MEMORY, image, &line);
    let heard = listen(&mut command, FIRST_THREAD, &context.stop)?;
    let nanos = time_of(&heard.output).ok_or("the first thread's line has no time")?;
    Ok((nanos / NANOS_PER_INSTRUCTION) as f64)
}

/// Nanoseconds at the beginning of the line that the first thread printed.
fn time_of(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains(FIRST_THREAD))?;
    line.split_whitespace().next()?.parse().ok()
}

fn interpreted(context: &Context, image: &Path) -> Result<f64, String> {
    let host = context.host.as_ref().map_err(Clone::clone)?;
    if host.kind != HostKind::Emulating {
        return Err("this host does not interpret instructions".to_owned());
    }
    let mut best = Boot::NONE;
    for _ in 0..BOOTS {
        best.add(&listen(&mut our_command(context, image), FIRST_THREAD, &context.stop)?);
    }
    Ok(best.kernel.as_secs_f64() * host.instructions_per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_first_thread_is_found() {
        let output = "\rworkgate: 1 CPUs\r\n      123000 cpu0 t2 boot.firstThread 0 0 slot0 0x0 \r\n";
        assert_eq!(time_of(output), Some(123_000));
        assert_eq!(time_of("nothing"), None);
    }
}
