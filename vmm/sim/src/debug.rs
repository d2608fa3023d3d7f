//! Where a debugger finds a machine: a board of words in this process's memory, and three functions to break at.
//!
//! An ordinary debugger on the process that runs the machine breaks at [`stopped`] and has the stack of the kernel's thread that runs before it, driver
//! and all, because that function is called on that thread's fibre. What it wants next it writes on the board ([`Board`]), and lets the process go on.
//! The functions do nothing themselves: without a debugger whoever steers the machine ([`crate::Steer`]) finds the board as it was.
//!
//! The board is words of 64 bits in a fixed order, so that it is read without knowledge of Rust's types, from a build with or without debug
//! information.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::state::{Cold, cold};

/// First word of a board.
pub const MAGIC: u64 = u64::from_le_bytes(*b"WGboard\0");
/// Second word: the order and the meaning of the words.
pub const VERSION: u64 = 1;
/// [`Board::goal`]: behind no event, the run goes on to its end.
pub const TO_THE_END: u64 = u64::MAX;
/// [`Board::ask`]: every thread.
pub const ALL_THREADS: u64 = u64::MAX;

/// A word of the board.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Word(AtomicU64);

impl Word {
    /// What stands there. The process has one thread where it counts, but a debugger writes, too.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Writes it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
}

/// A text of the board: address and bytes.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Text {
    address: Word,
    length: Word,
}

impl Text {
    /// Points to `text`, which must stay where it is as long as a debugger may look at it.
    pub fn set(&self, text: &str) {
        self.address.set(text.as_ptr() as usize as u64);
        self.length.set(text.len() as u64);
    }
}

/// What a machine and a debugger tell each other.
#[derive(Debug)]
#[repr(C)]
pub struct Board {
    magic: u64,
    version: u64,
    /// Events that the machine has recorded; kept up to date while it runs.
    pub number: Word,
    /// The debugger's wish: the event behind which the machine is to stop; [`TO_THE_END`] = none.
    pub goal: Word,
    /// The debugger's word that it is there: not 0.
    pub attached: Word,
    /// The debugger's wish: the number of the thread on whose stack [`here`] is to be called; 0 = none, [`ALL_THREADS`] = all.
    pub ask: Word,
    /// The thread on whose stack [`here`] is called.
    pub visited: Word,
    /// The thread on whose stack [`stopped`] is called.
    pub thread: Word,
    /// Machine time where the machine stands, ns.
    pub time: Word,
    /// Hash of the events so far, where the machine stands.
    pub hash: Word,
    /// An event by which this run had become another one than that of the index; 0 = none.
    pub diverged: Word,
    /// Events of the whole run.
    pub total: Word,
    /// Hash of the whole run.
    pub whole: Word,
    /// Address of the kernel's directory of threads (`abi::threads`); 0 = there is none yet.
    pub directory: Word,
    /// What there is to see where the machine stands: JSON.
    pub view: Text,
    /// Which events there are: JSON.
    pub index: Text,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            number: Word::default(),
            goal: Word::default(),
            attached: Word::default(),
            ask: Word::default(),
            visited: Word::default(),
            thread: Word::default(),
            time: Word::default(),
            hash: Word::default(),
            diverged: Word::default(),
            total: Word::default(),
            whole: Word::default(),
            directory: Word::default(),
            view: Text::default(),
            index: Text::default(),
        }
    }
}

/// A run is about to begin: the board's index is complete, no event has been recorded.
#[inline(never)]
pub fn begun(board: &Board) {
    // The numbers keep functions apart that a compiler would find to be the same.
    black_box((board, 1_u8));
}

/// The machine stands behind the event of [`Board::goal`], on the stack of the thread that runs.
#[inline(never)]
pub fn stopped(board: &Board) {
    black_box((board, 2_u8));
}

/// The machine stands still; this is the stack of thread [`Board::visited`].
#[inline(never)]
pub fn here(board: &Board) {
    black_box((board, 3_u8));
}

/// The run is over.
#[inline(never)]
pub fn ended(board: &Board) {
    black_box((board, 4_u8));
}

/// Lets whoever steers look at the machine, and a debugger at the stack of the fibre that calls, if that one wants it. `suspend` gives control to
/// the hub, and says whether the run goes on; the answer is the same.
pub(crate) fn look(suspend: impl Fn() -> bool) -> bool {
    while suspend() {
        match cold(Cold::take_stand) {
            Some(board) => stopped(&board),
            None => return true,
        }
    }
    false
}

/// Shows the stack of the fibre that calls to a debugger.
pub(crate) fn show() {
    if let Some(board) = cold(|c| c.board()) {
        here(&board);
    }
}
