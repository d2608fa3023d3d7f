//! What a checked request asks of the machine.

use crate::message::{Failure, Request};
use serde_json::{Map, Value};

/// What is known of a run from its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Threads.
    Threads,
    /// The registry.
    Registry,
    /// Instances by class.
    Classes,
    /// The ledger.
    Ledger,
    /// Findings.
    Findings,
    /// Counters of threads, gates, interrupts and latencies.
    Top,
    /// Events from this number on; `None`: those that are still to come.
    Trace(Option<u64>),
}

/// Where to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// At a plan time, as plans write it.
    Time(String),
    /// At an event.
    Event {
        /// Its word.
        word: String,
        /// Of this device; `None` = of any.
        device: Option<String>,
        /// Which one from now on, from 1.
        count: u64,
    },
}

/// A command that needs the machine, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `query-name`
    Name,
    /// `query-status`
    Status,
    /// `stop`
    Stop,
    /// `cont`
    Cont,
    /// `quit`
    Quit,
    /// `system_reset`
    Reset,
    /// `system_powerdown`
    PowerDown,
    /// `query-cpus-fast`
    Cpus,
    /// `query-pci`
    Pci,
    /// `device_add`
    Add {
        /// The model's word.
        driver: String,
        /// The plan's name of the device.
        id: String,
    },
    /// `device_del`
    Delete {
        /// The plan's name of the device.
        id: String,
    },
    /// `dump-guest-memory`
    Dump {
        /// Where the core goes: `file:PATH`.
        protocol: String,
        /// Answer first, write then.
        detach: bool,
        /// The kind of file.
        format: Option<String>,
    },
    /// `inject-nmi`
    Nmi,
    /// `human-monitor-command`
    Monitor(String),
    /// `x-workgate-fault`
    Fault(String),
    /// `x-workgate-until`
    Until(Until),
    /// A view of the trace.
    View(View),
    /// `x-workgate-sites`
    Sites,
    /// `x-workgate-devices`
    Devices,
    /// `x-workgate-console`
    Console,
    /// `x-workgate-showallstacks`
    Stacks,
}

/// The arguments of a request that has passed the check.
struct Taken(Map<String, Value>);

impl Taken {
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    fn needed(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    fn flag(&mut self, name: &str) -> bool {
        self.0.remove(name).as_ref().and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        self.0.remove(name).as_ref().and_then(Value::as_u64)
    }
}

/// What a checked request asks of the machine; `None`: it needs none.
///
/// # Errors
/// Arguments that do not go together.
pub fn command(request: Request) -> Result<Option<Command>, Failure> {
    let mut taken = Taken(request.arguments);
    Ok(Some(match request.name.as_str() {
        "query-name" => Command::Name,
        "query-status" => Command::Status,
        "stop" => Command::Stop,
        "cont" => Command::Cont,
        "quit" => Command::Quit,
        "system_reset" => Command::Reset,
        "system_powerdown" => Command::PowerDown,
        "query-cpus-fast" => Command::Cpus,
        "query-pci" => Command::Pci,
        "device_add" => Command::Add { driver: taken.needed("driver"), id: taken.needed("id") },
        "device_del" => Command::Delete { id: taken.needed("id") },
        "dump-guest-memory" => Command::Dump {
            protocol: taken.needed("protocol"),
            detach: taken.flag("detach"),
            format: taken.text("format"),
        },
        "inject-nmi" => Command::Nmi,
        "human-monitor-command" => Command::Monitor(taken.needed("command-line")),
        "x-workgate-fault" => Command::Fault(taken.needed("statement")),
        "x-workgate-until" => Command::Until(until(&mut taken)?),
        "x-workgate-threads" => Command::View(View::Threads),
        "x-workgate-registry" => Command::View(View::Registry),
        "x-workgate-classcount" => Command::View(View::Classes),
        "x-workgate-ledger" => Command::View(View::Ledger),
        "x-workgate-findings" => Command::View(View::Findings),
        "x-workgate-top" => Command::View(View::Top),
        "x-workgate-trace" => Command::View(View::Trace(taken.number("since"))),
        "x-workgate-sites" => Command::Sites,
        "x-workgate-devices" => Command::Devices,
        "x-workgate-console" => Command::Console,
        "x-workgate-showallstacks" => Command::Stacks,
        _ => return Ok(None),
    }))
}

fn until(taken: &mut Taken) -> Result<Until, Failure> {
    let (time, word, device) = (taken.text("time"), taken.text("event"), taken.text("device"));
    let count = taken.number("count");
    match (time, word) {
        (Some(time), None) if device.is_none() && count.is_none() => Ok(Until::Time(time)),
        (None, Some(word)) => {
            let count = count.unwrap_or(1);
            if count == 0 {
                return Err(Failure::generic("Parameter 'count' expects a number from 1"));
            }
            Ok(Until::Event { word, device, count })
        }
        _ => {
            let what = "expected either 'time', such as \"5ms\", or 'event', such as \"willTerminate\", with 'device' and 'count' if wanted";
            Err(Failure::generic(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use serde_json::json;

    #[test]
    fn where_to_stop_is_a_time_or_an_event() {
        let until = |arguments| command(request("x-workgate-until", arguments));
        assert_eq!(until(json!({"time": "5ms"})), Ok(Some(Command::Until(Until::Time("5ms".to_owned())))));
        let event = Until::Event { word: "stop".to_owned(), device: None, count: 1 };
        assert_eq!(until(json!({"event": "stop"})), Ok(Some(Command::Until(event))));
        for wrong in [
            json!({}),
            json!({"time": "5ms", "event": "stop"}),
            json!({"time": "5ms", "count": 2}),
            json!({"event": "stop", "count": 0}),
        ] {
            assert!(until(wrong).is_err());
        }
    }
}
