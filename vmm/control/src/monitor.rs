//! `human-monitor-command`: lines for people, in the words of QEMU's monitor where it has them.

use crate::commands::{Command, View};
use crate::message::Failure;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A text that is always the same.
    Text(&'static str),
    /// Something that a command does as well; its answer is told as text.
    As(Command),
    /// `info pci`
    Pci,
}

/// What `help` answers, in the form of QEMU's: name and short name, arguments, what it does.
pub const HELP: &str = "\
cont|c  -- go on
device_add MODEL,id=N -- the device N of the plan comes back
device_del N -- the guest is asked to let N go
dump-guest-memory PATH -- an ELF core of the machine
fault STATEMENT -- an action or rule of the plan language
help|?  -- this list
info SUBJECT -- what `info` alone lists
nmi  -- a non-maskable interrupt to every processor
quit|q  -- end at once
stop|s  -- stand still
system_powerdown  -- end in order
system_reset  -- the reset line
";

/// What `info` answers.
pub const INFO: &str = "\
info classes  -- instances by class
info cpus  -- processors
info devices  -- devices of the plan
info findings  -- rules broken so far
info ledger  -- requests by device
info pci  -- functions on the bus
info registry  -- the IOKit registry
info status  -- whether the machine runs
info threads  -- threads
info version  -- the version of Workgate
";

/// Reads a line.
///
/// # Errors
/// Nobody knows it.
pub fn read(line: &str) -> Result<Line, Failure> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let command = match (word, rest) {
        ("help" | "?", _) => return Ok(Line::Text(HELP)),
        ("info", "") => return Ok(Line::Text(INFO)),
        ("info", "version") => return Ok(Line::Text(concat!("workgate ", env!("CARGO_PKG_VERSION"), "\n"))),
        ("info", "pci") => return Ok(Line::Pci),
        ("info", "status") => Command::Status,
        ("info", "cpus") => Command::Cpus,
        ("info", "devices") => Command::Devices,
        ("info", "threads") => Command::View(View::Threads),
        ("info", "registry") => Command::View(View::Registry),
        ("info", "classes") => Command::View(View::Classes),
        ("info", "ledger") => Command::View(View::Ledger),
        ("info", "findings") => Command::View(View::Findings),
        ("stop" | "s", "") => Command::Stop,
        ("cont" | "c", "") => Command::Cont,
        ("quit" | "q", "") => Command::Quit,
        ("system_reset", "") => Command::Reset,
        ("system_powerdown", "") => Command::PowerDown,
        ("nmi", "") => Command::Nmi,
        ("dump-guest-memory", path) if !path.is_empty() => {
            Command::Dump { protocol: format!("file:{path}"), detach: false, format: None }
        }
        ("device_del", id) if !id.is_empty() => Command::Delete { id: id.to_owned() },
        ("device_add", words) => addition(words)?,
        ("fault", statement) if !statement.is_empty() => Command::Fault(statement.to_owned()),
        _ => {
            let line = crate::commands::shorten(line);
            return Err(Failure::generic(format_args!("unknown command: '{line}'; `help` lists them")));
        }
    };
    Ok(Line::As(command))
}

fn addition(words: &str) -> Result<Command, Failure> {
    let parts = words.split_once(",id=").filter(|(driver, id)| !driver.is_empty() && !id.is_empty());
    let (driver, id) =
        parts.ok_or_else(|| Failure::generic("expected MODEL,id=NAME, such as `device_add edu,id=edu0`"))?;
    Ok(Command::Add { driver: driver.to_owned(), id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_help_is_known() {
        for line in HELP.lines().chain(INFO.lines()) {
            let usage = line.split(" -- ").next().unwrap_or_default();
            let (names, arguments) = usage.split_once(' ').unwrap_or((usage, ""));
            for name in names.split('|') {
                let line = format!("{name} {arguments}");
                let line = line.replace("MODEL,id=N", "edu,id=edu0").replace("STATEMENT", "unplug edu0");
                assert!(read(&line.replace("SUBJECT", "pci")).is_ok(), "{line}");
            }
        }
        assert!(read("info everything").is_err() && read("").is_err() && read("device_add edu").is_err());
    }
}
