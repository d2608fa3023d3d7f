//! QEMU under remote control: its machine protocol (QMP) over standard input and output.

use crate::error::LabError;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long QEMU itself may take to answer a command.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Events that are kept until somebody asks for them.
const EVENTS_KEPT: usize = 1024;

/// A running QEMU; it is killed when this is dropped.
pub struct Qemu {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
}

impl Qemu {
    /// Starts `command`, which must not use standard input and output, with a QMP monitor there. Its errors go to `log`.
    ///
    /// # Errors
    /// It does not start, or does not greet.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, LabError> {
        let log = std::fs::File::create(log).map_err(LabError::io(log.display().to_string()))?;
        command.stderr(log);
        command.args(["-qmp", "stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(LabError::io("qemu"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(LabError::Failed("QEMU has no standard input and output".into()));
        };
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(message) = serde_json::from_str(&line) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut qemu = Self { child, input, messages, events: VecDeque::new() };
        qemu.receive(Instant::now() + ANSWER_LIMIT)?;
        qemu.execute("qmp_capabilities", json!({}))?;
        Ok(qemu)
    }

    /// Executes a command and gives what it returned.
    ///
    /// # Errors
    /// QEMU refuses it, or does not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, LabError> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.input, "{request}").map_err(LabError::io(format!("QMP {command}")))?;
        let limit = Instant::now() + ANSWER_LIMIT;
        loop {
            let message = self.receive(limit)?;
            if let Some(value) = message.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = message.get("error") {
                return Err(LabError::Failed(format!("QMP {command} {arguments}: {error}")));
            }
            self.keep(message);
        }
    }

    /// Waits for an event of this name about this device.
    ///
    /// # Errors
    /// It does not come within `limit`.
    pub fn event(&mut self, name: &str, device: &str, limit: Duration) -> Result<(), LabError> {
        let end = Instant::now() + limit;
        loop {
            let wanted = |e: &Value| e["event"] == name && e["data"]["device"] == device;
            if let Some(at) = self.events.iter().position(wanted) {
                self.events.remove(at);
                return Ok(());
            }
            let message = self.receive(end).map_err(|error| match error {
                LabError::Failed(why) => LabError::Failed(format!("no {name} of {device}: {why}")),
                other => other,
            })?;
            self.keep(message);
        }
    }

    /// True once QEMU has ended.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn ended(&mut self) -> Result<bool, LabError> {
        Ok(self.child.try_wait().map_err(LabError::io("qemu"))?.is_some())
    }

    fn keep(&mut self, message: Value) {
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(message);
    }

    fn receive(&mut self, end: Instant) -> Result<Value, LabError> {
        let left = end.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).map_err(|error| {
            LabError::Failed(match error {
                RecvTimeoutError::Timeout => "QEMU says nothing".into(),
                RecvTimeoutError::Disconnected => "QEMU has ended".into(),
            })
        })
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
