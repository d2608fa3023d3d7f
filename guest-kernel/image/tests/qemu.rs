//! The image on somebody else's machine: QEMU's microvm, instructions translated. Where QEMU is not installed these tests have nothing
//! to say and pass.

mod ring3;

use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Ends a hang; far above what a boot takes.
const LIMIT: Duration = Duration::from_secs(120);
/// isa-debug-exit's status after a panic: 2 * 1 + 1.
const PANICKED: i32 = 3;

/// What a run printed, and its exit status.
struct Run {
    console: String,
    status: Option<i32>,
}

/// Boots the image; `None` if there is no QEMU.
fn boot(test: &str, cpus: u32, command_line: &str) -> Option<Run> {
    let image = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.elf"));
    std::fs::write(&image, guest_image::IMAGE).expect("a writable target folder");
    let spawned = Command::new("qemu-system-x86_64")
        .args([
            "-machine",
            "microvm",
            "-accel",
            "tcg",
            "-m",
            "64",
            "-display",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
        ])
        .args(["-device", "isa-debug-exit,iobase=0x501,iosize=1", "-smp", &cpus.to_string()])
        .args(["-append", command_line, "-kernel"])
        .arg(&image)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    match spawned {
        Ok(child) => Some(finish(child)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("qemu-system-x86_64 is not installed: nothing tested");
            None
        }
        Err(error) => panic!("cannot start QEMU: {error}"),
    }
}

fn finish(mut child: Child) -> Run {
    let mut out = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut console = Vec::new();
        out.read_to_end(&mut console).map(|_| String::from_utf8_lossy(&console).into_owned())
    });
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status.code();
        }
        if begin.elapsed() > LIMIT {
            child.kill().expect("a child that runs");
            child.wait().expect("a child that ended");
            break None;
        }
        sleep(Duration::from_millis(10));
    };
    Run { console: reader.join().expect("no panic").expect("a readable pipe"), status }
}

#[test]
fn it_boots_on_one_to_eight_cpus_and_powers_off() {
    for cpus in [1, 2, 4, 8] {
        let Some(run) = boot(&format!("boot-{cpus}"), cpus, "finish=1000000") else { return };
        assert!(run.console.contains(&format!("workgate: {cpus} CPUs")), "{}", run.console);
        assert!(!run.console.contains("panic"), "{}", run.console);
        assert!(run.status.is_some(), "it hangs:\n{}", run.console);
    }
}

#[test]
fn a_panic_names_the_functions_of_its_thread() {
    let Some(run) = boot("panic", 2, "crash=panic") else { return };
    assert_eq!(run.status, Some(PANICKED), "{}", run.console);
    assert!(run.console.contains(": as asked on the command line ("), "{}", run.console);
    for name in
        ["workgate_guest::x86::crash::crash+0x", "mach::kernel::Kernel>::thread_entry+0x", "context_start+0x"]
    {
        assert!(run.console.contains(name), "{name} is missing:\n{}", run.console);
    }
}

#[test]
fn an_interrupt_that_no_processor_delivers_is_the_hosts_defect() {
    let Some(run) = boot("masked", 2, "crash=masked") else { return };
    assert_eq!(run.status, Some(PANICKED), "{}", run.console);
    let told = "the host's processor is defective: interrupt 0x31 came at 0x";
    assert!(run.console.contains(told), "{}", run.console);
    assert!(run.console.contains("workgate_guest::x86::crash::crash+0x"), "{}", run.console);
}

#[test]
fn a_stack_overflow_is_told_from_a_wild_access() {
    let Some(run) = boot("overflow", 1, "crash=overflow") else { return };
    assert_eq!(run.status, Some(PANICKED), "{}", run.console);
    assert!(run.console.contains("kernel stack overflow at 0x"), "{}", run.console);
    assert!(run.console.contains("dig_deeper"), "{}", run.console);
}

#[test]
fn null_and_code_are_protected() {
    for (word, address) in [("null", "write of 0x8 at 0x"), ("code", "write of 0x2")] {
        let Some(run) = boot(word, 1, &format!("crash={word}")) else { return };
        assert_eq!(run.status, Some(PANICKED), "{}", run.console);
        assert!(run.console.contains(&format!("page fault: {address}")), "{}", run.console);
        assert!(run.console.contains("   rip 00000000002"), "{}", run.console);
    }
}

#[test]
fn user_code_stays_in_its_cage() {
    for cpus in [1, 2] {
        let Some(run) = boot(&format!("ring3-{cpus}"), cpus, "ring3=1 finish=1000000") else { return };
        ring3::check(&run.console);
        assert!(run.status.is_some(), "it hangs:\n{}", run.console);
    }
}

#[test]
fn tasks_that_mean_no_good_leave_nothing() {
    for cpus in [1, 4] {
        let Some(run) = boot(&format!("hostile-{cpus}"), cpus, "hostile=100 finish=1000000") else { return };
        ring3::check_hostile(&run.console, 100);
        assert!(run.status.is_some(), "it hangs:\n{}", run.console);
    }
}
