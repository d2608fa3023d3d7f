//! `workgate merge`: the result folders of many shards become one.
//!
//! Bugs with the same rule become one (of those that no plan shows: in the same target): its counts add up, and the smallest of its capsules is kept. Nothing is
//! written before everything was read.

use super::bug::{self, Bug, LIST};
use super::fuzz::{Account, SUMMARY};
use crate::cli::MergeArgs;
use crate::exit::{Exit, Failure};
use crate::report::Campaign;
use explore::{Capsule, Cause};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Bytes of a list of findings.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// A bug and the files that show it.
struct Kept {
    bug: Bug,
    files: Vec<(String, Vec<u8>)>,
}

/// All folders together.
#[derive(Default)]
struct Merged {
    /// By the name of the first file: one for each cause.
    kept: BTreeMap<String, Kept>,
    lines: u64,
    runs: u64,
    accounts: u64,
    shards: BTreeMap<String, BTreeSet<String>>,
}

/// The `--json` document.
#[derive(Serialize)]
struct Document {
    folders: usize,
    runs: u64,
    lines: u64,
    shards: BTreeMap<String, BTreeSet<String>>,
    findings: Vec<Bug>,
}

/// Joins result folders.
pub fn merge(args: &MergeArgs) -> Result<Exit, Failure> {
    let mut seen = BTreeSet::new();
    let mut merged = Merged::default();
    for folder in &args.folders {
        let real = folder.canonicalize().map_err(|error| {
            Failure::request(format_args!("cannot read the folder {}: {error}", folder.display()))
        })?;
        if !seen.insert(real) {
            let message = format_args!("{} is given twice: its runs would count twice", folder.display());
            return Err(Failure::request(message));
        }
        merged.take(folder)?;
    }
    let bugs = write(&merged, &args.out)?;
    tell(args, &merged, &bugs)?;
    Ok(if bugs.is_empty() { Exit::Held } else { Exit::Found })
}

impl Merged {
    /// Takes a folder in: its account, and each line of its list with its files.
    fn take(&mut self, folder: &Path) -> Result<(), Failure> {
        let account = optional(&folder.join(SUMMARY))?;
        let list = optional(&folder.join(LIST))?;
        if account.is_none() && list.is_none() {
            return Err(Failure::request(format_args!(
                "{} is no result folder; expected {LIST} or {SUMMARY} in it, as `workgate explore` and `workgate fuzz` leave them",
                folder.display()
            )));
        }
        if let Some(text) = account {
            let account: Account = parsed(&folder.join(SUMMARY), None, &text)?;
            self.runs += account.runs;
            self.accounts += 1;
            if !self.shards.entry(account.what.clone()).or_default().insert(account.shard.clone()) {
                return Err(Failure::request(format_args!(
                    "{}: shard {} of {} is there already: its runs would count twice",
                    folder.display(),
                    account.shard,
                    account.what
                )));
            }
        }
        for (index, line) in list.as_deref().unwrap_or_default().lines().enumerate() {
            if !line.trim().is_empty() {
                let bug = parsed(&folder.join(LIST), Some(index + 1), line)?;
                self.add(folder, index + 1, bug)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, folder: &Path, line: usize, bug: Bug) -> Result<(), Failure> {
        self.lines += 1;
        let files = files(folder, line, &bug)?;
        let Some(known) = self.kept.get_mut(&files[0].0) else {
            self.kept.insert(files[0].0.clone(), Kept { bug, files });
            return Ok(());
        };
        let (first, runs) = (known.bug.first.min(bug.first), known.bug.runs.saturating_add(bug.runs));
        if size(&bug) < size(&known.bug) {
            *known = Kept { bug, files };
        }
        (known.bug.first, known.bug.runs) = (first, runs);
        Ok(())
    }
}

/// What makes a capsule the better one: verified, fewer statements, fewer preemptions, fewer deviations.
fn size(bug: &Bug) -> (bool, bool, usize, usize, usize, usize) {
    let unverified = bug.verified == 0 && bug.capsule.is_some();
    (bug.capsule.is_none(), unverified, bug.statements, bug.preemptions, bug.deviations, bug.plan.len())
}

/// The files that a line names; they lie beside the list, wherever the list was written.
fn files(folder: &Path, line: usize, bug: &Bug) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let list = folder.join(LIST);
    let wrong = |what: String| Failure::request(format_args!("{}:{line}: {what}", list.display()));
    let (named, extension) = match (&bug.capsule, &bug.input) {
        (Some(path), _) => (path, "capsule"),
        (None, Some(path)) => (path, "input"),
        (None, None) => return Err(wrong("the finding has neither `capsule` nor `input`".to_owned())),
    };
    let path = named.file_name().map(|name| folder.join(name));
    let path = path.ok_or_else(|| wrong(format!("`{}` is no file", named.display())))?;
    let bytes = std::fs::read(&path)
        .map_err(|error| wrong(format!("the finding's file {} cannot be read: {error}", path.display())))?;
    let cause = Cause { rule: bug.rule.clone() };
    if extension == "capsule" {
        let text = String::from_utf8_lossy(&bytes);
        let capsule = Capsule::parse(&text)
            .map_err(|error| Failure::request(format_args!("{}: {error}", path.display())))?;
        if capsule.cause.as_ref() != Some(&cause) {
            let broken = capsule.cause.map_or_else(|| "nothing".to_owned(), |cause| cause.rule);
            return Err(wrong(format!("the finding is about {}, its capsule about {broken}", bug.rule)));
        }
    }
    let name = match extension {
        "capsule" => bug::file_name(&cause),
        _ => bug::input_name(bug.target.as_deref().unwrap_or("unknown"), &cause),
    };
    let mut files = vec![(name, bytes)];
    // The plan is in the capsule, too: it may be missing.
    if let Ok(plan) = std::fs::read(path.with_extension("plan")) {
        files.push((bug::file_with(&cause, "plan"), plan));
    }
    Ok(files)
}

/// The text of a file; `None` if there is no such file.
fn optional(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |what: String| Failure::request(format_args!("cannot read {}: {what}", path.display()));
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
        Ok(data) if data.len() > MAX_LIST_BYTES => {
            return Err(failed(format!("it is longer than {MAX_LIST_BYTES} bytes")));
        }
        Ok(_) => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(|error| failed(error.to_string()))
}

fn parsed<T: DeserializeOwned>(path: &Path, line: Option<usize>, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let place = line.map_or_else(String::new, |line| format!(":{line}"));
        let expected = match line {
            Some(_) => "one finding as a JSON object, as `workgate explore` and `workgate fuzz` write it",
            None => "the account of a campaign, as `workgate explore` and `workgate fuzz` write it",
        };
        Failure::request(format_args!("{}{place}: {error}; expected {expected}", path.display()))
    })
}

