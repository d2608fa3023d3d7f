//! Cores and debuggers from the command line.

mod client;

use client::{Run, scenario};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn workgate(arguments: &[&str]) -> (Option<i32>, String, String) {
    told(Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments))
}

fn told(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn wrong_requests_exit_2_with_a_sentence() {
    let plan = scenario("smallest.plan");
    let cases: [(&[&str], &str); 8] = [
        (&["run", &plan, "--machine", "sim", "--core", "/tmp"], "--core needs --machine kvm"),
        (&["run", &plan, "--machine", "sim", "--gdb", ":0"], "--gdb needs --machine kvm"),
        (&["run", &plan, "--machine", "sim", "--gdb-later"], "--gdb"),
        (&["boot", &plan, "--core", "/no/such/folder/core"], "there is no folder /no/such/folder"),
        (&["boot", &plan, "--gdb", "/no/such/folder/gdb"], "/no/such/folder/gdb"),
        (&["boot", &plan, "--gdb", &plan], "is no socket"),
        (&["stacks", "/no/such/core"], "/no/such/core"),
        (&["stacks", &plan], "it is no core: it does not begin with the ELF magic"),
    ];
    for (arguments, hint) in cases {
        let (status, _, err) = workgate(arguments);
        assert!(status == Some(2) && err.contains(hint), "{arguments:?}: {err}");
    }
}

#[test]
fn the_simulator_writes_no_core() {
    let arguments = ["run", &scenario("smallest.plan"), "--machine", "sim", "--json"];
    let mut run = Run::start("no-core", &arguments, true);
    let client = run.client();
    let arguments = json!({"paging": false, "protocol": "file:/tmp/never"});
    let (class, what) = client.ask("dump-guest-memory", arguments).expect_err("no memory");
    assert!(class == "GenericError" && what.contains("not on this machine"), "{what}");
    let socket = client.path().to_owned();
    client.ask("quit", json!({})).expect("it ends");
    run.finish();
    assert!(!socket.exists());
}

/// A run on KVM with a client; `None`, with a line that says so, where this host has no KVM to use.
fn on_kvm(name: &str, plan: &str) -> Option<Run> {
    let mut run = Run::start(name, &["run", &scenario(plan), "--machine", "kvm", "--json"], true);
    if run.try_client().is_some() {
        return Some(run);
    }
    let (status, _, err) = run.finish();
    assert_eq!(status, Some(3), "{err}");
    eprintln!("SKIPPED a core on command: {}", err.trim());
    None
}

/// Every frame of a thread, in a line.
fn frames(thread: &Value) -> String {
    let frames = thread["frames"].as_array().expect("frames").iter();
    frames.map(|frame| frame["function"].as_str().expect("a name")).collect::<Vec<_>>().join(" < ")
}

#[test]
fn a_core_is_written_on_command_with_every_thread() {
    let folder = folder("on-command");
    let core = folder.join("edu.core");
    let Some(mut run) = on_kvm("core", "smallest.plan") else { return };
    let client = run.client();
    let dump = |protocol: &str| json!({"paging": true, "protocol": protocol});
    client.ask("x-workgate-until", json!({"event": "io.done", "count": 1})).expect("it is to come");
    client.ask("cont", json!({})).expect("it begins");
    client.event("STOP");
    for (arguments, hint) in [
        (dump("fd:3"), "expected file:PATH"),
        (dump("file:/no/such/folder/core"), "/no/such/folder/core"),
        (json!({"protocol": "file:x", "detach": true}), "'detach'"),
        (json!({"protocol": "file:x", "format": "kdump-zlib"}), "kdump-zlib"),
        (json!({"protocol": "file:x", "paging": 1}), "expected: boolean"),
    ] {
        let (_, what) = client.ask("dump-guest-memory", arguments).expect_err(hint);
        assert!(what.contains(hint), "{what}");
    }
    client.ask("dump-guest-memory", dump(&format!("file:{}", text(&core)))).expect("room for it");
    let left: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    client.ask("quit", json!({})).expect("it ends");
    run.finish();

    let (status, document, err) = workgate(&["stacks", text(&core), "--json"]);
    assert_eq!(status, Some(0), "{err}");
    let document: Value = serde_json::from_str(&document).expect("a document");
    let threads = document["threads"].as_array().expect("threads");
    let named = |name: &str| {
        let found = threads.iter().find(|thread| thread["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {document:#}"))
    };
    assert_eq!(threads.iter().filter(|thread| thread["cpu"] == 0).count(), 1, "{document:#}");
    for name in ["IOWorkLoop", "IOConfigThread", "IOServiceTerminateThread"] {
        let thread = named(name);
        let stack = frames(thread);
        let runs = thread["cpu"] == 0;
        // What is between these two the compiler may have put into one function.
        assert!(runs || stack.contains("block"), "{name}: {stack}");
        assert!(stack.contains("thread_entry"), "{name}: {stack}");
        assert_eq!(thread["priority"], 81, "{thread:#}");
    }
    let (status, printed, _) = workgate(&["stacks", text(&core)]);
    assert!(
        status == Some(0) && printed.contains("IOServiceTerminateThread: waiting, priority 81"),
        "{printed}"
    );

    let whole = std::fs::read(&core).expect("it is there");
    let cut = folder.join("cut.core");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("room for it");
    let (status, _, err) = workgate(&["stacks", text(&cut)]);
    assert!(status == Some(2) && err.contains("it is truncated: segment"), "{err}");
}

/// The limit on the size of files stands for a disk that is full: the same call fails.
#[test]
fn a_core_that_finds_no_room_leaves_nothing() {
    let folder = folder("no-room");
    let image = folder.join("guest.elf");
    assert_eq!(workgate(&["image", text(&image)]).0, Some(0));
    let cores = folder.join("cores");
    std::fs::create_dir(&cores).expect("a folder");
    let mut shell = Command::new("sh");
    // 512 KiB; the signal is ignored, so that the write fails instead.
    shell.arg("-c").arg("trap '' XFSZ; ulimit -f 1024; exec \"$@\"").arg("sh");
    shell.arg(env!("CARGO_BIN_EXE_workgate"));
    shell.args(["boot", text(&image), "--memory", "32M", "--cmdline", "crash=panic", "--core", text(&cores)]);
    let (status, out, err) = told(&mut shell);
    if status == Some(3) {
        eprintln!("SKIPPED a core without room: {}", err.trim());
        return;
    }
    assert!(status == Some(2) && err.contains("cannot write the core"), "{status:?} {out} {err}");
    let left: Vec<_> = std::fs::read_dir(&cores).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Where the image's 32-bit entry is in the file: the PVH note (Xen's `XEN_ELFNOTE_PHYS32_ENTRY`, 18) names its physical address, the program headers map that.
fn entry_in(image: &[u8]) -> usize {
    let number = |at: usize, bytes: usize| {
        image[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let note =
        |at: &usize| number(*at, 4) == 4 && number(at + 8, 4) == 18 && &image[at + 12..at + 16] == b"Xen\0";
    let note = (0..image.len() - 20).step_by(4).find(note).expect("a PVH image");
    let entry = number(note + 16, 4);
    let (headers, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let segments = (0..count).map(|n| headers + n * size).filter(|at| number(*at, 4) == 1);
    let mut inside = segments.filter_map(|at| {
        let (offset, physical, length) = (number(at + 8, 8), number(at + 24, 8), number(at + 32, 8));
        (physical..physical + length).contains(&entry).then(|| offset + entry - physical)
    });
    inside.next().expect("its entry is in it")
}

/// A console that fails at its end is told behind the end of the guest, and does not hide it.
#[test]
fn a_console_that_is_full_hides_no_outcome() {
    let folder = folder("full-console");
    let image = folder.join("guest.elf");
    assert_eq!(workgate(&["image", text(&image)]).0, Some(0));
    let mut bytes = std::fs::read(&image).expect("it is there");
    let entry = entry_in(&bytes);
    // mov dx, 0x3f8; mov al, '!'; out dx, al; mov al, '\n'; out dx, al; ud2: without a descriptor table of interrupts that is the end of the machine.
    let code = b"\x66\xba\xf8\x03\xb0!\xee\xb0\n\xee\x0f\x0b";
    bytes[entry..entry + code.len()].copy_from_slice(code);
    std::fs::write(&image, bytes).expect("room for it");
    let (status, _, err) = workgate(&["boot", text(&image), "--memory", "32M", "--console", "/dev/full"]);
    if status == Some(3) || !std::path::Path::new("/dev/full").exists() {
        eprintln!("SKIPPED a full console: {}", err.trim());
        return;
    }
    assert_eq!(status, Some(2), "{err}");
    let at = |part: &str| err.find(part).unwrap_or_else(|| panic!("no {part:?} in {err}"));
    assert!(at("last console lines:\n  | !") < at("cannot write the console to /dev/full"), "{err}");
}
