//! Boots the guest until it has carried out all that is wanted.

use conformance::{
    Ended, Run,
    guest::{NOTHING, Request},
};
use devices::fault::plan::Plan;
use std::time::Duration;
use vmm::{Ending, Limits, Options, Outcome, VmmError};

use crate::record::{Record, Sorter};

/// Boots that one campaign may cost, beyond which something is wrong with all of it.
const MOST_BOOTS: usize = 100;

/// Host seconds to a machine second, on any host. The guest skips the time that nobody uses, so this costs nothing; but a host that takes a processor away for
/// tens of milliseconds, as hosts do, takes microseconds of machine time, and no test looks that closely.
const SLOW_DOWN: u64 = 1_000;

/// More than one boot prints.
const CONSOLE_LINES: usize = 10_000;

/// How the guest begins the line that says that a test is over.
const SAYS: &str = "conform: ";

/// A guest that is silent for this long hangs; the watchdog stretches it by the slow-down, to a minute.
const SILENCE: Duration = Duration::from_secs(5);

/// As long as a plan can be. The time begins with `boot.ready`, which this guest does not say: the watchdog waits for it, and sees that the guest lives.
const FOR_EVER: &str = "run for=3600s";

/// A campaign: the guest on `cpus` CPUs, again and again.
pub struct Boots {
    request: Request,
    plan: Plan,
    record: Record,
}

/// What became of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boot {
    /// Everything was carried out.
    Complete,
    /// It goes on from here, in another boot.
    Broken,
}

impl Boots {
    /// The campaign for the tests that `word` chooses.
    pub fn new(cpus: usize, word: &str) -> Self {
        let text = format!("machine cpus={cpus} memory=128M\n{FOR_EVER}\n");
        let plan = Plan::parse("conformance", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        Self { request: Request::new(word, None), plan, record: Record::new(cpus) }
    }

    /// Boots until all is done.
    pub fn carry_out(mut self) -> Record {
        match self.boot_on() {
            Ok(()) => {}
            Err(error) if error.is_host() => self.record.no_kvm = Some(error.to_string()),
            Err(error) => self.record.trouble = Some(error.to_string()),
        }
        self.record
    }

    fn boot_on(&mut self) -> Result<(), VmmError> {
        for _ in 0..MOST_BOOTS {
            if self.boot()? == Boot::Complete {
                return Ok(());
            }
        }
        self.record.trouble = Some(format!("{MOST_BOOTS} boots, and the guest has not come to the end"));
        Ok(())
    }

    fn boot(&mut self) -> Result<Boot, VmmError> {
        let limits = Limits { silence: SILENCE, ..Limits::default() };
        let command_line = self.request.words();
        // Passes on what the guest prints, for whoever looks for the reason of a failure.
        let terminal = std::env::var_os("WORKGATE_CONSOLE").is_some();
        let options = Options {
            slow_down: SLOW_DOWN,
            command_line,
            limits,
            terminal,
            console_lines: CONSOLE_LINES,
            ..Options::default()
        };
        let mut sorter = Sorter::default();
        let outcome =
            vmm::run(&self.plan, conformance_image::IMAGE, &options, &mut |event| sorter.event(event))?;
        let broken = sorter.end();
        for (test, number, events, standing) in std::mem::take(&mut sorter.ended) {
            let last = broken == Some((test, number));
            let ended = if last { ended(&outcome) } else { Ended::Done };
            let console = lines_of(&outcome.console, test);
            self.record.add(test, number, Run { seed: 0, ended, events, console, standing, judged: None });
        }
        Ok(self.go_on(broken, &sorter, &outcome))
    }

    /// Where the next boot begins.
    fn go_on(&mut self, broken: Option<(u32, u32)>, sorter: &Sorter, outcome: &Outcome) -> Boot {
        match (broken, sorter.at) {
            (Some((test, run)), _) => (self.request.test, self.request.run) = (test, run + 1),
            (None, _) if sorter.done && outcome.ending == Ending::PowerOff => return Boot::Complete,
            (None, Some((test, _))) => {
                self.record.failures.insert(test, outcome.describe());
                (self.request.test, self.request.run) = (test + 1, 0);
            }
            (None, None) => {
                self.record.trouble = Some(format!("the guest came to no test: {}", outcome.describe()));
                return Boot::Complete;
            }
        }
        Boot::Broken
    }
}

/// What was printed since the test at `place` began, until it was over.
fn lines_of(console: &[String], place: u32) -> Vec<String> {
    let name = conformance::tests().nth(place as usize).map_or("", |test| test.name);
    let over = format!("{SAYS}{name} ok");
    let end = console.iter().position(|line| *line == over).unwrap_or(console.len());
    let start = console[..end].iter().rposition(|line| line.starts_with(SAYS)).map_or(0, |last| last + 1);
    console[start..end].to_vec()
}

/// How the run ended in which the machine ended.
fn ended(outcome: &Outcome) -> Ended {
    let text = outcome.console.join("\n");
    let message = text.rsplit_once("panic: cpu ").map(|(_, message)| message);
    match message.map(|message| message.split("\nbacktrace:").next().unwrap_or(message)) {
        Some(message) if message.ends_with(NOTHING) => Ended::Hung(message.to_owned()),
        Some(message) => Ended::Panicked(message.to_owned()),
        None if outcome.ending == Ending::PowerOff => Ended::Done,
        None => Ended::Otherwise(outcome.describe()),
    }
}
