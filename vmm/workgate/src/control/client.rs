//! A client of another process's control socket, for the commands that only look.

use crate::exit::Failure;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a machine may take for an answer. It answers between two of its steps; one that takes longer has stopped working.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are taken: more than any that a machine gives.
const MAX_LINE: u64 = 64 << 20;

/// What a machine answers that is there no more.
const ENDED: &str = "the machine has ended";

/// A conversation whose negotiation has ended.
pub struct Client {
    path: PathBuf,
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Client {
    /// Connects.
    pub fn connect(path: &Path) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            let path = path.display();
            let hint = "a machine that was started with `--control PATH` listens at PATH while it runs";
            Failure::request(format_args!("no machine listens at {path} ({error}); {hint}"))
        };
        let stream = UnixStream::connect(path).map_err(refused)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(refused)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(refused)?;
        let reader = BufReader::new(stream.try_clone().map_err(refused)?);
        let mut client = Self { path: path.to_owned(), stream, reader };
        let greeting = client.read()?;
        if greeting.get("QMP").is_none() {
            return Err(client.wrong("it does not speak the QEMU Machine Protocol"));
        }
        client.ask("qmp_capabilities", json!({}))?;
        Ok(client)
    }

    /// What a command returns.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, Failure> {
        let answer = self.ask_or_end(command, &arguments, &mut |_| {})?;
        answer.ok_or_else(|| self.wrong(ENDED))
    }

    /// What a command returns; `None` if the machine has ended meanwhile. `hear` is given every event that comes before the answer, or before the end.
    pub fn ask_or_end(
        &mut self,
        command: &str,
        arguments: &Value,
        hear: &mut dyn FnMut(&Value),
    ) -> Result<Option<Value>, Failure> {
        let request = json!({"execute": command, "arguments": arguments}).to_string();
        match self.stream.write_all(request.as_bytes()) {
            // What it said last is still to be read.
            Err(error) if is_end(&error) => {}
            written => written.map_err(|error| self.wrong(error))?,
        }
        while let Some(message) = self.next()? {
            if let Some(value) = message.get("return") {
                return Ok(Some(value.clone()));
            }
            match message["error"]["desc"].as_str() {
                None if message.get("error").is_none() => hear(&message),
                Some(ENDED) => {}
                what => {
                    let what = what.unwrap_or("no reason given");
                    return Err(Failure::request(format_args!("{command}: {what}")));
                }
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<Value, Failure> {
        self.next()?.ok_or_else(|| self.wrong(ENDED))
    }

    /// The next message; `None` if the machine has ended.
    fn next(&mut self) -> Result<Option<Value>, Failure> {
        let mut line = Vec::new();
        let mut bounded = std::io::Read::take(&mut self.reader, MAX_LINE);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            Ok(_) => serde_json::from_slice(&line).map(Some).map_err(|error| self.wrong(error)),
            Err(error) if is_end(&error) => Ok(None),
            Err(error) => Err(self.wrong(error)),
        }
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        Failure::request(format_args!("{}: {what}", self.path.display()))
    }
}

/// The other side has closed.
fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
