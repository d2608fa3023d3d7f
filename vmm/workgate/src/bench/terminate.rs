//! Termination of many services: how the time of one grows with their number.

use super::context::Context;
use super::report::{Part, Row};
use iokit::service::Plain;
use iokit::{BootArgs, Class, IoKit, Options, ServiceBuilder};
use sim::chooser;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Few services.
const FEW: usize = 1_000;
/// Many.
const MANY: usize = 10_000;
/// Each is measured so often; the best counts.
const TRIES: usize = 5;
/// Clients of each service: a tree that is neither a list nor a star.
const FAN_OUT: usize = 100;

static NODE: Class = Class::new("BenchNode", &iokit::class::IO_SERVICE);

/// Measures in simulated machines without a trace.
pub fn measure(_: &Context) -> Vec<Row> {
    let ratio = best(FEW).and_then(|few| {
        let many = best(MANY)?;
        Ok((many / few, vec![Part::new("of 10,000", many, "ns"), Part::new("of 1,000", few, "ns")]))
    });
    vec![Row::new("terminate", ratio)]
}

/// The least time that one of `count` services took, ns.
fn best(count: usize) -> Result<f64, String> {
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        best = best.min(once(count)?);
    }
    Ok(best)
}

fn once(count: usize) -> Result<f64, String> {
    let result = Arc::new(Mutex::new(None));
    let place = result.clone();
    let machine = sim::Sim::builder().chooser(Box::new(chooser::Plain)).limits(sim::Limits::NONE).untraced();
    let body = move |kernel: &mach::KernelRef| {
        let kit = iokit::start(kernel, &BootArgs::default());
        *place.lock().unwrap_or_else(PoisonError::into_inner) = terminate(&kit, count);
        kit.shutdown();
    };
    let outcome = machine.run_kernel(body, &mut |_| {}).map_err(|error| error.to_string())?;
    let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.ok_or_else(|| format!("the machine ended early: {:?}", outcome.ended))
}

/// Builds a tree of `count` services below one and terminates it, synchronously; ns for each of them. `None` if they were not all gone.
fn terminate(kit: &IoKit, count: usize) -> Option<f64> {
    let top = ServiceBuilder::new(kit, Box::new(Plain(&NODE))).named("top").build();
    top.attach(&kit.root()?).then_some(())?;
    let mut tree = vec![top.clone()];
    for n in 0..count {
        let provider = tree[n / FAN_OUT].clone();
        let service = ServiceBuilder::under(&provider, Box::new(Plain(&NODE))).named("node").build();
        service.attach(&provider).then_some(())?;
        tree.push(service);
    }
    drop(tree);
    let start = Instant::now();
    top.terminate(Options::SYNCHRONOUS);
    let took = start.elapsed().as_nanos() as f64;
    (!top.has_clients()).then_some(took / count as f64)
}
