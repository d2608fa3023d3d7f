//! The `workgate` that a leg uses; and how a program comes into a machine inside.

use crate::Request;
use crate::error::LabError;
use crate::initramfs::Initramfs;
use crate::process;
use std::path::{Path, PathBuf};
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

/// Puts a program of this machine into `archive` as `name`, with the shared libraries that it needs.
///
/// # Errors
/// The program or one of its libraries cannot be read.
pub fn add(archive: &mut Initramfs, name: &str, program: &Path) -> Result<(), LabError> {
    let read = |file: &Path| std::fs::read(file).map_err(LabError::io(file.display().to_string()));
    archive.file(name, true, &read(program)?);
    for library in libraries(program)? {
        let place = library.to_string_lossy();
        if !archive.has(&place) {
            archive.file(&place, true, &read(&library)?);
        }
    }
    Ok(())
}

/// The shared libraries that a binary is linked with, the dynamic loader included; none for a static one.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>, LabError> {
    let ldd = process::find("ldd", "libc-bin")?;
    let told = Command::new(ldd).arg(binary).output().map_err(LabError::io("ldd"))?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let files = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(files.map(PathBuf::from).collect())
}
