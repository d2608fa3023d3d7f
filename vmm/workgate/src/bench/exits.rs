//! A register exit that goes through the bus to a device, beside the same exit that goes nowhere.

use super::context::Context;
use super::report::{Part, Row};

/// Measures both in this process; the machine library knows how.
pub fn measure(context: &Context) -> Vec<Row> {
    vec![Row::new("mmio-exit", ratio(context))]
}

fn ratio(context: &Context) -> Result<(f64, Vec<Part>), String> {
    context.host.as_ref().map_err(Clone::clone)?;
    let found = vmm::bench::mmio_ratio().map_err(|error| error.to_string())?;
    let micros = |nanos: u64| nanos as f64 / 1e3;
    Ok((
        found.exit_ratio,
        vec![
            Part::new("through our bus to a device", micros(found.machine_exit_nanos), "us"),
            Part::new("raw KVM_RUN loop", micros(found.raw_exit_nanos), "us"),
            Part::new("request for a machine to its first exit", micros(found.first_instruction_nanos), "us"),
            Part::new("KVM's own part of that", micros(found.empty_machine_nanos), "us"),
        ],
    ))
}
