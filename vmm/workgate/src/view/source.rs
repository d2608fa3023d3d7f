//! Where a trace comes from: a file that `--report` wrote, or a run of a plan or a capsule in the simulator.

use crate::cli::TraceArgs;
use crate::exit::Failure;
use crate::load::Bug;
use devices::fault::plan::Plan;
use explore::{Schedule, execute};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use trace::{EVENT_BYTES, Event};

enum From {
    File(PathBuf, File),
    Run(Box<Plan>, Schedule),
}

/// A trace that can be read once.
pub struct Source {
    from: From,
    devices: BTreeMap<u32, String>,
}

/// Opens what the command line names: a trace (`*.bin`, or the folder of a report), else a plan or a capsule.
///
/// # Errors
/// It cannot be read, or is a plan with mistakes.
pub fn open(args: &TraceArgs) -> Result<Source, Failure> {
    let path = if args.file.is_dir() { args.file.join("trace.bin") } else { args.file.clone() };
    if path.extension().is_none_or(|extension| extension != "bin") {
        let (plan, schedule) = match crate::load::plan_or_capsule(&path, &args.script)? {
            Bug::Capsule(plan, capsule) => (plan, capsule.schedule),
            Bug::Plan(plan) => (plan, Schedule::Seed(args.seed)),
        };
        let devices = names(&plan);
        return Ok(Source { from: From::Run(Box::new(plan), schedule), devices });
    }
    let file = File::open(&path)
        .map_err(|error| Failure::request(format_args!("cannot read {}: {error}", path.display())))?;
    // The names of devices are the plan's, which a report has beside its trace.
    let plan = path.parent().unwrap_or(Path::new("")).join("run.plan");
    let devices = match plan.exists() {
        true => names(&crate::load::plan(&plan, &args.script)?),
        false => BTreeMap::new(),
    };
    Ok(Source { from: From::File(path, file), devices })
}

fn names(plan: &Plan) -> BTreeMap<u32, String> {
    plan.plugs.iter().map(|plug| (plug.slot, plug.name.clone())).collect()
}

impl Source {
    /// Names of devices, by slot.
    pub fn devices(&self) -> &BTreeMap<u32, String> {
        &self.devices
    }

    /// Gives every event to `sink`, until it says false.
    ///
    /// # Errors
    /// The file is no trace, or ends in the midst of a record.
    pub fn each(self, sink: &mut dyn FnMut(&Event) -> bool) -> Result<(), Failure> {
        match self.from {
            From::File(path, file) => records(&path, file, sink),
            From::Run(plan, schedule) => {
                let mut more = true;
                let mut once = |event: &Event| more = more && sink(event);
                execute::run(&plan, &schedule, &mut once).map_err(Failure::request)?;
                Ok(())
            }
        }
    }
}

fn records(path: &Path, file: File, sink: &mut dyn FnMut(&Event) -> bool) -> Result<(), Failure> {
    let wrong = |what: &str, number: u64| {
        let path = path.display();
        Failure::request(format_args!(
            "{path}: {what} at record {number}; expected records of {EVENT_BYTES} bytes, as `workgate run --report` writes them"
        ))
    };
    let mut file = BufReader::with_capacity(1 << 20, file);
    for number in 1_u64.. {
        let mut record = [0; EVENT_BYTES];
        let mut filled = 0;
        while filled < EVENT_BYTES {
            match file.read(&mut record[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(wrong(&error.to_string(), number)),
            }
        }
        match filled {
            0 => break,
            EVENT_BYTES => {}
            _ => return Err(wrong("the file ends in the midst of a record", number)),
        }
        let event = Event::decode(&record).ok_or_else(|| wrong("no event of this version", number))?;
        if !sink(&event) {
            break;
        }
    }
    Ok(())
}
