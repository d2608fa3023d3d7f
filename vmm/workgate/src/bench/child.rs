//! A machine in a process of its own, listened to.

use super::stop::Stop;
use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A child that has said nothing for this long never will: firmware that is interpreted on a busy host takes half a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often Ctrl-C is looked for.
const TURN: Duration = Duration::from_millis(100);
/// Output that is kept at the most.
const MAX_OUTPUT: usize = 1 << 20;

/// What a child printed until the wanted text came.
#[derive(Debug)]
pub struct Heard {
    /// From the start of the process to its first byte.
    pub first_byte: Duration,
    /// From the start of the process to the end of the line with the wanted text.
    pub wanted: Duration,
    /// What it printed.
    pub output: String,
}

/// A process that is ended and waited for when this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command` with nothing on its input; its error output is discarded.
///
/// # Errors
/// It does not start.
pub fn spawn(command: &mut Command, output: Stdio) -> Result<Running, String> {
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))
}

/// Starts `command`, waits for a line with `wanted` on its output, and ends it.
///
/// # Errors
/// It does not start, ends before, says nothing for long; Ctrl-C.
pub fn listen(command: &mut Command, wanted: &str, stop: &Stop) -> Result<Heard, String> {
    let begin = Instant::now();
    let mut child = spawn(command, Stdio::piped())?;
    let output = child.0.stdout.take().ok_or("the child has no output")?;
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || read(output, &sender));
    let heard = wait(&receiver, begin, wanted, stop);
    // The end of the child closes its output, which ends the reader.
    drop(child);
    drop(receiver);
    let _ = reader.join();
    heard.map_err(|reason| format!("{}: {reason}", command.get_program().display()))
}

/// Passes on what comes, with the time at which it came.
fn read(mut output: ChildStdout, sender: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; 4096];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if sender.send((Instant::now(), buffer[..n].to_vec())).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn wait(
    receiver: &Receiver<(Instant, Vec<u8>)>,
    begin: Instant,
    wanted: &str,
    stop: &Stop,
) -> Result<Heard, String> {
    let mut output = Vec::new();
    let mut first_byte = None;
    let mut last = Instant::now();
    loop {
        stop.check()?;
        match receiver.recv_timeout(TURN) {
            Ok((at, bytes)) => {
                last = at;
                let first_byte = *first_byte.get_or_insert(at - begin);
                output.extend_from_slice(&bytes);
                if let Some(output) = line_with(&output, wanted) {
                    return Ok(Heard { first_byte, wanted: at - begin, output });
                }
            }
            Err(RecvTimeoutError::Timeout) if last.elapsed() < PATIENCE && output.len() < MAX_OUTPUT => {}
            Err(RecvTimeoutError::Timeout) => return Err(format!("`{wanted}` did not come")),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(format!("it ended before `{wanted}` came"));
            }
        }
    }
}

/// The output, once a complete line of it has `wanted`.
fn line_with(output: &[u8], wanted: &str) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let at = text.find(wanted)?;
    text[at..].contains('\n').then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_wanted_whole() {
        assert_eq!(line_with(b"\r12 boot.first", "boot.firstThread"), None);
        assert_eq!(line_with(b"\r12 boot.firstThread 0", "boot.firstThread"), None);
        assert_eq!(
            line_with(b"\r12 boot.firstThread 0\r\n", "firstThread").as_deref(),
            Some("\r12 boot.firstThread 0\r\n")
        );
    }
}
