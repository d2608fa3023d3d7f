//! `workgate doctor`: what this host can do, by measuring.

use crate::cli::ListArgs;
use crate::exit::{Exit, Failure};
use serde::Serialize;
use std::fmt::Write;
use vmm::probe::HostReport;

#[derive(Serialize)]
struct Diagnosis {
    kvm: Option<HostReport>,
    kvm_problem: Option<String>,
    auto: String,
}

/// Measures the host and prints what was found.
pub fn doctor(args: &ListArgs) -> Result<Exit, Failure> {
    let (kvm, kvm_problem) = match vmm::probe::full() {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let diagnosis = Diagnosis { kvm, kvm_problem, auto: crate::machine::auto(None).why };
    match args.json {
        true => crate::output::println(&crate::run::to_json(&diagnosis)?)?,
        false => crate::output::print(&text(&diagnosis))?,
    }
    Ok(Exit::Held)
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    match (&diagnosis.kvm, &diagnosis.kvm_problem) {
        (Some(report), _) => out.push_str(&host(report)),
        (None, problem) => {
            _ = writeln!(out, "kvm           not usable: {}", problem.as_deref().unwrap_or("unknown"));
        }
    }
    _ = writeln!(out, "simulator     usable: it needs nothing of the host");
    _ = writeln!(out, "auto          {}", diagnosis.auto);
    out
}

fn host(report: &HostReport) -> String {
    let mut out = String::new();
    _ = writeln!(out, "kvm           usable, API {}", report.api_version);
    _ = writeln!(out, "kind          {}", report.kind);
    _ = writeln!(
        out,
        "ring 0        {:.1} million instructions/s",
        report.instructions_per_second as f64 / 1e6
    );
    _ = writeln!(out, "port exit     {:.2} us", report.exit_nanos as f64 / 1e3);
    _ = writeln!(out, "register exit {:.2} us", report.mmio_exit_nanos as f64 / 1e3);
    _ = writeln!(out, "new machine   {:.2} ms", report.create_vm_nanos as f64 / 1e6);
    let failing = match report.failing_instructions.is_empty() {
        true => "none of those tried".to_owned(),
        false => report.failing_instructions.join(" "),
    };
    _ = writeln!(out, "fail in guest {failing}");
    let missing: Vec<&str> = report.capabilities.iter().filter(|c| !c.1).map(|c| c.0.as_str()).collect();
    let missing = if missing.is_empty() { "none".to_owned() } else { missing.join(" ") };
    _ = writeln!(out, "KVM lacks     {missing}");
    _ = writeln!(out, "machine time  a second takes {} s of this host's", report.slow_down);
    out
}
