//! The peer: QEMU's q35 machine with the same image.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = "qemu-system-x86_64";

/// The first line of QEMU's version.
///
/// # Errors
/// There is no QEMU, by name, or it does not run.
pub fn version() -> Result<String, String> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().unwrap_or("QEMU").to_owned())
        }
        Ok(output) => Err(format!("{PROGRAM} --version: {}", output.status)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{PROGRAM} is not installed")),
        Err(error) => Err(format!("{PROGRAM} does not start: {error}")),
    }
}

/// How QEMU executes the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// `/dev/kvm`.
    Kvm,
    /// Translation with a clock that counts one nanosecond for each instruction.
    Counting,
}

impl Accelerator {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm"],
            Self::Counting => &["-accel", "tcg", "-icount", "shift=0,sleep=off"],
        }
    }
}

/// A q35 with one processor and `memory` MiB, its serial line on the standard output, that boots `image`.
pub fn command(accelerator: Accelerator, memory: u32, image: &Path, command_line: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .args(accelerator.arguments())
        .args(["-smp", "1", "-m", &memory.to_string(), "-serial", "stdio"])
        .args(["-append", command_line, "-kernel"])
        .arg(image);
    command
}
