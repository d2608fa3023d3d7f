//! Builds the guest kernel for the machine and finishes its image.
//!
//! The kernel is built by a cargo of its own, because profile, flags and link script must not touch the host's crates. Its target
//! folder is below `OUT_DIR`: no clash with the lock of the outer build.

mod compile;
mod finish;
mod outside;
#[path = "../../src/symbols.rs"]
#[allow(dead_code)]
mod symbols;

extern crate alloc;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the image is made from, below the workspace's root.
const SOURCES: [&str; 13] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "guest-kernel/Cargo.toml",
    "guest-kernel/link.ld",
    "guest-kernel/src",
    "guest-kernel/image/build",
    "guest-kernel/mach/Cargo.toml",
    "guest-kernel/mach/src",
    "guest-kernel/trace/Cargo.toml",
    "guest-kernel/trace/src",
    "iokit/Cargo.toml",
    "iokit/src",
];

/// Set to anything: the image counts what code it reaches.
const COVERAGE: &str = "WORKGATE_COVERAGE";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.ancestors().nth(2).ok_or("the image's crate is two folders below the root")?;
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let driver = outside::driver()?;
    println!("cargo:rerun-if-env-changed={COVERAGE}");
    let coverage = env::var_os(COVERAGE).is_some_and(|value| !value.is_empty());
    let kernel = compile::kernel(root, &out, driver.as_deref(), coverage)?;
    finish_image(&kernel, &out)
}

fn finish_image(kernel: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(kernel).map_err(|error| format!("{}: {error}", kernel.display()))?;
    let table = symbols::encode(&borrow(&finish::functions(&bytes)?));
    let image = finish::image(&bytes, &table)?;
    fs::write(out.join("workgate-guest.elf"), image)?;
    // An expression: where the counters are, in an image that has some.
    fs::write(out.join("counters.rs"), format!("{:?}", finish::section(&bytes, b"__sancov_cntrs")?))?;
    fs::write(out.join("workgate-guest.symbols"), table)?;
    fs::write(out.join("workgate-guest.debug"), bytes)?;
    Ok(())
}

fn borrow(functions: &[finish::Function]) -> Vec<symbols::Symbol<'_>> {
    functions.iter().map(|f| symbols::Symbol { address: f.address, size: f.size, name: &f.name }).collect()
}
