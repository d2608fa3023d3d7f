//! Where what a run leaves behind goes.

use super::Report;
use crate::cli::RunArgs;
use crate::collect::{Collected, Line};
use crate::console::Console;
use crate::exit::Failure;
use crate::machine::{Chosen, Machine};
use devices::fault::plan::Plan;
use std::path::{Path, PathBuf};
use verdict::Ended;

/// The places of one run.
#[derive(Default)]
pub(super) struct Places {
    /// The folder of its report.
    pub report: Option<PathBuf>,
    /// Where its core goes (KVM).
    pub core: Option<vmm::CoreFile>,
    /// Where its console goes.
    pub console: Option<Console>,
    collected: Option<Collected>,
}

impl Places {
    /// What the options ask for; `report` is the folder of this plan's report.
    pub fn open(
        args: &RunArgs,
        plan: &Plan,
        report: Option<&Path>,
        chosen: &Chosen,
    ) -> Result<Self, Failure> {
        let Some(collection) = &args.console.collect else {
            return Ok(Self {
                report: report.map(Path::to_owned),
                core: crate::stacks::core_file(&args.debug, &plan.name)?,
                console: Console::open(args.console.console.as_ref(), true)?,
                collected: None,
            });
        };
        let collected = Collected::open(collection, &plan.name)?;
        // The simulator's kernel has no memory of its own that a core could have.
        let on_kvm = matches!(chosen.machine, Machine::Kvm(_));
        let core = on_kvm.then(|| vmm::CoreFile::new(&collected.core(), &plan.name));
        Ok(Self {
            report: Some(collected.folder()),
            core: core.transpose().map_err(Failure::request)?,
            console: Some(Console::log(&collected.console())?),
            collected: Some(collected),
        })
    }

    /// Where readers of the console come to, for people.
    pub fn told(&self) -> Option<String> {
        let console =
            self.console.as_ref().and_then(Console::told).map(|place| format!("console: {place}\n"));
        let folder = self
            .collected
            .as_ref()
            .map(|collected| format!("collected in: {}\n", collected.folder().display()));
        console.or(folder)
    }

    /// The run is over, and told in `report`.
    pub fn close(self, report: &Report) -> Result<(), Failure> {
        self.console.map_or(Ok(()), Console::close)?;
        let Some(collected) = self.collected else { return Ok(()) };
        collected.close(Line {
            what: &report.plan,
            machine: report.machine,
            seed: report.seed,
            verdict: verdict::word(&report.verdict),
            ended: ended(&report.verdict.ended),
            rules: report.verdict.findings.iter().map(|finding| finding.rule.as_ref()).collect(),
            core: report.core.is_some(),
        })
    }
}

fn ended(ended: &Ended) -> String {
    match ended {
        Ended::Done => "done".to_owned(),
        Ended::Quit => "ended from outside".to_owned(),
        Ended::Panic(why) => format!("panic: {why}"),
        Ended::Hang(why) => format!("hang: {why}"),
        Ended::Bad(why) | Ended::HostDefect(why) => why.clone(),
    }
}
