//! A debugger on small guests, over a raw socket: what it asks is done, and what it does wrong harms nobody.

mod common;

use common::code::{CODE, Code};
use common::elf::image;
use common::{on_this_host, options, plan};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmm::gdb::{Gdb, Listener};
use vmm::probe::HostKind;
use vmm::{Ending, Outcome};

/// A client that knows the framing of the protocol and nothing more.
struct Client(UnixStream);

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the machine listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a patience");
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        self.0.write_all(format!("${text}#{sum:02x}").as_bytes()).expect("it reads");
    }

    /// The next packet, acknowledged.
    fn receive(&mut self) -> String {
        let mut byte = [0];
        let mut next = || {
            self.0.read_exact(&mut byte).expect("an answer");
            byte[0]
        };
        while next() != b'$' {}
        let mut text = Vec::new();
        loop {
            match next() {
                b'#' => break,
                other => text.push(other),
            }
        }
        next();
        next();
        // After its last word it may be gone.
        let _ = self.0.write_all(b"+");
        unpack(&text)
    }

    fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.receive()
    }

    /// RIP and RBX of the thread that was asked about last.
    fn registers(&mut self) -> (u64, u64) {
        let text = self.ask("g");
        let word = |at: usize| {
            let bytes = &text[at * 2..at * 2 + 16];
            u64::from_str_radix(bytes, 16).expect("hexadecimal").swap_bytes()
        };
        (word(16 * 8), word(8))
    }
}

/// Undoes the protocol's run-length encoding.
fn unpack(text: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, out.last().copied()) {
            (b'*', Some(last)) => {
                let count = bytes.next().expect("a count") - 29;
                out.extend(std::iter::repeat_n(last, count.into()));
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).expect("text")
}

