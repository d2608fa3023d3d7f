//! A debugger (GDB's remote protocol): it holds the machine, looks at every kernel thread and processor, and stops it at break- and watchpoints.
//!
//! Everything happens on the event loop's thread, in its turns: bytes come from a descriptor that is never waited for, go through `gdbstub`'s state
//! machine, and what it wants of the machine is done between two of the machine's steps. What goes to the debugger is kept up to a bound. So
//! one that vanishes, sends nonsense or reads nothing costs the machine nothing: it is let go, its points are taken out, and the machine goes on.
//!
//! - `listen`: who may come, and from where;
//! - `points`: break- and watchpoints, and what processors say when they hit one;
//! - `debuggee`, `registers`: the machine as the protocol sees it; `resume`: how it goes on;
//! - `session`: one debugger, from its first byte to its last.

mod debuggee;
mod listen;
mod points;
mod registers;
mod resume;
mod session;

pub use listen::Listener;
pub(crate) use points::Debug;
pub(crate) use session::Server;

/// Who answers `monitor` lines that are about the run.
pub trait Monitor {
    /// The answer to a line; `None`: it is not known.
    fn answer(&self, line: &str) -> Option<String>;
    /// The lines that it knows, one a line, with what they do.
    fn help(&self) -> &'static str;
}

/// A debugger that may come.
pub struct Gdb<'a> {
    /// Where it comes to.
    pub listener: Listener,
    /// Who answers about the run; `None`: nothing is known of it.
    pub monitor: Option<&'a dyn Monitor>,
    /// The machine does not begin before a debugger has come and let it.
    pub waits: bool,
}
