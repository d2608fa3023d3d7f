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
/// Code without red zone and SSE, with frame pointers, at fixed addresses. Debug information is compressed: a program that carries it is not to
/// be three times as large.
const FLAGS: [&str; 10] = [
    "-Cno-redzone=yes",
    "-Cforce-frame-pointers=yes",
    "-Ctarget-feature=-sse2,-sse",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,-z,max-page-size=4096",
    "-Clink-arg=-Wl,--build-id=none",
    "-Clink-arg=-Wl,--compress-debug-sections=zlib",
];
/// An 8-bit counter at every edge (LLVM's SanitizerCoverage), in a section of their own.
const COVERAGE: [&str; 3] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
];
/// The kernel's feature that goes with it.
pub const COVERAGE_FEATURE: &str = "coverage";
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

/// The user image is linked to addresses that 32 bits do not hold: code finds its data relative to itself.
const USER_MODEL: &str = "-Crelocation-model=pic";
const KERNEL_MODEL: &str = "-Crelocation-model=static";
/// Names the user image, for the kernel's build.
const USER_IMAGE: &str = "WORKGATE_USER_IMAGE";

/// Builds the user programs of the workspace at `root`; the path of the linked, unfinished image.
///
/// # Errors
/// As for [`kernel`].
pub fn user(root: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target_dir = out.join("user");
    let mut command = cargo(root, &target_dir, ("guest-kernel/user/link.ld", USER_MODEL), "image")?;
    command.args(["--locked", "--package", "user", "--bin", "workgate-user"]).arg("--manifest-path");
    command.arg(root.join("Cargo.toml"));
    run(command, "the user programs")?;
    Ok(target_dir.join(TARGET).join("guest/workgate-user"))
}

/// Builds the kernel of the workspace at `root` with `features`, and with the driver crate in the folder `driver` if there is one; the path of the linked,
/// unfinished image. `user` is the finished image of the user programs.
///
/// # Errors
/// If this is not a machine that can build it, or the build fails: its messages are in the error.
pub fn kernel(
    root: &Path,
    out: &Path,
    features: &str,
    driver: Option<&Path>,
    user: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let target_dir = out.join("guest");
    let (folder, package, how) = match driver {
        None => (root.to_owned(), "guest-kernel", "--locked"),
        // The lock file has no entry for the driver yet; what it names is here already.
        Some(driver) => (outside::package(root, out, driver)?, outside::PACKAGE, "--offline"),
    };
    let mut command = cargo(root, &target_dir, ("guest-kernel/link.ld", KERNEL_MODEL), features)?;
    command.args([how, "--package", package, "--bin", "workgate-guest"]).arg("--manifest-path");
    command.arg(folder.join("Cargo.toml")).env(USER_IMAGE, user);
    run(command, "the guest kernel")?;
    Ok(target_dir.join(TARGET).join("guest/workgate-guest"))
}

/// A cargo that builds with the image's flags, a link script and a relocation model of its own, and `features`.
fn cargo(
    root: &Path,
    target_dir: &Path,
    (script, model): (&str, &str),
    features: &str,
) -> Result<Command, Box<dyn Error>> {
    let host = env::var("HOST")?;
    if host != TARGET {
        return Err(format!("the guest kernel is built on {TARGET} only, and this is {host}").into());
    }
    let script = format!("-Clink-arg=-Wl,-T,{}", root.join(script).display());
    let mut flags = [&FLAGS[..], &[model, &script]].concat();
    if features.split(',').any(|feature| feature == COVERAGE_FEATURE) {
        flags.extend(COVERAGE);
    }
    let mut command = Command::new(env::var("CARGO")?);
    command
        .args(["build", "--quiet", "--profile", "guest", "--features", features, "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(root)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR))
        // Empty, not absent: that overrides wrappers from configuration files too.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "");
    for name in REMOVED {
        command.env_remove(name);
    }
    Ok(command)
}

fn run(mut command: Command, what: &str) -> Result<(), Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("building {what} failed ({}):\n{messages}", output.status).into());
    }
    Ok(())
}