/// Boots `code` for a debugger; `debugs` is that, on a thread of its own.
fn debugged(
    name: &str,
    code: Code,
    waits: bool,
    debugs: impl FnOnce(PathBuf) + Send + 'static,
) -> Option<Outcome> {
    let path = std::env::temp_dir().join(format!("wg-gdb-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket");
    listener.set_nonblocking(true).expect("a socket");
    let debugger = {
        let path = path.clone();
        std::thread::spawn(move || {
            // Nobody else would end the guest.
            let debugs = std::panic::AssertUnwindSafe(|| debugs(path));
            if std::panic::catch_unwind(debugs).is_err() {
                std::process::exit(1);
            }
        })
    };
    let gdb = Gdb { listener: Listener::Unix(listener), monitor: None, waits };
    let outcome = vmm::boot_steered(&plan(""), &image(code), &options(), None, Some(gdb));
    let outcome = on_this_host(outcome);
    let _ = std::fs::remove_file(&path);
    if outcome.is_some() {
        debugger.join().expect("the debugger is content");
    }
    outcome
}

/// mov ebx, 1; store EAX at 0x5000; inc ebx; store again; inc ebx; power off. The places of the instructions.
fn stores() -> (Code, [u64; 5]) {
    let store = [0xa3, 0x00, 0x50, 0x00, 0x00];
    let code = Code::new().bytes(&[0xbb, 1, 0, 0, 0]);
    let first = code.here();
    let code = code.bytes(&store).bytes(&[0x43]).bytes(&store).bytes(&[0x43]);
    (code.power_off(), [first, first + 5, first + 6, first + 11, first + 12])
}

#[test]
fn points_stop_the_machine_and_steps_move_it() {
    let (code, [first, between, second, last, _]) = stores();
    let outcome = debugged("points", code, true, move |path| {
        let mut gdb = Client::connect(&path);
        assert!(gdb.ask("qSupported:swbreak+;hwbreak+").contains("PacketSize"));
        assert!(gdb.ask("?").starts_with('S') || gdb.ask("?").starts_with('T'));
        assert_eq!(gdb.ask("Hg3b9aca00"), "OK");
        assert_eq!(gdb.registers().0, CODE, "it has not begun");
        assert_eq!(gdb.ask(&format!("m{first:x},5")), "a300500000");
        assert_eq!(gdb.ask(&format!("Z0,{first:x},1")), "OK");
        assert_eq!(gdb.ask(&format!("m{first:x},5")), "a300500000", "the instruction, not the breakpoint");
        let stop = gdb.ask("vCont;c");
        assert!(stop.starts_with("T05") && stop.contains("swbreak:"), "{stop}");
        assert_eq!(gdb.registers(), (first, 1));
        assert_eq!(gdb.ask(&format!("z0,{first:x},1")), "OK");
        let stop = gdb.ask("vCont;s:3b9aca00");
        assert!(stop.starts_with("T05"), "{stop}");
        assert_eq!(gdb.registers(), (between, 1), "one instruction");
        assert_eq!(gdb.ask(&format!("Z1,{second:x},1")), "OK");
        let stop = gdb.ask("vCont;c");
        assert!(stop.starts_with("T05") && stop.contains("hwbreak:"), "{stop}");
        assert_eq!(gdb.registers(), (second, 2));
        assert_eq!(gdb.ask(&format!("z1,{second:x},1")), "OK");
        let emulating = vmm::probe::quick().is_ok_and(|host| host.kind == HostKind::Emulating);
        let watch = gdb.ask("Z2,5000,4");
        if emulating {
            assert!(watch.starts_with('E'), "it would never hit: {watch}");
        } else {
            assert_eq!(watch, "OK");
            let stop = gdb.ask("vCont;c");
            assert!(stop.starts_with("T05") && stop.contains("watch:5000"), "{stop}");
            assert_eq!(gdb.registers().0, last);
            assert_eq!(gdb.ask("z2,5000,4"), "OK");
        }
        assert_eq!(gdb.ask("M6000,4:01020304"), "OK");
        assert_eq!(gdb.ask("m6000,4"), "01020304");
        assert!(gdb.ask("m7fffffff0000,4").starts_with('E'), "no memory there");
        assert!(gdb.ask("qThreadExtraInfo,3b9aca00").starts_with("63707530"), "cpu0");
        let help: String = gdb.ask("qRcmd,68656c70");
        assert!(help.starts_with('O'), "{help}");
        assert_eq!(gdb.receive(), "OK");
        assert_eq!(gdb.ask("D"), "OK");
    });
    let Some(outcome) = outcome else { return };
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
}

#[test]
fn a_machine_that_ends_says_so() {
    let outcome = debugged("ends", Code::new().power_off(), true, |path| {
        let mut gdb = Client::connect(&path);
        assert_eq!(gdb.ask("vCont;c"), "W00");
    });
    let Some(outcome) = outcome else { return };
    assert_eq!(outcome.ending, Ending::PowerOff);
}

#[test]
fn whoever_sends_nonsense_or_vanishes_is_let_go() {
    let (code, [first, ..]) = stores();
    let outcome = debugged("nonsense", code, true, move |path| {
        let mut vanishes = Client::connect(&path);
        vanishes.ask("?");
        // A second one is let go while the first is there.
        let mut second = Client::connect(&path);
        assert_eq!(second.0.read(&mut [0]).unwrap_or(0), 0);
        // A breakpoint that nobody will ever take out again, but for the machine itself.
        assert_eq!(vanishes.ask(&format!("Z0,{first:x},1")), "OK");
        vanishes.0.write_all(b"$m5000,").expect("it reads");
        drop(vanishes);
    });
    let Some(outcome) = outcome else { return };
    assert_eq!(outcome.ending, Ending::PowerOff, "the breakpoint is gone: {}", outcome.describe());
}

#[test]
fn a_guest_that_spins_is_interrupted_and_garbage_stops_nothing() {
    let spin = Code::new().print("busy\n");
    let place = spin.here();
    let outcome = debugged("garbage", spin.spin().power_off(), false, move |path| {
        let mut garbage = Client::connect(&path);
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        // It may be let go at any byte of it.
        let _ = garbage.0.write_all(&bytes);
        let _ = garbage.0.write_all(format!("${}#00", "m".repeat(100_000)).as_bytes());
        drop(garbage);
        let mut gdb = loop {
            let mut gdb = Client::connect(&path);
            // The other one may still be here.
            gdb.send("?");
            if gdb.0.read(&mut [0]).is_ok_and(|bytes| bytes == 1) {
                gdb.receive();
                break gdb;
            }
        };
        // It may take the guest a few turns to come to where it spins.
        loop {
            gdb.send("vCont;c");
            gdb.0.write_all(&[3]).expect("it reads");
            let stop = gdb.receive();
            assert!(stop.starts_with("T02"), "{stop}");
            if (place..place + 2).contains(&gdb.registers().0) {
                break;
            }
        }
        // On over the spin, to where the power goes off.
        let registers = gdb.ask("g");
        let mut registers = registers.into_bytes();
        let target = (place + 2).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        registers[16 * 16..16 * 16 + 16].copy_from_slice(target.as_bytes());
        assert_eq!(gdb.ask(&format!("G{}", String::from_utf8(registers).expect("text"))), "OK");
        assert_eq!(gdb.registers().0, place + 2);
        assert_eq!(gdb.ask("D"), "OK");
    });
    let Some(outcome) = outcome else { return };
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
}
