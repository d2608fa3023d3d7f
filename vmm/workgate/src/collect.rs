//! `--collect`: one folder for what many machines leave behind.
//!
//! Each machine has a folder of its own there, with its console as it is printed, its core, its result and its trace; and a line in `index.jsonl` when it has ended. Any number of
//! machines may do that at the same time, in different processes, too: a folder is made by one of them only, and a line is written at once.

use crate::exit::Failure;
use serde::Serialize;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The list of all that have ended.
const INDEX: &str = "index.jsonl";
/// The console, whole.
const CONSOLE: &str = "console.log";
/// The core, if there is one.
const CORE: &str = "core";
/// Letters of a plan's name that the folder's has.
const NAME: usize = 64;
/// Rules that a line names.
const RULES: usize = 8;

/// A machine's folder in the collection.
pub struct Collected {
    collection: PathBuf,
    name: String,
    /// Seconds since 1970.
    began: u64,
}

/// What the list says of a machine.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// The plan, or the image.
    pub what: &'a str,
    /// `kvm` or `sim`.
    pub machine: &'a str,
    /// Seed of the simulator's chooser.
    pub seed: Option<u64>,
    /// `PASS`, `FAIL`, or `NONE`: it was not judged.
    pub verdict: &'a str,
    /// How it ended.
    pub ended: String,
    /// Rules that were broken, the first few.
    pub rules: Vec<&'a str>,
    /// Whether there is a core.
    pub core: bool,
}

/// A line as it is written.
#[derive(Serialize)]
struct Entry<'a> {
    folder: &'a str,
    /// UTC, seconds since 1970.
    began: u64,
    seconds: u64,
    #[serde(flatten)]
    line: &'a Line<'a>,
}

impl Collected {
    /// A new folder in `collection`, which is made if it is not there, for a machine that runs `what`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(collection: &Path, what: &str) -> Result<Self, Failure> {
        std::fs::create_dir_all(collection).map_err(|error| unwritable(collection, &error))?;
        let stem = stem(what);
        let mut number = 1u64;
        loop {
            let name = format!("{stem}-{number}");
            let folder = collection.join(&name);
            match DirBuilder::new().create(&folder) {
                Ok(()) => return Ok(Self { collection: collection.to_owned(), name, began: now() }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(unwritable(&folder, &error)),
            }
        }
    }

    /// The machine's folder.
    pub fn folder(&self) -> PathBuf {
        self.collection.join(&self.name)
    }

    /// Where its console goes.
    pub fn console(&self) -> PathBuf {
        self.folder().join(CONSOLE)
    }

    /// Where a core goes.
    pub fn core(&self) -> PathBuf {
        self.folder().join(CORE)
    }

    /// The machine has ended: it gets its line.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn close(self, mut line: Line<'_>) -> Result<(), Failure> {
        let index = self.collection.join(INDEX);
        line.rules.truncate(RULES);
        let entry = Entry {
            folder: &self.name,
            began: self.began,
            seconds: now().saturating_sub(self.began),
            line: &line,
        };
        let text = serde_json::to_string(&entry).map_err(Failure::host)? + "\n";
        // Appended by one call, so that lines of several machines do not mix.
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&index)
            .map_err(|error| unwritable(&index, &error))?;
        file.write_all(text.as_bytes()).map_err(|error| unwritable(&index, &error))
    }
}

/// What a folder may be called after `what`, the name of a file.
fn stem(what: &str) -> String {
    let stem = Path::new(what).file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = stem.chars().take(NAME).map(plain).collect();
    if stem.is_empty() { "machine".to_owned() } else { stem }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::request(format_args!("--collect: cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(stem("plans/a b.plan"), "a_b");
        assert_eq!(stem("../.."), "machine");
        assert_eq!(stem(&"x".repeat(1000)).len(), NAME);
    }

    #[test]
    fn every_machine_has_a_folder_and_a_line_of_its_own() {
        let collection = std::env::temp_dir().join(format!("wg-collect-{}", std::process::id()));
        let machine = || {
            let collected = Collected::open(&collection, "removal.plan").expect("a folder");
            let folder = collected.folder();
            assert!(folder.is_dir());
            let line = Line {
                what: "removal.plan",
                machine: "sim",
                seed: Some(1),
                verdict: "PASS",
                ended: "done".to_owned(),
                rules: vec!["close-before-return"; 20],
                core: false,
            };
            collected.close(line).expect("a line");
            folder
        };
        let folders: std::collections::BTreeSet<PathBuf> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(machine)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(folders.len(), 8);
        let index = std::fs::read_to_string(collection.join(INDEX)).expect("a list");
        let names: std::collections::BTreeSet<String> = index
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
                assert_eq!(line["rules"].as_array().map(Vec::len), Some(RULES));
                line["folder"].as_str().expect("a name").to_owned()
            })
            .collect();
        assert!(
            names.iter().all(|name| folders.contains(&collection.join(name))) && names.len() == 8,
            "{names:?}"
        );
        std::fs::remove_dir_all(&collection).expect("ours");
    }
}
