//! A run with a control socket, and a client of it that knows no more than the protocol.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// A run of the command; killed if the test fails on the way.
pub struct Run {
    child: Option<Child>,
    path: PathBuf,
    client: Option<Client>,
}

impl Run {
    pub fn start(name: &str, arguments: &[&str], paused: bool) -> Self {
        let path = std::env::temp_dir().join(format!("wg-{}-{name}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_workgate"));
        command.args(arguments).arg("--control").arg(&path).stdin(Stdio::null());
        if paused {
            command.arg("--paused");
        }
        let child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        Self { child: Some(child), path, client: None }
    }

    /// The client; connected when it is asked for first, unless the run ends without a socket.
    pub fn try_client(&mut self) -> Option<&mut Client> {
        while self.client.is_none() {
            if let Ok(stream) = UnixStream::connect(&self.path) {
                self.client = Some(Client::new(stream, &self.path));
            } else if self.child.as_mut()?.try_wait().expect("a child").is_some() {
                return None;
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.client.as_mut()
    }

    pub fn client(&mut self) -> &mut Client {
        self.try_client().expect("the run has a socket")
    }

    /// Waits for the end: status, output, errors. What the client has not read is read, as its place could otherwise fill.
    pub fn finish(mut self) -> (Option<i32>, String, String) {
        if let Some(mut client) = self.client.take() {
            while client.read().is_some() {}
        }
        let child = self.child.take().expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The test has failed; it may have ended already.
            let _ = child.kill();
            let mut err = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut err));
            let _ = child.wait();
            eprintln!("{err}");
        }
    }
}

pub struct Client {
    path: PathBuf,
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    events: VecDeque<Value>,
    asked: u64,
}

impl Client {
    fn new(stream: UnixStream, path: &Path) -> Self {
        let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut client = Self { path: path.to_owned(), stream, reader, events: VecDeque::new(), asked: 0 };
        let greeting = client.read().expect("a greeting");
        assert!(greeting["QMP"]["capabilities"].is_array(), "{greeting}");
        client.ask("qmp_capabilities", json!({})).expect("the negotiation ends");
        client
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message; `None`: the end.
    pub fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        let bytes = self.reader.read_line(&mut line).expect("a line");
        (bytes > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// What a command returns, or the class and text of its error.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, (String, String)> {
        self.asked += 1;
        let request = json!({"execute": command, "arguments": arguments, "id": self.asked});
        self.stream.write_all(request.to_string().as_bytes()).expect("the server reads");
        loop {
            let message = self.read().unwrap_or_else(|| panic!("no answer to {command}"));
            if message["event"].is_string() {
                self.events.push_back(message);
                continue;
            }
            assert_eq!(message["id"], self.asked, "{message}");
            let text = |key| message["error"][key].as_str().unwrap_or_default().to_owned();
            return message.get("return").cloned().ok_or_else(|| (text("class"), text("desc")));
        }
    }

    /// Waits for the next event of this name; those before it are passed over.
    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.events.pop_front().or_else(|| self.read());
            let event = event.unwrap_or_else(|| panic!("no {name}"));
            if event["event"] == name {
                return event;
            }
        }
    }
}