fn write(merged: &Merged, out: &Path) -> Result<Vec<Bug>, Failure> {
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::request(format_args!("cannot write into {}: {error}", out.display())))?;
    let mut bugs = Vec::new();
    for kept in merged.kept.values() {
        for (name, bytes) in &kept.files {
            bug::write_whole(&out.join(name), bytes)?;
        }
        let moved = |path: &PathBuf| path.file_name().map(|_| out.join(&kept.files[0].0));
        let capsule = kept.bug.capsule.as_ref().and_then(moved);
        let input = kept.bug.input.as_ref().and_then(moved);
        bugs.push(Bug { capsule, input, ..kept.bug.clone() });
    }
    if !bugs.is_empty() {
        bug::write_list(out, &bugs)?;
    }
    let whats: Vec<_> = merged.shards.keys().cloned().collect();
    let parts: usize = merged.shards.values().map(BTreeSet::len).sum();
    let account = Account {
        what: whats.join(", "),
        shard: format!("{parts} merged"),
        runs: merged.runs,
        features: 0,
        findings: bugs.len() as u64,
    };
    bug::write_whole(&out.join(SUMMARY), &(crate::run::to_json(&account)? + "\n"))?;
    Ok(bugs)
}

fn tell(args: &MergeArgs, merged: &Merged, bugs: &[Bug]) -> Result<(), Failure> {
    let document = Document {
        folders: args.folders.len(),
        runs: merged.runs,
        lines: merged.lines,
        shards: merged.shards.clone(),
        findings: bugs.to_vec(),
    };
    if let Some(folder) = &args.report {
        report(&document).write(folder, &document)?;
    }
    if args.json {
        return crate::output::println(&crate::run::to_json(&document)?);
    }
    let mut text = format!("{} folders", args.folders.len());
    if merged.accounts > 0 {
        text += &format!(", {} runs", merged.runs);
    }
    text += &format!(", {} lines, {} causes, into {}\n", merged.lines, bugs.len(), args.out.display());
    for bug in bugs {
        text += &format!(
            "FOUND {}: in {} run(s); {} statements, {} deviations of the schedule\n",
            bug.rule, bug.runs, bug.statements, bug.deviations
        );
        if let Some(capsule) = &bug.capsule {
            text += &format!("  again: workgate replay {}\n", capsule.display());
        }
    }
    text += &format!("verdict: {}\n", if bugs.is_empty() { "nothing found" } else { "FAIL" });
    crate::output::print(&text)
}

/// What the report tells.
fn report(document: &Document) -> Campaign<'_> {
    let whats: Vec<&str> = document.shards.keys().map(String::as_str).collect();
    let part = |(what, shards): (&String, &BTreeSet<String>)| {
        format!("{what}: {}", shards.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    Campaign {
        kind: "merge",
        what: if whats.is_empty() { "findings".to_owned() } else { whats.join(", ") },
        how: format!("the results of {} folders", document.folders),
        facts: vec![
            ("folders", document.folders.to_string()),
            ("runs", document.runs.to_string()),
            ("findings before joining", document.lines.to_string()),
            ("parts", document.shards.iter().map(part).collect::<Vec<_>>().join("; ")),
        ],
        took: None,
        bugs: &document.findings,
        matrices: BTreeMap::new(),
        exercised: &[],
        plan: String::new(),
        options: String::new(),
        has_files: true,
    }
}
