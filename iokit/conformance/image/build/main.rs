//! Builds the guest kernel with the rules' tests in it, as `guest-kernel/image` builds the one without.

#[path = "../../../../guest-kernel/image/build/compile.rs"]
mod compile;
#[path = "../../../../guest-kernel/image/build/finish.rs"]
mod finish;
#[path = "../../../../guest-kernel/image/build/image.rs"]
mod image;
#[path = "../../../../guest-kernel/image/build/outside.rs"]
mod outside;
#[path = "../../../../guest-kernel/src/symbols.rs"]
#[allow(dead_code)]
mod symbols;

extern crate alloc;

use std::process::ExitCode;

/// What is in it beyond the usual kernel.
const SOURCES: [&str; 3] =
    ["iokit/conformance/Cargo.toml", "iokit/conformance/src", "iokit/conformance/image/build"];

fn main() -> ExitCode {
    match image::build(3, "image,conformance", &SOURCES, false) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
