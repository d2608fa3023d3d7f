//! An image with a driver crate from outside of the workspace.
//!
//! Cargo has no way to add a dependency to a member of a workspace without editing it. So the kernel's binary is built as a
//! package of its own, with a manifest that is written here: the same source, the same dependencies, and the driver.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the folder of the driver crate.
const VARIABLE: &str = "WORKGATE_DRIVER";
/// The package that is written.
pub const PACKAGE: &str = "workgate-guest-with-driver";

/// The folder of the driver crate that the image shall have, absolute. `None`: none was asked for.
///
/// # Errors
/// If there is no crate in that folder.
pub fn driver() -> Result<Option<PathBuf>, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let Some(folder) = env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) else { return Ok(None) };
    let folder = from_where_the_user_is(Path::new(&folder));
    let folder =
        folder.canonicalize().map_err(|error| format!("{VARIABLE}={}: {error}", folder.display()))?;
    for source in ["Cargo.toml", "src"] {
        println!("cargo:rerun-if-changed={}", folder.join(source).display());
    }
    Ok(Some(folder))
}

/// Build scripts run in their package's folder; cargo itself was called somewhere else.
fn from_where_the_user_is(folder: &Path) -> PathBuf {
    match env::var_os("PWD") {
        Some(here) => Path::new(&here).join(folder),
        None => folder.to_owned(),
    }
}

/// Writes the package below `out`; its folder.
///
/// # Errors
/// If the driver's manifest has no name, or a file cannot be read or written.
pub fn package(root: &Path, out: &Path, driver: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let folder = out.join("guest-with-driver");
    fs::create_dir_all(&folder)?;
    let manifest = read(&driver.join("Cargo.toml"))?;
    let name = name(&manifest).ok_or_else(|| format!("{}: no package name", driver.display()))?;
    let workspace = read(&root.join("Cargo.toml"))?;
    fs::write(folder.join("Cargo.toml"), manifest_with(root, driver, name, &workspace))?;
    fs::write(folder.join("Cargo.lock"), read(&root.join("Cargo.lock"))?)?;
    Ok(folder)
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The package's name: the first `name` in a manifest that begins with its package, as manifests do.
fn name(manifest: &str) -> Option<&str> {
    let package = manifest.split("[package]").nth(1)?;
    let line = package.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == "name"))?;
    line.split('"').nth(1)
}

fn manifest_with(root: &Path, driver: &Path, name: &str, workspace: &str) -> String {
    let at = |path: &str| format!("{:?}", root.join(path));
    let driver = format!("{:?}", driver);
    // The versions and the profile are the workspace's own.
    let version = |of: &str| entry(workspace, of).unwrap_or_else(|| format!("{of} = \"*\""));
    let talc = version("talc").replacen('}', ", optional = true }", 1);
    let (spin, profile) = (version("spin"), section(workspace, "[profile.guest]"));
    format!(
        "[package]\nname = \"{PACKAGE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n\
         [features]\nimage = [\"dep:talc\"]\ncoverage = []\noutside-driver = []\nconformance = []\ndefault = [\"outside-driver\"]\n\n\
         [[bin]]\nname = \"workgate-guest\"\npath = {main}\nrequired-features = [\"image\"]\n\n\
         [dependencies]\nabi = {{ path = {abi} }}\nguest-kernel = {{ path = {kernel} }}\niokit = {{ path = {iokit} }}\nmach = {{ path = {mach} }}\n\
         trace = {{ path = {trace} }}\nuser = {{ path = {user} }}\n{spin}\n{talc}\noutside_driver = {{ package = \"{name}\", path = {driver} }}\n\n\
         {release}\n{profile}",
        main = at("guest-kernel/src/main.rs"),
        kernel = at("guest-kernel"),
        abi = at("guest-kernel/abi"),
        iokit = at("iokit"),
        mach = at("guest-kernel/mach"),
        trace = at("guest-kernel/trace"),
        user = at("guest-kernel/user"),
        release = section(workspace, "[profile.release]"),
    )
}

/// The line of `manifest` that begins with `key =`.
fn entry(manifest: &str, key: &str) -> Option<String> {
    let mine = |line: &&str| line.split('=').next().is_some_and(|k| k.trim() == key);
    manifest.lines().find(mine).map(str::to_owned)
}

/// A section of `manifest` with its heading.
fn section(manifest: &str, heading: &str) -> String {
    let lines = manifest.lines().skip_while(|line| *line != heading);
    let (first, rest): (Vec<_>, Vec<_>) = (lines.clone().take(1).collect(), lines.skip(1).collect());
    let rest = rest.into_iter().take_while(|line| !line.starts_with('['));
    first.into_iter().chain(rest).flat_map(|line| [line, "\n"]).collect()
}
