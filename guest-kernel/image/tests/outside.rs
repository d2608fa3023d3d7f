//! The package that is written for an image with a driver from outside.

#[path = "../build/outside.rs"]
#[allow(dead_code)]
mod outside;

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of this test's own, below the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a new folder");
    folder
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root")
}

#[test]
fn the_package_is_the_kernels_binary_with_the_driver_and_the_workspaces_own_versions() {
    let (driver, out) = (folder("outside-driver"), folder("outside-out"));
    let manifest =
        "# [a comment]\n[package]\nedition = \"2024\"\nname = \"my-driver\"\n\n[lib]\nname = \"other\"\n";
    fs::write(driver.join("Cargo.toml"), manifest).unwrap();
    let package = outside::package(root(), &out, &driver).unwrap();
    let text = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(text.contains(&format!("name = \"{}\"", outside::PACKAGE)), "{text}");
    assert!(
        text.contains(&format!("outside_driver = {{ package = \"my-driver\", path = {driver:?} }}")),
        "{text}"
    );
    assert!(text.contains(&format!("path = {:?}", root().join("guest-kernel/src/main.rs"))), "{text}");
    let spin = workspace.lines().find(|line| line.starts_with("spin =")).unwrap();
    assert!(text.contains(spin), "{text}");
    for section in ["[profile.guest]", "panic = \"abort\"", "lto = \"thin\"", "optional = true"] {
        assert!(text.contains(section), "{section} is not in\n{text}");
    }
    assert!(package.join("Cargo.lock").exists());
}

#[test]
fn a_folder_without_a_named_package_is_refused() {
    let (driver, out) = (folder("outside-nameless"), folder("outside-nameless-out"));
    assert!(outside::package(root(), &out, &driver).is_err(), "no manifest");
    fs::write(driver.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    let error = outside::package(root(), &out, &driver).unwrap_err().to_string();
    assert!(error.contains("no package name"), "{error}");
}
