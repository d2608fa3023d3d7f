//! Everybody's stack, from a core: what `workgate stacks` prints.

use crate::core::Core;
use crate::symbols::{HEADER_BYTES, Names, Symbols};
use crate::threads::{State, Thread};
use crate::unwind::{Virtual, unwind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Bytes of a table of functions in guest memory, at the most.
const MAX_TABLE: usize = 64 << 20;

/// The table of functions that the core's kernel has in its memory; empty if there is none.
pub fn table_in(core: &Core) -> Vec<u8> {
    let read = || {
        let at = core.about.symbols?;
        let mut header = [0; HEADER_BYTES];
        let length = (core.memory(at, &mut header) == HEADER_BYTES).then(|| Symbols::length(&header))??;
        let mut table = vec![0; Some(length).filter(|&length| length <= MAX_TABLE)?];
        (core.memory(at, &mut table) == length).then_some(table)
    };
    read().unwrap_or_default()
}

/// What a core is of, every thread with its stack, and who has which gate or lock and who waits for it.
pub fn render(core: &Core, names: &Names<'_>) -> String {
    let about = &core.about;
    let mut out = String::new();
    // Writing into a string cannot fail.
    _ = writeln!(
        out,
        "core of {}, at machine time {} ns: {}",
        shown(&about.plan),
        about.time,
        shown(&about.reason)
    );
    out + &render_threads(&about.threads, core, names)
}

/// Every thread with its stack, and who has which gate or lock and who waits for it.
pub fn render_threads(threads: &[Thread], memory: &dyn Virtual, names: &Names<'_>) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    _ = writeln!(out, "{} threads", threads.len());
    let called: BTreeMap<u32, &Thread> = threads.iter().map(|thread| (thread.id, thread)).collect();
    for thread in threads {
        _ = writeln!(out, "\n{}", line(thread, &called));
        if thread.registers.is_none() {
            _ = writeln!(out, "    its registers cannot be found");
        }
        for (address, name) in frames(memory, thread, names) {
            _ = writeln!(out, "    {address:#018x} {}", shown(&name));
        }
    }
    gates(threads, &called, &mut out);
    out
}

/// A thread in a few words: name, state, priority.
pub fn summary(thread: &Thread) -> String {
    let mut text = shown(&thread.name);
    if thread.state == State::Processor {
        return text + ", no known thread";
    }
    _ = write!(text, ", {}", thread.state.word());
    if let Some(cpu) = thread.cpu {
        _ = write!(text, " on cpu{cpu}");
    }
    _ = write!(text, ", priority {}", thread.priority);
    if let Some((id, name)) = &thread.task {
        _ = write!(text, ", task {}#{id}", shown(name));
    }
    text
}

/// Text from the guest or a file: nothing in it may reach the terminal as a control sequence.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn name_of(id: u32, called: &BTreeMap<u32, &Thread>) -> String {
    match called.get(&id) {
        Some(thread) => format!("#{id} {}", shown(&thread.name)),
        None => format!("#{id}"),
    }
}

/// What is known of a thread, in a line.
fn line(thread: &Thread, called: &BTreeMap<u32, &Thread>) -> String {
    let mut text = name_of(thread.id, called);
    if thread.state == State::Processor {
        return text + ": runs no known thread";
    }
    _ = write!(text, ": {}", thread.state.word());
    if let Some(cpu) = thread.cpu {
        _ = write!(text, " on cpu{cpu}");
    }
    if thread.user {
        text.push_str(" in user code");
    }
    let (priority, base, policy) = (thread.priority, thread.base, shown(&thread.policy));
    _ = write!(text, ", priority {priority} (base {base}, {policy})");
    if let Some((id, name)) = &thread.task {
        _ = write!(text, ", of task {}#{id}", shown(name));
    }
    if let Some(event) = thread.event {
        _ = write!(text, ", waits for event {event:#x}");
    }
    if let Some(lock) = &thread.lock {
        let what = lock.class.as_deref().map_or_else(|| "a lock".to_owned(), shown);
        let owner = if lock.owner == 0 { "readers".to_owned() } else { name_of(lock.owner, called) };
        _ = write!(text, ", waits for {what}, which {owner} has");
    }
    for (n, class) in thread.held.iter().enumerate() {
        _ = write!(text, "{}{}", if n == 0 { ", has " } else { " inside of " }, shown(class));
    }
    text
}

/// A thread's frames, innermost first: where it goes on, and the function, `?` if nobody knows. None if its registers cannot be found.
pub fn frames(memory: &dyn Virtual, thread: &Thread, names: &Names<'_>) -> Vec<(u64, String)> {
    let Some(registers) = &thread.registers else { return Vec::new() };
    let named = |(n, address): (usize, u64)| {
        // A return address may be the first byte of the next function: look one back. So may be where a thread was left.
        let inside =
            if n == 0 && thread.cpu.is_some() && !thread.user { address } else { address.wrapping_sub(1) };
        (address, names.find(inside).unwrap_or_else(|| "?".to_owned()))
    };
    unwind(memory, registers).into_iter().enumerate().map(named).collect()
}

/// Who has which gate, and who waits for it.
fn gates(threads: &[Thread], called: &BTreeMap<u32, &Thread>, out: &mut String) {
    let mut lines = Vec::new();
    for owner in threads {
        let waiters = |class: Option<&str>| -> Vec<String> {
            let waits = |thread: &&Thread| {
                thread
                    .lock
                    .as_ref()
                    .is_some_and(|lock| lock.owner == owner.id && lock.class.as_deref() == class)
            };
            threads.iter().filter(waits).map(|thread| name_of(thread.id, called)).collect()
        };
        for class in &owner.held {
            lines.push((shown(class), name_of(owner.id, called), waiters(Some(class))));
        }
        let unnamed = waiters(None);
        if !unnamed.is_empty() {
            lines.push(("a lock".to_owned(), name_of(owner.id, called), unnamed));
        }
    }
    lines.dedup();
    if lines.is_empty() {
        return;
    }
    _ = writeln!(out, "\ngates and locks:");
    for (class, owner, waiters) in lines {
        match waiters.is_empty() {
            true => _ = writeln!(out, "    {class}: {owner} has it, nobody waits"),
            false => _ = writeln!(out, "    {class}: {owner} has it, and {} wait for it", waiters.join(", ")),
        }
    }
}
