//! Other programs: found, run with a deadline, never left behind.

use crate::error::LabError;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The file of a program on `PATH`, or among those of the administrator's, which are not everybody's `PATH`.
///
/// # Errors
/// [`LabError::Missing`] with the Debian package that has it.
pub fn find(program: &str, package: &str) -> Result<PathBuf, LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| LabError::missing(program, format!("apt-get install {package}")))
}

/// What a program that ran to its end printed on its standard output.
///
/// # Errors
/// It could not be started, or ended with a status other than 0 (its last lines are in the message).
pub fn output(command: &mut Command) -> Result<String, LabError> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(LabError::io(shown.clone()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(LabError::Failed(format!("{shown}: {}\n{}", output.status, last_lines(&text, 20))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that runs beside the lab; it is killed when this is dropped.
pub struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts a program without an input. Its output goes to `log`.
    ///
    /// # Errors
    /// The program or the log could not be opened.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, LabError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = || std::fs::File::create(log).map_err(LabError::io(log.display().to_string()));
        let out = file()?;
        let error = out.try_clone().map_err(LabError::io(log.display().to_string()))?;
        command.stdin(Stdio::null()).stdout(out).stderr(error);
        let child = command.spawn().map_err(LabError::io(name.clone()))?;
        Ok(Self { child, name })
    }

    /// True once the program has ended.
    ///
    /// # Errors
    /// The program cannot be asked.
    pub fn ended(&mut self) -> Result<bool, LabError> {
        Ok(self.child.try_wait().map_err(LabError::io(self.name.clone()))?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a program has `ended`, which goes on writing to `files`: false if none of them has grown for `silence`.
///
/// # Errors
/// The program cannot be asked.
pub fn wait_while_it_tells(
    mut ended: impl FnMut() -> Result<bool, LabError>,
    files: &[&Path],
    silence: Duration,
) -> Result<bool, LabError> {
    let (mut length, mut since) = (0, Instant::now());
    while !ended()? {
        let now: u64 = files.iter().map(|file| std::fs::metadata(file).map_or(0, |told| told.len())).sum();
        if now != length {
            (length, since) = (now, Instant::now());
        }
        if since.elapsed() > silence {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The folder of the lab's files, `lab` in cargo's target folder; made if it is not there.
///
/// # Errors
/// It cannot be made.
pub fn folder() -> Result<PathBuf, LabError> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = target.unwrap_or_else(|| root().join("target")).join("lab");
    std::fs::create_dir_all(&folder).map_err(LabError::io(folder.display().to_string()))?;
    Ok(folder)
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
