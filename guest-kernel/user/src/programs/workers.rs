//! A crew: the first thread of a task and its helpers, who do the same thing at once and report to a port when they are through.

use crate::memory::Memory;
use crate::message::Mailbox;
use crate::os::{Os, Result};
use crate::port::Port;
use crate::start::{info, told};
use crate::{programs::print, thread};
use abi::Disposition;

/// Threads of one task at the most.
const THREADS_MAX: u64 = 16;
/// The message of a helper that is through: three counts (u64).
const THROUGH: u32 = 100;

/// Offsets in the page that a helper gets.
mod page {
    /// The name of the connection.
    pub const CONNECTION: u64 = 0;
    /// The port to report to.
    pub const REPORT: u64 = 8;
    /// The helper's number, from 1.
    pub const NUMBER: u64 = 16;
}

/// What became of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came back right.
    pub done: u64,
    /// Came back with an error.
    pub errors: u64,
    /// Came back with wrong data.
    pub corrupt: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.errors += other.errors;
        self.corrupt += other.corrupt;
    }
}

/// What one thread of the crew does: (its mailbox, the connection, its number from 0).
pub type Work = fn(&Mailbox<'_>, Port, u64) -> Result<Counts>;

/// On the first thread: starts the helpers, works along, and waits for them. What all of them counted.
pub fn lead(mail: &Mailbox<'_>, connection: Port, work: Work) -> Result<Counts> {
    let os = mail.os();
    let report = Port::new(os)?;
    let helpers = told(os, info::DEPTH).clamp(1, THREADS_MAX) - 1;
    let mut started = 0;
    for number in 1..=helpers {
        let told = Memory::new(os, 1)?;
        told.set_long(page::CONNECTION, u64::from(connection.0))?;
        told.set_long(page::REPORT, u64::from(report.0))?;
        told.set_long(page::NUMBER, number)?;
        // Fewer threads than wanted are better than none.
        match thread::spawn(os, told.address()) {
            Ok(_) => started += 1,
            Err(_) => told.free()?,
        }
    }
    let mut counts = work(mail, connection, 0)?;
    for _ in 0..started {
        let through = mail.receive(report, None)?;
        counts.add(Counts { done: through.long(0)?, errors: through.long(8)?, corrupt: through.long(16)? });
    }
    report.destroy(os)?;
    Ok(counts)
}

/// On a helper's thread, which was started with `argument`.
pub fn help(os: &dyn Os, argument: u64, work: Work) -> Result<Counts> {
    let told = Memory::at(os, argument, abi::space::PAGE);
    let name = |offset| told.long(offset).map(|name| Port(name as u32));
    let (connection, report) = (name(page::CONNECTION)?, name(page::REPORT)?);
    let number = told.long(page::NUMBER)?;
    told.free()?;
    let mail = Mailbox::new(os)?;
    let result = work(&mail, connection, number);
    let counts = result.unwrap_or(Counts { errors: 1, ..Counts::default() });
    let message = mail.write(THROUGH).longs(&[counts.done, counts.errors, counts.corrupt])?;
    message.send(report, Disposition::MakeSend)?;
    mail.free()?;
    result
}

/// The end of a thread of `name`: prints what went wrong, and makes the exit code.
pub fn finish(os: &dyn Os, name: &str, result: Result<Counts>) -> u64 {
    let line = Memory::new(os, 1);
    match (result, line) {
        (Ok(counts), Ok(page)) => {
            let Counts { done, errors, corrupt } = counts;
            _ = print::print(&page, format_args!("{name}: done={done} errors={errors} corrupt={corrupt}"));
            _ = page.free();
            if corrupt == 0 { 0 } else { abi::start::EXIT_CORRUPT }
        }
        (Err(error), Ok(page)) => {
            _ = print::print(&page, format_args!("{name}: {error}"));
            _ = page.free();
            2
        }
        (_, Err(_)) => 2,
    }
}
