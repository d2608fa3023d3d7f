//! The notes of a core.

use crate::registers::{CORE_WORDS, Registers};
use crate::threads::Thread;
use serde::{Deserialize, Serialize};

/// Registers of a thread (`NT_PRSTATUS`).
pub(super) const PRSTATUS: u32 = 1;
/// What a process is called (`NT_PRPSINFO`).
const PRPSINFO: u32 = 3;
/// Type of our own note.
pub const NOTE_ABOUT: u32 = 0x100;
/// The name of the notes that debuggers know.
pub(super) const CORE: &str = "CORE";

/// Bytes of `struct elf_prstatus` on x86-64, and offsets in it.
pub(super) const PRSTATUS_BYTES: usize = 336;
const PRSTATUS_SIGNAL: usize = 12;
pub(super) const PRSTATUS_PID: usize = 32;
pub(super) const PRSTATUS_REGISTERS: usize = 112;
/// Bytes of `struct elf_prpsinfo` on x86-64, and offsets in it.
const PRPSINFO_BYTES: usize = 136;
const PRPSINFO_NAME: usize = 40;
const PRPSINFO_NAME_BYTES: usize = 15;
const PRPSINFO_ARGUMENTS: usize = 56;
const PRPSINFO_ARGUMENTS_BYTES: usize = 79;

/// What a core is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of this note.
    pub version: u32,
    /// The plan, or what else the machine was made from.
    pub plan: String,
    /// Machine time, ns.
    pub time: u64,
    /// Why the core was written.
    pub reason: String,
    /// The signal that stands for the reason: 6 (SIGABRT) after a panic, else 0.
    pub signal: u16,
    /// Where the kernel's `abi::threads::Root` is, if it has one.
    pub root: Option<u64>,
    /// Where the image's table of functions is in memory, if it carries one.
    pub symbols: Option<u64>,
    /// The threads, in the order of their registers' notes.
    pub threads: Vec<Thread>,
}

impl About {
    /// The version that is written, and read.
    pub const VERSION: u32 = 1;
}

/// All notes.
pub(super) fn notes(about: &About) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, thread) in about.threads.iter().enumerate() {
        let signal = if n == 0 { about.signal } else { 0 };
        note(&mut out, CORE, PRSTATUS, &prstatus(thread, signal));
        if n == 0 {
            note(&mut out, CORE, PRPSINFO, &prpsinfo(thread.id, about));
        }
    }
    // A structure of numbers and strings: this cannot fail.
    let told = serde_json::to_vec(about).unwrap_or_default();
    note(&mut out, abi::threads::NOTE_NAME, NOTE_ABOUT, &told);
    out
}

/// A note: lengths, type, name and descriptor, each padded to four bytes.
fn note(out: &mut Vec<u8>, name: &str, kind: u32, descriptor: &[u8]) {
    let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
    for word in [name.len() as u32 + 1, descriptor.len() as u32, kind] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(descriptor);
    pad(out);
}

fn prstatus(thread: &Thread, signal: u16) -> [u8; PRSTATUS_BYTES] {
    let mut bytes = [0; PRSTATUS_BYTES];
    bytes[..4].copy_from_slice(&u32::from(signal).to_le_bytes());
    bytes[PRSTATUS_SIGNAL..PRSTATUS_SIGNAL + 2].copy_from_slice(&signal.to_le_bytes());
    bytes[PRSTATUS_PID..PRSTATUS_PID + 4].copy_from_slice(&thread.id.to_le_bytes());
    for (n, word) in thread.registers.unwrap_or_default().words().iter().enumerate() {
        let at = PRSTATUS_REGISTERS + n * 8;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn prpsinfo(id: u32, about: &About) -> [u8; PRPSINFO_BYTES] {
    let mut bytes = [0; PRPSINFO_BYTES];
    bytes[1] = b'R';
    bytes[24..28].copy_from_slice(&id.to_le_bytes());
    let mut put = |at: usize, most: usize, text: &str| {
        let text = &text.as_bytes()[..text.len().min(most)];
        bytes[at..at + text.len()].copy_from_slice(text);
    };
    put(PRPSINFO_NAME, PRPSINFO_NAME_BYTES, "guest.elf");
    put(PRPSINFO_ARGUMENTS, PRPSINFO_ARGUMENTS_BYTES, &format!("{} at {} ns", about.plan, about.time));
    bytes
}

/// A thread's number and registers from the descriptor of its note; `None` if that is too short.
pub(super) fn read_prstatus(descriptor: &[u8]) -> Option<(u32, Registers)> {
    let id = descriptor.get(PRSTATUS_PID..PRSTATUS_PID + 4)?;
    let words = descriptor.get(PRSTATUS_REGISTERS..PRSTATUS_REGISTERS + CORE_WORDS * 8)?;
    let mut registers = [0; CORE_WORDS];
    for (register, word) in registers.iter_mut().zip(words.as_chunks::<8>().0) {
        *register = u64::from_le_bytes(*word);
    }
    Some((u32::from_le_bytes(id.try_into().ok()?), Registers::from_words(&registers)))
}
