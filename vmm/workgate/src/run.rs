//! `workgate run`: one plan, one machine, one verdict; or [several](many) plans, one after the other.

mod many;

use crate::books::{Books, Scheduling};
use crate::cli::RunArgs;
use crate::collect::Line;
use crate::console::Console;
use crate::control::{Control, Debugger, Steering, Watched};
use crate::exit::{Exit, Failure, Left};
use crate::machine::{self, Chosen, Machine};
use crate::places::Places;
use crate::progress::Progress;
use crate::report::{self, Collector, Seen};
use crate::timeline::Timeline;
use control::Over;
use devices::fault::plan::{Plan, Rule};
use devices::fault::plane::SITES;
use explore::teardown::{self, Item, Teardown};
use serde::Serialize;
use std::path::Path;
use trace::Event;
use verdict::{Ended, Verdict, Verifier};

/// Everything that a run has to tell; the `--json` document.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the plan.
    pub plan: String,
    /// The plan, printed canonically: enough to run it again.
    pub plan_text: String,
    /// `kvm` or `sim`.
    pub machine: &'static str,
    /// Seed of the chooser (simulator).
    pub seed: Option<u64>,
    /// Hash of every event of the run (simulator): the same for the same plan and seed.
    pub trace_hash: Option<String>,
    /// Host seconds for a second of machine time (KVM).
    pub slow_down: Option<u64>,
    /// Events in the trace.
    pub events: u64,
    /// Machine time at the end, ns.
    pub machine_time: u64,
    /// What was found.
    pub verdict: Verdict,
    /// What each thread did with its time, and how often a wake-up moved it to another CPU.
    pub scheduling: Scheduling,
    /// Steps of teardown, sites and rule checks, and how often each was exercised.
    pub exercised: Vec<Item>,
    /// The guest's last console lines.
    pub console: Vec<String>,
    /// The core that was written (KVM).
    pub core: Option<String>,
}

/// Runs the plan, or each of them, and prints what was found.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    match args.plans.as_slice() {
        [plan] => one(args, plan),
        plans => many::run(args, plans),
    }
}

fn one(args: &RunArgs, path: &Path) -> Result<Exit, Failure> {
    let plan = crate::load::plan(path, &args.script)?;
    let image = args.image.as_deref().map(|path| crate::load::bytes("image", path)).transpose()?;
    let needs = image_needs_kvm(image.as_deref()).or(args.debug.needs_kvm());
    let chosen = machine::choose(args.machine, needs, args.slow_down)?;
    let mut places = places(args, &plan, args.report.as_deref(), &chosen)?;
    if !args.json {
        crate::output::print(&preface(&plan, &chosen, args.seed))?;
        crate::output::print(&places.told().unwrap_or_default())?;
    }
    let mut control = Control::open(&args.control, &plan)?;
    let mut recorder = Recorder::new(&places)?;
    let debugger = Debugger::open(&args.debug)?;
    let image = image.as_deref().unwrap_or(guest_image::IMAGE);
    let guest = Guest { image, core: places.core.take(), debugger, console: places.console.as_ref() };
    let (report, core) = on_machine(&plan, &chosen, guest, args, &mut recorder, control.as_mut())?;
    if let Some(control) = control {
        control.close(Some(&report.verdict));
    }
    let mut left = Left::default();
    left.note(recorder.finish(&report));
    if let Some(file) = &args.lcov {
        left.note(crate::find::lcov::write(file, &report.exercised));
    }
    if args.json {
        crate::output::println(&to_json(&report)?)?;
    } else {
        crate::output::print(&summary(&report))?;
    }
    let say = |line: &str| if args.json { Ok(()) } else { crate::output::print(line) };
    left.note(places.leave(line(&report), core.as_ref(), say));
    left.told()?;
    Ok(exit(&report.verdict))
}

/// Where a run of `plan` leaves what it leaves; `report` is the folder of this plan's report.
fn places(args: &RunArgs, plan: &Plan, report: Option<&Path>, chosen: &Chosen) -> Result<Places, Failure> {
    let mut places = Places::open(&plan.name, &args.console, &args.debug)?.with_report(report);
    // The simulator's kernel has no memory of its own that a core could have.
    places.core = places.core.filter(|_| matches!(chosen.machine, Machine::Kvm(_)));
    Ok(places)
}

/// What the list of a collection says of a run.
fn line(report: &Report) -> Line<'_> {
    Line {
        what: &report.plan,
        machine: report.machine,
        seed: report.seed,
        verdict: verdict::word(&report.verdict),
        ended: match &report.verdict.ended {
            Ended::Done => "done".to_owned(),
            Ended::Quit => "ended from outside".to_owned(),
            Ended::Panic(why) => format!("panic: {why}"),
            Ended::Hang(why) => format!("hang: {why}"),
            Ended::Bad(why) | Ended::HostDefect(why) => why.clone(),
        },
        rules: report.verdict.findings.iter().map(|finding| finding.rule.as_ref()).collect(),
        core: report.core.is_some(),
    }
}

