//! Cores are written and read back; whatever is done to one, reading it ends in a core or in a sentence.

use inspect::core::{About, Core, write};
use inspect::symbols::Names;
use inspect::{LockWait, Mapping, Physical, Registers, State, Thread, stacks};
use proptest::prelude::*;
use std::ops::Range;
use std::path::PathBuf;

/// Memory from address 0 on.
struct Memory(Vec<u8>);

impl Physical for Memory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let at = address as usize;
        let Some(from) = self.0.get(at..at + into.len()) else { return false };
        into.copy_from_slice(from);
        true
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        Vec::from([Range { start: 0, end: self.0.len() as u64 }])
    }
}

const STACK: u64 = 0xffff_c000_0000_0000;

fn thread(id: u32, name: &str, registers: Registers) -> Thread {
    Thread {
        id,
        name: name.to_owned(),
        state: State::Waiting,
        cpu: None,
        user: false,
        priority: 81,
        base: 80,
        policy: "fixed".to_owned(),
        task: None,
        event: None,
        lock: None,
        held: Vec::new(),
        registers: Some(registers),
    }
}

/// A machine with a stack at 0x4000, which is mapped high as well, and two threads.
fn machine() -> (Memory, Vec<Mapping>, About) {
    let mut memory = Memory(vec![0; 0x1_0000]);
    for (at, value) in [(0x4100usize, STACK + 0x200), (0x4108, 0x1111), (0x4200, 0), (0x4208, 0x2222)] {
        memory.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let map =
        |address, physical, bytes| Mapping { address, physical, bytes, writable: true, executable: false };
    let mut holder =
        thread(3, "IOWorkLoop", Registers { rip: 0x99, rbp: STACK + 0x100, ..Registers::default() });
    holder.held.push("EduDriver gate".to_owned());
    let mut client = thread(7, "client\u{1b}[31m", Registers::default());
    client.lock = Some(LockWait { lock: 5, owner: 3, class: Some("EduDriver gate".to_owned()) });
    let about = About {
        version: About::VERSION,
        plan: "a.plan".to_owned(),
        time: 1234,
        reason: "as asked".to_owned(),
        signal: 0,
        root: None,
        symbols: None,
        threads: vec![holder, client],
    };
    (memory, vec![map(0x1000, 0x1000, 0x8000), map(STACK, 0x4000, 0x1000)], about)
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn core_bytes(name: &str) -> Vec<u8> {
    let (memory, mappings, about) = machine();
    let path = folder(name).join("core");
    let written = write(&path, &memory, &mappings, &about).expect("room for it");
    assert_eq!((written.threads, written.stored), (2, 4096), "one page is not zero");
    std::fs::read(&path).expect("it is there")
}

#[test]
fn a_core_comes_back_as_it_was_written() {
    let (_, _, about) = machine();
    let core = Core::read(Box::new(core_bytes("back"))).expect("a core");
    assert_eq!(core.about, about);
    let mut low = [0; 8];
    for at in [0x4108, STACK + 0x108] {
        assert_eq!(core.memory(at, &mut low), 8);
        assert_eq!(u64::from_le_bytes(low), 0x1111);
    }
    assert_eq!(core.memory(0x1_0000, &mut low), 0);
    assert_eq!(core.memory(0xfffc, &mut low), 4, "only what there is");
    let text = stacks::render(&core, &Names::default());
    for line in [
        "#3 IOWorkLoop: waiting, priority 81 (base 80, fixed), has EduDriver gate",
        "    0x0000000000001111 ?",
        "    0x0000000000002222 ?",
        "waits for EduDriver gate, which #3 IOWorkLoop has",
        "    EduDriver gate: #3 IOWorkLoop has it, and #7 client\\u{1b}[31m wait for it",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_core_that_does_not_fit_leaves_nothing() {
    let (memory, mappings, about) = machine();
    let folder = folder("full");
    let path = folder.join("core");
    std::fs::write(&path, "before").expect("a file");
    /// Memory whose second half cannot be read.
    struct Broken(Memory);
    impl Physical for Broken {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            address + (into.len() as u64) < 0x1_0000 && self.0.read(address, into)
        }
        fn ranges(&self) -> Vec<Range<u64>> {
            self.0.ranges()
        }
    }
    let error = write(&path, &Broken(memory), &mappings, &about).expect_err("it cannot be read");
    assert!(error.to_string().contains("0x0"), "{error}");
    let left: Vec<_> = std::fs::read_dir(&folder).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is still there"), "before");
    let nowhere = folder.join("no/such/core");
    let (memory, mappings, about) = machine();
    let error = write(&nowhere, &memory, &mappings, &about).expect_err("no folder");
    assert!(error.to_string().contains("no/such/core"), "{error}");
}

#[test]
fn every_truncation_is_named() {
    let good = core_bytes("truncated");
    for end in (0..good.len()).step_by(7).chain(good.len() - 9..good.len()) {
        let error = Core::read(Box::new(good[..end].to_vec())).expect_err("cut off").to_string();
        assert!(
            error.contains("truncated") || error.contains("no core") || error.contains("notes"),
            "{end}: {error}"
        );
    }
    let mut foreign = good.clone();
    let at = foreign.windows(9).position(|part| part == b"Workgate\0").expect("our note");
    foreign[at] = b'X';
    assert!(Core::read(Box::new(foreign)).expect_err("no note").to_string().contains("something else"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Bytes that are changed at will, mostly where headers and notes are.
    #[test]
    fn a_damaged_core_is_read_or_refused(changes in prop::collection::vec((0usize..0x1000, any::<u8>()), 1..8), cut in 0usize..0x2000) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| core_bytes("damaged"));
        let mut bytes = good.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if cut < bytes.len() && cut % 3 == 0 {
            bytes.truncate(bytes.len() - cut);
        }
        if let Ok(core) = Core::read(Box::new(bytes)) {
            let text = stacks::render(&core, &Names::of_table(&stacks::table_in(&core)));
            prop_assert_eq!(text.find('\u{1b}'), None);
        }
    }

    /// Anything behind an ELF header.
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let head = core_bytes_head();
        let length = head.len().min(bytes.len());
        bytes[..length].copy_from_slice(&head[..length]);
        prop_assert!(Core::read(Box::new(bytes)).is_err());
    }
}

fn core_bytes_head() -> [u8; 24] {
    let mut head = [0; 24];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    head[16] = 4;
    head[18] = 62;
    head
}
