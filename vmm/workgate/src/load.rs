//! Reading plans from files, with messages that point into them.

use crate::exit::Failure;
use crate::script::{self, ScriptArgs};
use devices::fault::plan::{Plan, PlanError};
use explore::Capsule;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// A plan file may have this many bytes at the most.
const MAX_PLAN_BYTES: u64 = 1 << 20;

/// An image or RAM disk may have this many bytes at the most.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads, parses and checks a plan, or runs the script that generates it.
pub fn plan(path: &Path, script: &ScriptArgs) -> Result<Plan, Failure> {
    let (name, text) = (path.display().to_string(), text(path)?);
    if is_script(path) {
        return script::plan(&name, &text, script);
    }
    if let Some((setting, _)) = script.set.first() {
        return Err(Failure::request(format_args!(
            "{name} is no script: `--set {setting}=…` has no meaning"
        )));
    }
    parse(&name, &text)
}

/// True if the file is a script by its name.
pub fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == script::EXTENSION)
}

/// Parses and checks the text of a plan.
pub fn parse(name: &str, text: &str) -> Result<Plan, Failure> {
    let plan = Plan::parse(name, text).map_err(|errors| pointed(&errors, text))?;
    match devices::catalogue::check(&plan) {
        errors if errors.is_empty() => Ok(plan),
        errors => Err(pointed(&errors, text)),
    }
}

/// Reads the hardware of a guest that is not Workgate's own, and what goes wrong with it.
pub fn hardware(path: &Path) -> Result<Plan, Failure> {
    let (name, text) = (path.display().to_string(), text(path)?);
    let plan = parse(&name, &text)?;
    match devices::catalogue::check_foreign(&plan) {
        errors if errors.is_empty() => Ok(plan),
        errors => Err(pointed(&errors, &text)),
    }
}

/// A plan, or a capsule with the plan in it.
pub enum Bug {
    /// A plan.
    Plan(Plan),
    /// A capsule.
    Capsule(Plan, Capsule),
}

/// Reads a plan or a capsule, parses and checks it.
pub fn plan_or_capsule(path: &Path, script: &ScriptArgs) -> Result<Bug, Failure> {
    if is_script(path) {
        return plan(path, script).map(Bug::Plan);
    }
    let name = path.display().to_string();
    let text = text_of(path, explore::capsule::MAX_BYTES as u64)?;
    if !Capsule::is_one(&text) {
        return parse(&name, &text).map(Bug::Plan);
    }
    let capsule = Capsule::parse(&text).map_err(|error| Failure::request(format_args!("{name}: {error}")))?;
    let plan = parse(&capsule.name, &capsule.plan)?;
    Ok(Bug::Capsule(plan, capsule))
}

fn text(path: &Path) -> Result<String, Failure> {
    text_of(path, MAX_PLAN_BYTES)
}

fn text_of(path: &Path, most: u64) -> Result<String, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::request(format_args!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > most {
        let message = format_args!("{} is longer than such a file may be ({most} bytes)", path.display());
        return Err(Failure::request(message));
    }
    Ok(text)
}

/// Reads a file that is not text; `what` names it in the message.
pub fn bytes(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::request(format_args!("cannot read {what} {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::request(format_args!(
            "{what} {} is longer than {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

fn pointed(errors: &[PlanError], text: &str) -> Failure {
    Failure::snippet(devices::fault::plan::render(errors, text, std::io::stderr().is_terminal()))
}
