//! One image, from its sources to the files that a crate embeds.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{compile, finish, outside, symbols};

/// What the image is made from, below the workspace's root.
const SOURCES: [&str; 18] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "guest-kernel/Cargo.toml",
    "guest-kernel/link.ld",
    "guest-kernel/abi/Cargo.toml",
    "guest-kernel/abi/src",
    "guest-kernel/src",
    "guest-kernel/image/build",
    "guest-kernel/mach/Cargo.toml",
    "guest-kernel/mach/src",
    "guest-kernel/trace/Cargo.toml",
    "guest-kernel/trace/src",
    "guest-kernel/user/Cargo.toml",
    "guest-kernel/user/link.ld",
    "guest-kernel/user/src",
    "iokit/Cargo.toml",
    "iokit/src",
];

/// Set to anything: the image counts what code it reaches.
const COVERAGE: &str = "WORKGATE_COVERAGE";
/// Names a folder in which builds of different profiles find what others have compiled: it is the same for all of them.
const SHARED: &str = "WORKGATE_GUEST_TARGET";

/// The user programs, finished.
const USER: &str = "workgate-user.elf";

/// Builds the image of a kernel with `features`, from the usual sources and `more`, for the crate whose build script calls it; that crate is `depth` folders
/// below the workspace's root. Only with `outside` may a driver crate of the user's be in it, or counters.
///
/// # Errors
/// If it cannot be built.
pub fn build(depth: usize, features: &str, more: &[&str], outside: bool) -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.ancestors().nth(depth).ok_or("the crate is not where its build script thinks")?;
    for source in SOURCES.iter().chain(more) {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let driver = if outside { outside::driver()? } else { None };
    println!("cargo:rerun-if-env-changed={COVERAGE}");
    println!("cargo:rerun-if-env-changed={SHARED}");
    let counts = outside && env::var_os(COVERAGE).is_some_and(|value| !value.is_empty());
    let features =
        if counts { format!("{features},{}", compile::COVERAGE_FEATURE) } else { features.to_owned() };
    let place = place(&out, counts, driver.is_some())?;
    // Kernels with other features have the same name: nobody else may build here until this one has been read.
    let _mine = lock(&place)?;
    let user = finish_user(&compile::user(root, &place)?, &place, &out)?;
    let kernel = compile::kernel(root, &place, &features, driver.as_deref(), &user)?;
    finish_image(&kernel, &out)
}

/// Where the inner cargo works. What kernels with other features depend on is the same, and is compiled once; one that counts has flags of its own, and
/// one with a driver of the user's is never shared.
fn place(out: &Path, counts: bool, has_driver: bool) -> Result<PathBuf, Box<dyn Error>> {
    match env::var_os(SHARED).filter(|shared| !shared.is_empty() && !has_driver) {
        None => Ok(out.to_owned()),
        Some(shared) => {
            let place = Path::new(&shared).join(if counts { compile::COVERAGE_FEATURE } else { "image" });
            fs::create_dir_all(&place)?;
            Ok(place)
        }
    }
}

/// Waits until nobody else builds in `place`; the lock is held until the file is closed.
fn lock(place: &Path) -> Result<File, Box<dyn Error>> {
    let file = File::create(place.join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// The finished image is in `place`, for the kernel's build, and in `out` with what the linker made.
fn finish_user(program: &Path, place: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let bytes = read(program)?;
    let finished = finish::user(&bytes)?;
    let image = place.join(USER);
    // Written only if it is another one: a newer file would have the kernel linked again.
    if !fs::read(&image).is_ok_and(|there| there == finished) {
        fs::write(&image, &finished)?;
    }
    if place != out {
        fs::write(out.join(USER), finished)?;
    }
    fs::write(out.join("workgate-user.debug"), bytes)?;
    Ok(image)
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn finish_image(kernel: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = read(kernel)?;
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
