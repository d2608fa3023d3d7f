//! From an interrupt to its filter and its action, in machine time, out of a run's trace.

use super::context::Context;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// One card that works, and a storm of two pulses now and then: each storm is an interrupt whose raising is in the trace.
const PLAN: &str = "machine cpus=1 memory=64M\n\
    plug edu0 edu slot=1\n\
    load edu0 clients=1 depth=1\n\
    every 250us storm edu0 rate=10kHz for=50us\n\
    run for=20ms\n";

/// Latencies in nanoseconds.
#[derive(Debug, Default)]
struct Samples {
    raise_to_interrupt: Vec<u64>,
    interrupt_to_filter: Vec<u64>,
    filter_to_action: Vec<u64>,
    interrupt_to_action: Vec<u64>,
    /// A storm that has begun and whose first interrupt has not come.
    raised: Option<u64>,
    /// The last interrupt of each CPU that no filter has seen.
    taken: BTreeMap<u8, u64>,
    /// Interrupt and filter that the owner's next action answers.
    pending: BTreeMap<u32, (u64, u64)>,
}

impl Samples {
    fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Fault if event.text_str() == "storm" => self.raised = Some(event.time),
            Kind::Interrupt => self.interrupt(event),
            Kind::Filter => self.filter(event),
            Kind::ActionStart => self.action(event),
            _ => {}
        }
    }

    fn interrupt(&mut self, event: &Event) {
        if (mach::seam::FIRST_DEVICE_VECTOR..=mach::seam::LAST_DEVICE_VECTOR).contains(&(event.arg as u8)) {
            self.taken.insert(event.cpu, event.time);
            self.raise_to_interrupt.extend(self.raised.take().and_then(|at| event.time.checked_sub(at)));
        }
    }

    fn filter(&mut self, event: &Event) {
        let Some(taken) = self.taken.remove(&event.cpu) else { return };
        self.interrupt_to_filter.push(event.time.saturating_sub(taken));
        if event.arg == 1 {
            // Interrupts that one action answers together are counted from the first.
            self.pending.entry(event.object).or_insert((taken, event.time));
        }
    }

    fn action(&mut self, event: &Event) {
        if let Some((taken, filtered)) = self.pending.remove(&event.object) {
            self.filter_to_action.push(event.time.saturating_sub(filtered));
            self.interrupt_to_action.push(event.time.saturating_sub(taken));
        }
    }

    fn figure(mut self) -> Result<(f64, Vec<Part>), String> {
        let median = percentile(&mut self.interrupt_to_action, 50).ok_or("no interrupt had an action")?;
        let mut parts = Vec::new();
        for (what, samples) in [
            ("raise to interrupt", &mut self.raise_to_interrupt),
            ("interrupt to filter", &mut self.interrupt_to_filter),
            ("filter to action", &mut self.filter_to_action),
            ("interrupt to action", &mut self.interrupt_to_action),
        ] {
            let count = samples.len();
            for rank in [50, 99] {
                let value = percentile(samples, rank);
                parts.extend(value.map(|v| Part::new(format!("{what}, p{rank} of {count}"), v, "us")));
            }
        }
        Ok((median, parts))
    }
}

/// The smallest sample that `rank` percent are not above, in microseconds.
fn percentile(samples: &mut [u64], rank: usize) -> Option<f64> {
    samples.sort_unstable();
    let nth = (samples.len() * rank).div_ceil(100).checked_sub(1)?;
    Some(samples[nth] as f64 / 1e3)
}

/// In the simulator: what the chooser of seed 1 makes of it.
pub fn in_the_simulator(_: &Context) -> Vec<Row> {
    let measured = plan().and_then(|plan| {
        let mut samples = Samples::default();
        sim::run(&plan, 1, &mut |event| samples.event(event)).map_err(|error| error.to_string())?;
        samples.figure()
    });
    vec![Row::new("interrupt-sim", measured)]
}

/// In the KVM machine.
pub fn on_kvm(context: &Context) -> Vec<Row> {
    vec![Row::new("interrupt-kvm", kvm(context))]
}

fn kvm(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let host = context.host.as_ref().map_err(Clone::clone)?;
    let mut samples = Samples::default();
    let options = crate::machine::kvm_options(host);
    let outcome = vmm::run(&plan()?, guest_image::IMAGE, &options, &mut |event| samples.event(event));
    let outcome = outcome.map_err(|error| error.to_string())?;
    if outcome.ending != vmm::Ending::PowerOff {
        return Err(outcome.ending.to_string());
    }
    let (median, mut parts) = samples.figure()?;
    parts.push(Part::new("host seconds to a machine second", outcome.slow_down as f64, "s"));
    Ok((median, parts))
}

fn plan() -> Result<Plan, String> {
    crate::load::parse("latency.plan", PLAN).map_err(|failure| failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples: Vec<u64> = (1..=100).rev().map(|n| n * 1000).collect();
        assert_eq!(percentile(&mut samples, 50), Some(50.0));
        assert_eq!(percentile(&mut samples, 99), Some(99.0));
        assert_eq!(percentile(&mut [7000], 99), Some(7.0));
        assert_eq!(percentile(&mut [], 50), None);
    }

    #[test]
    fn latencies_are_found_in_a_run() {
        let mut samples = Samples::default();
        sim::run(&plan().expect("a good plan"), 1, &mut |event| samples.event(event)).expect("a run");
        assert!(samples.raise_to_interrupt.len() > 50, "{samples:?}");
        assert!(samples.interrupt_to_action.len() > 50, "{samples:?}");
    }
}
