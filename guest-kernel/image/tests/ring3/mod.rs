//! What the kernel has to say of user mode (`ring3=1`), on whatever machine it runs.

/// The pieces and how each has to end: the text after its name begins with one of these.
const PIECES: [(&str, &[&str]); 19] = [
    ("trap", &["Trap rax 0x500000400000 "]),
    ("null", &["PageFault { address: 0, write: false, execute: false, present: false }"]),
    ("constant", &["PageFault { address: 500000400000, write: true, execute: false, present: true }"]),
    ("kernel-read", &["PageFault { address: 2"]),
    ("kernel-jump", &["PageFault { address: 2"]),
    ("no-execute", &["PageFault { address: 500000400000, write: false, execute: true, present: true }"]),
    ("not-canonical", &["Exception { vector: d, code: 0 }"]),
    ("divide", &["Exception { vector: 0, code: 0 }"]),
    ("other-opcode", &["Exception { vector: 6, code: 0 } rax 0x1 "]),
    ("privileged", &["Exception { vector: d, code: 0 }"]),
    ("port", &["Exception { vector: d, code: 0 }"]),
    // Hosts that interpret ring 0 have no software interrupts.
    ("soft-interrupt", &["Exception { vector: d, code: 802 }", "Exception { vector: 6, code: 0 }"]),
    ("single-step", &["Exception { vector: 1, code: 0 }"]),
    ("odd-flags", &["Trap rax 0x0 flags 0xed7"]),
    ("no-stack", &["PageFault { address: fffffffffffffff8, write: true, execute: false, present: false }"]),
    ("segments", &["Trap rax 0x2b flags 0x202"]),
    ("wild-start", &["PageFault { address: 8000000000000000, write: false, execute: true, present: false }"]),
    ("spin", &["Recalled helper ran true"]),
    ("watch", &["PageFault { address: 500000400000, write: false, execute: false, present: false }"]),
];

/// Checks the kernel's report on the console.
pub fn check(console: &str) {
    for (name, endings) in PIECES {
        let begin = format!("ring3: {name}: ");
        let told = console.lines().find_map(|line| line.trim_end().strip_prefix(&begin));
        let told = told.unwrap_or_else(|| panic!("nothing is told of {name}:\n{console}"));
        assert!(endings.iter().any(|end| told.starts_with(end)), "{name}: {told}");
    }
    for line in [
        "ring3: cost: 64 traps, 64 page faults",
        "ring3: many: grown by less than 2 MiB: true",
        "ring3: done",
    ] {
        assert!(console.contains(line), "{line} is missing:\n{console}");
    }
    assert!(!console.contains("panic"), "{console}");
}

/// Checks the report of `count` tasks that meant no good (`hostile=COUNT`).
pub fn check_hostile(console: &str, count: u64) {
    for line in [
        format!("hostile: {count} tasks, 0 refused"),
        "hostile: left: Task 0, Port 0, Message 0, VmMap 0, VmObject 0, VmPage 0".into(),
    ] {
        assert!(console.contains(&line), "{line} is missing:\n{console}");
    }
    assert!(!console.contains("panic"), "{console}");
}
