//! Which events are shown.

use crate::cli::TraceArgs;
use crate::exit::{Failure, hint};
use std::collections::BTreeMap;
use trace::{Event, Kind};
use verdict::Names;

/// What is asked for; of each list one must fit, and an empty one fits everything.
pub struct Filter {
    cpus: Vec<u8>,
    threads: Vec<String>,
    slots: Vec<u32>,
    kinds: Vec<Kind>,
    from: u64,
    to: u64,
}

impl Filter {
    /// From the command line; `devices` are the names by slot.
    ///
    /// # Errors
    /// A device or a kind that there is not.
    pub fn new(args: &TraceArgs, devices: &BTreeMap<u32, String>) -> Result<Self, Failure> {
        let slots = args.device.iter().map(|name| slot(name, devices)).collect::<Result<_, _>>()?;
        let mut kinds = Vec::new();
        for word in &args.kind {
            kinds.extend(of_word(word)?);
        }
        Ok(Self {
            cpus: args.cpu.clone(),
            threads: args.thread.clone(),
            slots,
            kinds,
            from: args.from.unwrap_or(0),
            to: args.to.unwrap_or(u64::MAX),
        })
    }

    /// Whether the event is shown.
    pub fn wants(&self, event: &Event, names: &Names) -> bool {
        let time = names.plan_time(event.time);
        (self.from..=self.to).contains(&time)
            && any(&self.cpus, |cpu| *cpu == event.cpu)
            && any(&self.slots, |slot| *slot == event.slot)
            && any(&self.kinds, |kind| *kind == event.kind)
            && any(&self.threads, |thread| self.is_thread(event, thread, names))
    }

    /// By number, by name, or by both as the trace prints them: `45`, `IOConfigThread`, `IOConfigThread#7`.
    fn is_thread(&self, event: &Event, wanted: &str, names: &Names) -> bool {
        let full = names.thread(event.thread);
        full == wanted
            || full.rsplit_once('#').is_some_and(|(name, number)| name == wanted || number == wanted)
    }
}

fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn slot(name: &str, devices: &BTreeMap<u32, String>) -> Result<u32, Failure> {
    let known = devices.iter().find(|(_, device)| *device == name).map(|(slot, _)| *slot);
    let number = name.strip_prefix("slot").and_then(|number| number.parse().ok());
    known.or(number).ok_or_else(|| {
        let names: Vec<&str> = devices.values().map(String::as_str).collect();
        Failure::request(format_args!(
            "--device {}: no such device; expected slotN{}{}{}",
            name.escape_debug(),
            if names.is_empty() { "" } else { " or one of " },
            names.join(", "),
            hint(name, names)
        ))
    })
}

/// All kinds of a word: `gate.close`, or `gate` for all that begin so.
fn of_word(word: &str) -> Result<Vec<Kind>, Failure> {
    if let Some(kind) = Kind::from_word(word) {
        return Ok(vec![kind]);
    }
    let family = |kind: &&Kind| kind.word().split_once('.').is_some_and(|(first, _)| first == word);
    let kinds: Vec<Kind> = Kind::ALL.iter().filter(family).copied().collect();
    if kinds.is_empty() {
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        return Err(Failure::request(format_args!(
            "--kind {}: no such kind of event; expected one of {}, or the part before the dot{}",
            word.escape_debug(),
            words.join(", "),
            hint(word, words)
        )));
    }
    Ok(kinds)
}
