//! The `workgate` that a leg uses.

use crate::Request;
use crate::error::LabError;
use crate::process;
use std::path::PathBuf;
use std::process::Command;

/// The binary that was asked for, or a release build; `leg` says for what.
///
/// # Errors
/// It cannot be built.
pub fn workgate(request: &Request, leg: &str) -> Result<PathBuf, LabError> {
    if let Some(file) = &request.workgate {
        return Ok(file.clone());
    }
    println!("lab {leg}: building workgate");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--bin", "workgate", "--package", "workgate"]);
    process::output(build.current_dir(process::root()))?;
    let target = process::folder()?;
    Ok(target.with_file_name("release").join("workgate"))
}
