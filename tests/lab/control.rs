//! The control leg: the QMP client of QEMU's own people steers our runs, unchanged.

use crate::Request;
use crate::binary;
use crate::error::LabError;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package and the version that is tested with.
const PACKAGE: &str = "qemu.qmp==0.0.3";
/// What the client does.
const CLIENT: &str = "tests/lab/control_client.py";
/// The plan that it steers.
const PLAN: &str = "tests/scenarios/surprise-removal.plan";

/// Runs the client against runs in the simulator.
///
/// # Errors
/// Python or the package is missing, or something did not hold.
pub fn run(request: &Request) -> Result<(), LabError> {
    let python = process::find("python3", "python3")?;
    let python = with_package(&python, &process::folder()?.join("python"))?;
    let workgate = binary::workgate(request, "control")?;
    let workgate = std::path::absolute(&workgate).map_err(LabError::io(workgate.display().to_string()))?;
    let mut client = Command::new(&python);
    client.current_dir(process::root()).arg(CLIENT).arg(workgate).arg(PLAN);
    let told = process::output(&mut client)?;
    told.lines().for_each(|line| println!("lab control: {line}"));
    Ok(())
}

/// A Python that has the package, in an environment of its own in `folder`, which is made if it is not there.
fn with_package(system: &Path, folder: &Path) -> Result<PathBuf, LabError> {
    let python = folder.join("bin/python3");
    let has = |python: &Path| process::output(Command::new(python).args(["-c", "import qemu.qmp"])).is_ok();
    if has(&python) {
        return Ok(python);
    }
    process::output(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder)).map_err(|error| {
        LabError::missing(format!("Python's venv module: {error}"), "apt-get install python3-venv")
    })?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    process::output(Command::new(&python).args(install)).map_err(|error| {
        LabError::missing(
            format!("the Python package {PACKAGE}: {error}"),
            "PyPI must be within reach of pip",
        )
    })?;
    Ok(python)
}