/// An image of one's own runs on KVM only, and why.
fn image_needs_kvm(image: Option<&[u8]>) -> Option<(&'static str, &'static str)> {
    image.map(|_| ("--image", "the simulator has its own build of the kernel"))
}

/// A run that the host's defect or a client ended is neither held nor a bug found, unless one was found before.
fn exit(verdict: &Verdict) -> Exit {
    match (verdict.passed, &verdict.ended) {
        (true, _) => Exit::Held,
        (false, Ended::HostDefect(_)) => Exit::Host,
        (false, Ended::Quit) if verdict.findings_total == 0 => Exit::Host,
        (false, _) => Exit::Found,
    }
}

pub fn to_json(report: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(report)
        .map_err(|error| Failure::host(format_args!("cannot print JSON: {error}")))
}

fn preface(plan: &Plan, chosen: &Chosen, seed: u64) -> String {
    let seed = match chosen.machine {
        Machine::Sim => format!(", seed {seed}"),
        Machine::Kvm(_) => String::new(),
    };
    let memory = plan.memory >> 20;
    format!("{}\n{}: {} CPUs, {memory} MiB{seed}\n", chosen.why, plan.name, plan.cpus)
}

fn on_machine(
    plan: &Plan,
    chosen: &Chosen,
    mut guest: Guest<'_>,
    args: &RunArgs,
    recorder: &mut Recorder,
    mut control: Option<&mut Control>,
) -> Result<(Report, Option<Core>), Failure> {
    let verifier = match chosen.machine {
        Machine::Sim => Verifier::new(plan),
        Machine::Kvm(_) => Verifier::new(plan).of_shared_time(),
    };
    let watched = Watched::new(plan, Some(verifier), control.is_some() || guest.debugger.is_some());
    let mut progress = Progress::new(plan.run_for, args.json);
    let mut timeline = Timeline::new(plan);
    // Without a folder nobody would see it.
    let mut collector = recorder.folder.is_some().then(|| Collector::new(plan));
    let mut teardown = Teardown::default();
    let mut books = Books::default();
    let mut events = 0;
    let mut sink = |event: &Event| {
        events += 1;
        watched.event(event);
        progress.event(event);
        timeline.event(event);
        if let Some(collector) = &mut collector {
            collector.event(event);
        }
        teardown.event(event);
        books.event(event);
        recorder.event(event);
    };
    let steering = control.as_mut().map(|control| control.steering(&watched));
    let mut ran = match &chosen.machine {
        Machine::Sim => Ran::in_simulator(plan, args.seed, guest.console, steering, &mut sink)?,
        Machine::Kvm(host) => {
            let gdb = guest.debugger.as_mut().and_then(|debugger| debugger.gdb(&watched));
            let options = vmm::Options {
                seed: args.seed,
                core: guest.core.take(),
                tap: guest.console.map(Console::tap),
                ..machine::kvm_options(host)
            };
            Ran::on_kvm(plan, guest.image, &options, (steering, gdb), &mut sink)?
        }
    };
    if let Some(control) = control {
        control.over(ran.over, &watched);
        if control.ended() {
            ran.ended = Ended::Quit;
        }
    }
    progress.finish();
    let (verifier, said) = watched.into_parts();
    let verifier = verifier.unwrap_or_else(|| Verifier::new(plan));
    let core = ran.core.take();
    let report = ran.report(&with_rules(plan, said), events, verifier, (teardown, books), core.as_ref());
    recorder.picture = Some(timeline.svg(&report.verdict));
    recorder.seen = collector.map(|collector| Seen::new(collector, &report.verdict));
    Ok((report, core))
}

/// The core that was written, or why it could not be.
type Core = Result<vmm::Written, String>;

/// What a guest is given, and what is taken from it.
struct Guest<'a> {
    /// The guest image (KVM).
    image: &'a [u8],
    /// Where a core goes (KVM).
    core: Option<vmm::CoreFile>,
    /// Where a debugger comes to (KVM).
    debugger: Option<Debugger>,
    /// Where its console goes.
    console: Option<&'a Console>,
}

/// The plan with what clients added to it: enough to run it again.
fn with_rules(plan: &Plan, said: Vec<Rule>) -> Plan {
    let mut plan = plan.clone();
    plan.rules.extend(said);
    plan
}

/// What a machine answers when a run is over.
struct Ran {
    machine: &'static str,
    seed: Option<u64>,
    trace_hash: Option<String>,
    slow_down: Option<u64>,
    machine_time: u64,
    ended: Ended,
    over: Over,
    sites: Vec<(u32, [u64; SITES])>,
    console: Vec<String>,
    core: Option<Core>,
}

