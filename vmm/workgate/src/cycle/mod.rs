//! `workgate cycle`: a device, its driver or its clients come and go, pass after pass, and what grows is named.
//!
//! One machine runs from the first pass to the last. Whoever steers it ([`conductor`]) makes the moves at exact points of the trace, has the guest count
//! instances, objects and wired memory behind each pass, and [`trend`] looks at the series. The verifier judges the same run by all its rules.

mod bench;
mod coming;
mod conductor;
mod document;
mod follow;
mod request;
mod sample;
mod settling;
mod stage;
mod text;
mod trend;

use crate::cli::CycleArgs;
use crate::exit::{Exit, Failure};
use crate::machine::{self, Chosen, Machine};
use conductor::Conductor;
use document::Document;
use follow::Follow;
use request::Request;
use sample::Sample;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use trace::Event;
use verdict::{Ended, Verifier};

/// Cycles a device.
pub fn cycle(args: &CycleArgs) -> Result<Exit, Failure> {
    let plan = crate::load::plan(&args.plan, &args.script)?;
    let request = Request::new(args, plan)?;
    let chosen = machine::choose(args.machine, None, args.slow_down)?;
    // The first look is the machine's first step.
    let attention = Arc::new(AtomicBool::new(true));
    let told = attention.clone();
    let stop = crate::find::stopper_with(move || told.store(true, std::sync::atomic::Ordering::Release))?;
    if !args.json {
        crate::output::print(&format!("{}\n{}", chosen.why, text::head(&request)))?;
    }
    let (mut unprinted, follow) = (None, RefCell::new(Follow::new(&request.group)));
    let tell = |sample: &Sample| {
        if !args.json && unprinted.is_none() && text::has_line(sample.pass, request.passes) {
            unprinted = crate::output::print(&text::line(sample)).err();
        }
    };
    let mut conductor = Conductor::new(&request, &follow, (attention, stop), tell);
    let document = run(args, &request, &chosen, &mut conductor, &follow)?;
    let series = std::mem::take(&mut conductor.series);
    drop(conductor);
    if let Some(failure) = unprinted {
        return Err(failure);
    }
    if let Some(file) = &args.out {
        crate::find::bug::write_whole(file, &series.csv())?;
    }
    match args.json {
        true => crate::output::println(&crate::run::to_json(&document)?)?,
        false => crate::output::print(
            &(text::trends(&series, document.shared_time) + text::verdict(&document).as_str()),
        )?,
    }
    Ok(document.exit())
}

fn run(
    args: &CycleArgs,
    request: &Request,
    chosen: &Chosen,
    conductor: &mut Conductor<'_>,
    follow: &RefCell<Follow>,
) -> Result<Document, Failure> {
    let plan = &request.plan;
    let mut verifier = match chosen.machine {
        Machine::Sim => Verifier::new(plan),
        Machine::Kvm(_) => Verifier::new(plan).of_shared_time(),
    };
    let mut sink = |event: &Event| {
        verifier.event(event);
        follow.borrow_mut().event(event);
    };
    let (ended, machine) = match &chosen.machine {
        Machine::Sim => {
            let sim = sim::Sim::builder().seed(args.seed).steer(&mut *conductor);
            let outcome = sim::run_on(sim, plan, &mut sink).map_err(Failure::request)?;
            let trace_hash = Some(format!("{:016x}", outcome.trace_hash));
            let machine =
                document::Machine { word: "sim", shared_time: false, seed: Some(args.seed), trace_hash };
            (explore::execute::ended(&outcome), machine)
        }
        Machine::Kvm(host) => {
            let options = vmm::Options { seed: args.seed, ..machine::kvm_options(host) };
            let steer: &mut dyn vmm::Steer = &mut *conductor;
            let outcome = vmm::run_steered(plan, guest_image::IMAGE, &options, Some(steer), None, &mut sink)
                .map_err(machine::kvm_failure)?;
            let machine = document::Machine { word: "kvm", shared_time: true, seed: None, trace_hash: None };
            (machine::kvm_ended(&outcome), machine)
        }
    };
    // Whatever the machine says of its end: it was ended.
    let ended = if conductor.interrupted { Ended::Quit } else { ended };
    Ok(Document::new(request, conductor, &verifier.finish(ended), machine))
}
