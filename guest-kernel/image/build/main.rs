//! Builds the guest kernel for the machine and finishes its image.
//!
//! The kernel is built by a cargo of its own, because profile, flags and link script must not touch the host's crates. Its target
//! folder is below `OUT_DIR`: no clash with the lock of the outer build.

mod compile;
mod finish;
mod image;
mod outside;
#[path = "../../src/symbols.rs"]
#[allow(dead_code)]
mod symbols;

extern crate alloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    match image::build(2, "image", &[], true) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
