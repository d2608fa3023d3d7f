//! Debian's gdb on a replay: from an alarm back to the removal that caused it, and forward again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What gdb says to `lines`, with the extension and `workgate replay PLAN --stop-at STOP`; `None`, with a line that says so, where gdb is missing.
fn gdb(plan: &str, stop: &str, lines: &[&str]) -> Option<String> {
    let mut command = Command::new("gdb");
    command.current_dir(root()).args(["--batch", "-nx", "-x", "vmm/workgate/gdb/workgate.py"]);
    for line in lines {
        command.args(["-ex", line]);
    }
    command.arg("--args").arg(env!("CARGO_BIN_EXE_workgate")).args(["replay", plan, "--stop-at", stop]);
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(said(&output)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED a replay under gdb: gdb is missing here (apt-get install gdb)");
            None
        }
        Err(error) => panic!("gdb: {error}"),
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What was said between two marks.
fn part<'t>(told: &'t str, mark: &str) -> &'t str {
    let begin = told.find(&format!("@@{mark}@@")).unwrap_or_else(|| panic!("no @@{mark}@@ in {told}"));
    let rest = &told[begin + mark.len() + 4..];
    &rest[..rest.find("\n@@").unwrap_or(rest.len())]
}

/// The number in the first `behind event N of M`.
fn number(told: &str) -> u64 {
    let rest = told.split("behind event ").nth(1).unwrap_or_else(|| panic!("no place in {told}"));
    rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[test]
fn from_an_alarm_back_to_its_removal_and_forward_to_the_same_alarm() {
    let lines = [
        "echo @@alarm@@\\n",
        "wg-run",
        "wg-bt",
        "echo @@threads@@\\n",
        "wg-threads",
        "wg-gates",
        "echo @@removal@@\\n",
        "wg-back-to removal",
        "bt",
        "wg-registry",
        "echo @@other@@\\n",
        "wg-thread IOWorkLoop",
        "echo @@again@@\\n",
        "wg-stop-at alarm",
        "echo @@before@@\\n",
        "wg-back",
        "echo @@next@@\\n",
        "wg-next oracle.violation",
        "echo @@over@@\\n",
        "wg-stop-at run.done",
        "continue",
    ];
    let Some(told) = gdb("tests/scenarios/close-early.plan", "alarm", &lines) else { return };
    let has = |mark: &str, wanted: &[&str]| {
        for text in wanted {
            assert!(part(&told, mark).contains(text), "no `{text}` in @@{mark}@@ of\n{told}");
        }
    };
    has("alarm", &["ALARM close-before-return", "oracle.violation", "iokit::driver::edu::"]);
    // The thread that terminates the stack waits in the driver for the gate that the alarm's thread has. Which of the calls between have frames of their own
    // is the compiler's business.
    has(
        "threads",
        &[
            "IOServiceTerminateThread#4: waits, priority 81 (base 81, fixed)",
            "iokit::driver::edu::parts::",
            "go_offline",
            "will_terminate",
            "mach::recursive::RecursiveLock::lock_slow",
            "EduDriver@7: request#",
            "waiting: IOServiceTerminateThread#4",
        ],
    );
    has("removal", &["fault unplug", "iokit::driver::edu::parts::filter", "+-o EduDriver", "edu0: "]);
    has("other", &["sim::debug::here", "iokit::work_loop::"]);
    has("over", &["run.done", "the run is over"]);
    let [alarm, removal, again, before, next] =
        ["alarm", "removal", "again", "before", "next"].map(|mark| number(part(&told, mark)));
    assert!(removal < alarm, "{told}");
    assert_eq!((again, before, next), (alarm, alarm - 1, alarm), "{told}");
    let line = |mark| part(&told, mark).lines().find(|line| line.contains("oracle.violation"));
    assert_eq!(line("again"), line("alarm"), "the same event");
    assert!(!told.contains("NOT THE SAME RUN"), "{told}");
}

#[test]
fn gdb_is_told_what_was_wrong_and_its_breakpoints_hold() {
    let wrong = |line: &str| {
        format!(
            "python\ntry: gdb.execute({line:?})\nexcept gdb.error as error: print('@@{line}@@ ' + str(error))\nend"
        )
    };
    let lines = [
        wrong("wg-back"),
        "wg-run".to_owned(),
        wrong("wg-stop-at 99999999"),
        wrong("wg-stop-at willTerminate#99"),
        wrong("wg-back-to nonsense"),
        wrong("wg-back 1300"),
        wrong("wg-next alarm#1"),
        wrong("wg-bt nobody"),
        wrong("wg-events x"),
        "echo @@point@@\\n".to_owned(),
        "break iokit::driver::edu::parts::filter".to_owned(),
        "wg-stop-at alarm".to_owned(),
        "echo @@back@@\\n".to_owned(),
        "wg-back 20".to_owned(),
    ];
    let file = std::env::temp_dir().join(format!("workgate-gdb-{}.gdb", std::process::id()));
    std::fs::write(&file, lines.join("\n")).expect("a writable temporary folder");
    let source = format!("source {}", file.display());
    let told = gdb("tests/scenarios/close-early.plan", "io.issue#2", &[&source]);
    // What is left behind in the temporary folder does no harm.
    _ = std::fs::remove_file(&file);
    let Some(told) = told else { return };
    for (mark, wanted) in [
        ("wg-back", "no run: wg-run begins one"),
        ("wg-stop-at 99999999", "the run has no event 99999999: it has 1"),
        ("wg-stop-at willTerminate#99", "`willTerminate` happens"),
        ("wg-back-to nonsense", "`nonsense` never happens in this run; what does: "),
        ("wg-back 1300", "event 1300 does not lie behind us"),
        ("wg-next alarm#1", "`alarm#1` never happens"),
        ("wg-bt nobody", "no thread `nobody`; there are: idle0#1"),
        ("wg-events x", "how many? expected a number"),
        ("point", "stopped on the way, behind event"),
        ("back", "behind event 20 of "),
    ] {
        assert!(part(&told, mark).contains(wanted), "no `{wanted}` in @@{mark}@@ of\n{told}");
    }
}
