//! Style as a test: what reviewers would otherwise have to repeat.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose code may use `unsafe`: the x86 part of the kernel, the runtime of ring 3, the KVM machine, the fibre switch.
const UNSAFE_ALLOWED: [&str; 4] =
    ["guest-kernel/src", "guest-kernel/user/src/main.rs", "vmm/src", "vmm/sim/src/fibre.rs"];

/// Lines that one source file may have.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is in a folder of the workspace")
        .to_owned()
}

fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no file ends in {ending}");
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the workspace").display().to_string()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn allowed_unsafe(name: &str) -> bool {
    UNSAFE_ALLOWED.iter().any(|folder| name.starts_with(folder))
}

/// Code without comments and string literals, roughly: enough to look for keywords.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn unsafe_code_is_only_where_the_design_allows_it() {
    for path in files(".rs") {
        let name = relative(&path);
        if allowed_unsafe(&name) || name == "tests/tests/tidy.rs" {
            continue;
        }
        for (n, line) in text(&path).lines().enumerate() {
            let words = code(line).split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(
                !words.into_iter().any(|w| w == "unsafe"),
                "{name}:{}: unsafe code is not allowed here",
                n + 1
            );
        }
    }
}

#[test]
fn crates_that_need_no_unsafe_forbid_it() {
    for manifest in files("Cargo.toml") {
        let folder = manifest.parent().expect("a folder");
        let heads = ["src/lib.rs", "src/main.rs"].map(|head| folder.join(head));
        for head in heads.iter().filter(|head| head.exists()) {
            let name = relative(head);
            if allowed_unsafe(&name) || name.starts_with("vmm/sim/src") || name.starts_with("fuzz/") {
                continue;
            }
            assert!(text(head).contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
        }
    }
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    for path in files(".rs") {
        let name = relative(&path);
        if name == "tests/tests/tidy.rs" {
            continue;
        }
        for (n, line) in text(&path).lines().enumerate() {
            for word in ["todo!(", "unimplemented!(", "#[ignore"] {
                assert!(!code(line).contains(word), "{name}:{}: {word}", n + 1);
            }
        }
    }
}

#[test]
fn files_are_small() {
    for path in files(".rs") {
        let lines = text(&path).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines; split it by concept", relative(&path));
    }
}

#[test]
fn every_module_file_says_what_it_is_for() {
    for path in files(".rs") {
        let text = text(&path);
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
        let told = first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#!"));
        assert!(told, "{} does not begin with a module comment", relative(&path));
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files(".md") {
        let folder = path.parent().expect("a folder");
        for target in links(&text(&path)) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{}: the link to {target} leads nowhere", relative(&path));
        }
    }
}

/// Targets of the inline links of a Markdown text, code blocks left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            if let Some(end) = rest.find(')') {
                found.push(rest[..end].to_owned());
            }
        }
    }
    found
}