impl Ran {
    fn in_simulator(
        plan: &Plan,
        seed: u64,
        console: Option<&Console>,
        mut steering: Option<Steering<'_>>,
        sink: &mut dyn FnMut(&Event),
    ) -> Result<Self, Failure> {
        let mut sim = sim::Sim::builder().seed(seed);
        if let Some(console) = console {
            sim = sim.console(console.output());
        }
        if let Some(steering) = &mut steering {
            sim = sim.steer(steering);
        }
        let outcome = sim::run_on(sim, plan, sink).map_err(Failure::request)?;
        let over = match outcome.ended {
            sim::Ended::Done => Over::Guest,
            sim::Ended::Stopped => Over::Quit,
            _ => Over::Panic,
        };
        Ok(Self {
            machine: "sim",
            seed: Some(seed),
            trace_hash: Some(format!("{:016x}", outcome.trace_hash)),
            slow_down: None,
            machine_time: outcome.virtual_time,
            ended: explore::execute::ended(&outcome),
            over,
            sites: outcome.sites,
            console: outcome.console,
            core: None,
        })
    }

    fn on_kvm(
        plan: &Plan,
        image: &[u8],
        options: &vmm::Options,
        (mut steering, gdb): (Option<Steering<'_>>, Option<vmm::gdb::Gdb<'_>>),
        sink: &mut dyn FnMut(&Event),
    ) -> Result<Self, Failure> {
        let steer = steering.as_mut().map(|steering| steering as &mut dyn vmm::Steer);
        let outcome =
            vmm::run_steered(plan, image, options, steer, gdb, sink).map_err(machine::kvm_failure)?;
        Ok(Self {
            machine: "kvm",
            seed: None,
            trace_hash: None,
            slow_down: Some(outcome.slow_down),
            machine_time: outcome.machine_time,
            ended: machine::kvm_ended(&outcome),
            over: crate::boot::over(&outcome.ending),
            sites: outcome.sites,
            console: outcome.console,
            core: outcome.core,
        })
    }

    fn report(
        self,
        plan: &Plan,
        events: u64,
        verifier: Verifier,
        (mut teardown, books): (Teardown, Books),
        core: Option<&Core>,
    ) -> Report {
        let verdict = verifier.finish(self.ended);
        teardown.judged(&verdict);
        teardown.passed(&self.sites);
        Report {
            plan: plan.name.clone(),
            plan_text: plan.to_string(),
            machine: self.machine,
            seed: self.seed,
            trace_hash: self.trace_hash,
            slow_down: self.slow_down,
            events,
            machine_time: self.machine_time,
            verdict,
            scheduling: books.told(self.machine_time),
            exercised: teardown.items(plan),
            console: self.console,
            core: core.and_then(|core| Some(core.as_ref().ok()?.path.display().to_string())),
        }
    }
}

fn summary(report: &Report) -> String {
    let mut text = verdict::render(&report.verdict);
    if !matches!(report.verdict.ended, Ended::Done) {
        text.push_str("last console lines:\n");
        for line in &report.console {
            text.push_str(&format!("  | {line}\n"));
        }
    }
    text.push_str(&teardown::table(&report.exercised, false));
    text.push_str(&report.scheduling.line());
    if let Some(hash) = &report.trace_hash {
        text.push_str(&format!("trace: {} events, hash {hash}\n", report.events));
    } else {
        text.push_str(&format!("trace: {} events\n", report.events));
    }
    text
}

/// Writes `trace.bin` while the run goes on, and behind it the result as JSON, text, picture, page and test suite.
struct Recorder {
    folder: Option<std::path::PathBuf>,
    trace: Option<std::io::BufWriter<std::fs::File>>,
    /// Why the trace was given up.
    cut: Option<std::io::Error>,
    picture: Option<String>,
    seen: Option<Seen>,
}

impl Recorder {
    fn new(places: &Places) -> Result<Self, Failure> {
        let none = Self { folder: None, trace: None, cut: None, picture: None, seen: None };
        let Some(folder) = places.report.as_deref() else { return Ok(none) };
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        let path = folder.join("trace.bin");
        let file = std::fs::File::create(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { folder: Some(folder.to_owned()), trace: Some(std::io::BufWriter::new(file)), ..none })
    }

    /// Writes the event. A trace that cannot go on is given up; the run goes on, and has its result.
    fn event(&mut self, event: &Event) {
        use std::io::Write;
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.write_all(&event.encode())
        {
            (self.trace, self.cut) = (None, Some(error));
        }
    }

    /// # Errors
    /// The first of the files that could not be written; the others are there.
    fn finish(mut self, report: &Report) -> Result<(), Failure> {
        use std::io::Write;
        let Some(folder) = self.folder else { return Ok(()) };
        if let Some(Err(error)) = self.trace.as_mut().map(Write::flush) {
            self.cut = Some(error);
        }
        let mut left = Left::default();
        left.note(self.cut.map_or(Ok(()), |error| Err(unwritable(&folder.join("trace.bin"), &error))));
        let mut files = vec![
            ("result.json", to_json(report)?),
            ("run.plan", report.plan_text.clone()),
            ("result.txt", summary(report)),
            ("console.txt", report.console.join("\n")),
            ("timeline.svg", self.picture.unwrap_or_default()),
        ];
        if let Some(seen) = &self.seen {
            files.extend(report::files(report, seen)?);
        }
        for (name, text) in files {
            let path = folder.join(name);
            left.note(std::fs::write(&path, text).map_err(|error| unwritable(&path, &error)));
        }
        left.told()
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::request(format_args!("cannot write {}: {error}", path.display()))
}
