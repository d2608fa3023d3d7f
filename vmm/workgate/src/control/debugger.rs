//! `--gdb`: where a debugger comes to, and what `monitor` lines tell it of the run.

use super::Watched;
use super::ioreg::render;
use crate::exit::Failure;
use control::Socket;
use control::Story;
use control::commands::View;
use serde_json::Value;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use vmm::gdb::{Gdb, Listener, Monitor};

/// The place where a debugger comes to; a socket goes with it.
pub struct Debugger {
    listener: Option<Listener>,
    _socket: Option<Socket>,
    waits: bool,
}

impl Debugger {
    /// Opens the place that `--gdb` names: `HOST:PORT`, `:PORT` of this host alone, or the path of a Unix socket.
    pub fn open(args: &crate::cli::DebugArgs) -> Result<Option<Self>, Failure> {
        let Some(place) = &args.gdb else { return Ok(None) };
        let wrong = |error: std::io::Error| Failure::request(format_args!("--gdb {place}: {error}"));
        let waits = !args.gdb_later;
        if let Some(address) = address(place) {
            let listener = TcpListener::bind(address).map_err(wrong)?;
            listener.set_nonblocking(true).map_err(wrong)?;
            return Ok(Some(Self { listener: Some(Listener::Tcp(listener)), _socket: None, waits }));
        }
        let socket = Socket::bind(Path::new(place))
            .map_err(|error| Failure::request(format_args!("--gdb: {error}")))?;
        let listener = socket.listener.try_clone().map_err(wrong)?;
        Ok(Some(Self { listener: Some(Listener::Unix(listener)), _socket: Some(socket), waits }))
    }

    /// What the machine is given.
    pub fn gdb<'a>(&mut self, watched: &'a Watched) -> Option<Gdb<'a>> {
        Some(Gdb { listener: self.listener.take()?, monitor: Some(watched), waits: self.waits })
    }
}

/// A TCP address; without a host it is this one's alone.
pub fn address(place: &str) -> Option<SocketAddr> {
    match place.strip_prefix(':') {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => place.replace("localhost:", "127.0.0.1:").parse().ok(),
    }
}

impl Monitor for Watched {
    fn answer(&self, line: &str) -> Option<String> {
        let look = |view| Story::view(&self, view);
        let view = match line {
            "registry" => return Some(look(View::Registry).map_or_else(unknown, |tree| render(&tree))),
            "workloops" => return Some(look(View::Threads).map_or_else(unknown, |threads| loops(&threads))),
            "latency" => return Some(self.latencies()),
            "threads" => View::Threads,
            "classes" => View::Classes,
            "ledger" => View::Ledger,
            "findings" => View::Findings,
            _ => return None,
        };
        Some(look(view).map_or_else(unknown, |value| format!("{value:#}\n")))
    }

    fn help(&self) -> &'static str {
        "classes -- instances by class\n\
         findings -- rules broken so far\n\
         latency -- how long the woken wait, by band, and how long requests take\n\
         ledger -- requests by device\n\
         registry -- the IOKit registry\n\
         threads -- where each thread is, since when, and what it has entered\n\
         workloops -- work loops' threads, and who has a gate or waits for one\n"
    }
}

/// What is told of a guest that tells nothing.
fn unknown() -> String {
    "nothing is known of it: this guest has no bench that tells what it does\n".to_owned()
}

/// The threads of work loops, and those that have to do with a gate.
fn loops(threads: &Value) -> String {
    let mut out = String::new();
    for thread in threads.as_array().into_iter().flatten() {
        let entered: Vec<&str> =
            thread["stack"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let name = thread["name"].as_str().unwrap_or_default();
        if !name.contains("WorkLoop") && !entered.iter().any(|frame| frame.contains("gate")) {
            continue;
        }
        let (state, since) = (thread["state"].as_str().unwrap_or_default(), &thread["since"]);
        let entered = if entered.is_empty() { "nothing entered".to_owned() } else { entered.join(" > ") };
        // Writing into a string cannot fail.
        _ = writeln!(out, "{name:<24} {state} since {since} ns: {entered}");
    }
    if out.is_empty() { "no work loop has a thread yet\n".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_told_from_a_path() {
        assert_eq!(address(":1234"), Some(SocketAddr::from(([127, 0, 0, 1], 1234))));
        assert_eq!(address("localhost:1"), Some(SocketAddr::from(([127, 0, 0, 1], 1))));
        assert!(address("0.0.0.0:9").is_some() && address("[::1]:9").is_some());
        for path in ["/tmp/gdb", "gdb.sock", ":x", ":70000", "a:b"] {
            assert_eq!(address(path), None, "{path}");
        }
    }

    #[test]
    fn work_loops_are_those_and_who_has_to_do_with_a_gate() {
        let thread =
            |name: &str, stack: Value| json!({"name": name, "state": "waits", "since": 5, "stack": stack});
        let threads = json!([
            thread("IOWorkLoop#3", json!([])),
            thread("client#4", json!(["waits for the gate of EduDriver"])),
            thread("idle#1", json!([])),
        ]);
        let text = loops(&threads);
        assert!(
            text.contains("IOWorkLoop#3") && text.contains("gate of EduDriver") && !text.contains("idle")
        );
        assert!(loops(&json!([])).contains("no work loop"));
    }
}
