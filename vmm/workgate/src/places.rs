//! Where what a machine leaves behind goes.

use crate::cli::{ConsoleArgs, DebugArgs};
use crate::collect::{Collected, Line};
use crate::console::Console;
use crate::exit::Failure;
use std::path::{Path, PathBuf};

/// The places of one machine.
#[derive(Default)]
pub struct Places {
    /// The folder of its report.
    pub report: Option<PathBuf>,
    /// Where its core goes (KVM).
    pub core: Option<vmm::CoreFile>,
    /// Where its console goes.
    pub console: Option<Console>,
    collected: Option<Collected>,
}

impl Places {
    /// What the options ask for, for a machine that runs `what`: a plan, or an image.
    ///
    /// # Errors
    /// A place cannot be opened.
    pub fn open(what: &str, console: &ConsoleArgs, debug: &DebugArgs) -> Result<Self, Failure> {
        let Some(collection) = &console.collect else {
            return Ok(Self {
                report: None,
                core: crate::stacks::core_file(debug, what)?,
                console: Console::open(console.console.as_ref(), true)?,
                collected: None,
            });
        };
        let collected = Collected::open(collection, what)?;
        Ok(Self {
            report: Some(collected.folder()),
            core: Some(vmm::CoreFile::new(&collected.core(), what).map_err(Failure::request)?),
            console: Some(Console::log(&collected.console())?),
            collected: Some(collected),
        })
    }

    /// The same with a report in `folder`, if one is wanted; a collected machine has its own.
    pub fn with_report(mut self, folder: Option<&Path>) -> Self {
        self.report = self.report.or_else(|| folder.map(Path::to_owned));
        self
    }

    /// Where readers of the console come to, or the collected machine's folder, for people.
    pub fn told(&self) -> Option<String> {
        let console =
            self.console.as_ref().and_then(Console::told).map(|place| format!("console: {place}\n"));
        let folder = self
            .collected
            .as_ref()
            .map(|collected| format!("collected in: {}\n", collected.folder().display()));
        console.or(folder)
    }

    /// The machine has ended, and how has been told: what fails here hides no outcome. What became of its core is told to `say`.
    ///
    /// # Errors
    /// The core, the console, or the collection's list, could not be written. What one of them lacks is no reason to leave out the others.
    pub fn leave(
        self,
        line: Line<'_>,
        core: Option<&Result<vmm::Written, String>>,
        say: impl FnOnce(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let closed = self.close(line);
        if let Some(line) = crate::stacks::told(core)? {
            say(&line)?;
        }
        closed
    }

    /// Ends the console, and writes the collection's line.
    fn close(self, line: Line<'_>) -> Result<(), Failure> {
        let console = self.console.map_or(Ok(()), Console::close);
        let collected = self.collected.map_or(Ok(()), |collected| collected.close(line));
        console.and(collected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(what: &str) -> Line<'_> {
        let (ended, rules) = ("done".to_owned(), Vec::new());
        Line { what, machine: "kvm", seed: None, verdict: "NONE", ended, rules, core: false }
    }

    #[test]
    fn a_console_that_cannot_be_written_is_told_when_it_is_closed() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let console = Some("/dev/full".parse().expect("a place"));
        let args = ConsoleArgs { console, collect: None };
        let places = Places::open("image", &args, &DebugArgs::default()).expect("it opens");
        let mut output = places.console.as_ref().expect("a console").output();
        output.write_all(b"a line\n").expect("the machine is not held up");
        let failure = places.close(line("image")).expect_err("it is full");
        assert!(failure.message.contains("cannot write the console to /dev/full"), "{}", failure.message);
    }

    #[test]
    fn a_collected_machine_has_all_its_places_in_one_folder_and_its_line() {
        let collection = std::env::temp_dir().join(format!("wg-places-{}", std::process::id()));
        let args = ConsoleArgs { console: None, collect: Some(collection.clone()) };
        let places = Places::open("a.plan", &args, &DebugArgs::default()).expect("it opens");
        let places = places.with_report(Some(Path::new("/elsewhere")));
        assert_eq!(places.report, Some(collection.join("a-1")));
        assert!(places.core.is_some() && places.told().expect("a line").contains("a-1"));
        places.close(line("a.plan")).expect("it can be written");
        let index = std::fs::read_to_string(collection.join("index.jsonl")).expect("a list");
        assert!(index.contains("\"what\":\"a.plan\""), "{index}");
        std::fs::remove_dir_all(&collection).expect("ours");
    }

    #[test]
    fn a_machine_whose_core_could_not_be_written_has_its_line_too() {
        let collection = std::env::temp_dir().join(format!("wg-places-core-{}", std::process::id()));
        let args = ConsoleArgs { console: None, collect: Some(collection.clone()) };
        let places = Places::open("b.plan", &args, &DebugArgs::default()).expect("it opens");
        let core = Err("cannot write the core: no space".to_owned());
        let say = |line: &str| panic!("there is nothing to say of it: {line}");
        let failure = places.leave(line("b.plan"), Some(&core), say).expect_err("there is no core");
        assert!(failure.message.contains("no space"), "{}", failure.message);
        let index = std::fs::read_to_string(collection.join("index.jsonl")).expect("a list");
        assert!(index.contains("\"what\":\"b.plan\""), "{index}");
        std::fs::remove_dir_all(&collection).expect("ours");
    }
}
