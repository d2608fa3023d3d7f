//! Running the inner cargo.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outside;

/// The only target whose standard library is needed: the host's own.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";
/// Code without red zone and SSE, with frame pointers, at fixed addresses.
const FLAGS: [&str; 10] = [
    "-Cno-redzone=yes",
    "-Cforce-frame-pointers=yes",
    "-Ctarget-feature=-sse2,-sse",
    "-Crelocation-model=static",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,-z,max-page-size=4096",
    "-Clink-arg=-Wl,--build-id=none",
];
/// An 8-bit counter at every edge (LLVM's SanitizerCoverage), in a section of their own.
const COVERAGE: [&str; 3] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
];
/// What the outer build may have set for its own crates: compilers, flags, folders.
const REMOVED: [&str; 14] = [
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
    "CLIPPY_ARGS",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Builds the kernel of the workspace at `root`, with the driver crate in the folder `driver` if there is one, and with counters for
/// `coverage`; the path of the linked,
/// unfinished image.
///
/// # Errors
/// If this is not a machine that can build it, or the build fails: its messages are in the error.
pub fn kernel(
    root: &Path,
    out: &Path,
    driver: Option<&Path>,
    coverage: bool,
) -> Result<PathBuf, Box<dyn Error>> {
    let host = env::var("HOST")?;
    if host != TARGET {
        return Err(format!("the guest kernel is built on {TARGET} only, and this is {host}").into());
    }
    let target_dir = out.join("guest");
    let script = format!("-Clink-arg=-Wl,-T,{}", root.join("guest-kernel/link.ld").display());
    let mut flags = [&FLAGS[..], &[&script]].concat();
    let mut features = "image";
    if coverage {
        flags.extend(COVERAGE);
        features = "image,coverage";
    }
    let (folder, package, how) = match driver {
        None => (root.to_owned(), "guest-kernel", "--locked"),
        // The lock file has no entry for the driver yet; what it names is here already.
        Some(driver) => (outside::package(root, out, driver)?, outside::PACKAGE, "--offline"),
    };
    let mut command = Command::new(env::var("CARGO")?);
    command
        .args(["build", how, "--quiet", "--profile", "guest", "--package", package])
        .args(["--bin", "workgate-guest", "--features", features, "--target", TARGET])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(root)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR))
        // Empty, not absent: that overrides wrappers from configuration files too.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "");
    for name in REMOVED {
        command.env_remove(name);
    }
    let output = command.output()?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("building the guest kernel failed ({}):\n{messages}", output.status).into());
    }
    Ok(target_dir.join(TARGET).join("guest/workgate-guest"))
}
