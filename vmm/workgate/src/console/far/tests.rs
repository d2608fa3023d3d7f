//! What readers of a console see, and what they cannot do to a machine.

use super::super::backlog::KEPT;
use super::super::listener::Listener;
use super::super::pty::Pty;
use super::*;
use std::fs::OpenOptions;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

/// A console that goes to whoever comes through `doors`, and what is typed.
fn console(doors: impl Doors + 'static) -> (Far, Writer, io::PipeReader) {
    let shared = Arc::new(Shared::new(Backlog::default(), EventFd::new(EFD_NONBLOCK).expect("a descriptor")));
    let (typed, types) = io::pipe().expect("a pipe");
    let far = Far::start(Box::new(doors), shared.clone(), Some(types)).expect("a thread");
    (far, shared.writer(), typed)
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wg-console-{}-{name}", std::process::id()))
}

/// Reads up to and including `end`.
fn read_to(stream: &mut impl Read, end: &str) -> String {
    let (mut got, mut byte) = (Vec::new(), [0]);
    while !got.ends_with(end.as_bytes()) {
        let n = stream.read(&mut byte).expect("the console is there");
        assert_ne!(n, 0, "the console ended before {end:?}: {:?}", String::from_utf8_lossy(&got));
        got.extend(byte);
    }
    String::from_utf8(got).expect("text")
}

#[test]
fn who_comes_late_sees_what_was_printed_before() {
    let path = path("late");
    let (far, mut printer, _typed) = console(Listener::unix(&path).expect("a socket"));
    let mut first = UnixStream::connect(&path).expect("a console");
    writeln!(printer, "one").expect("memory");
    assert_eq!(read_to(&mut first, "\n"), "one\n");
    let mut second = UnixStream::connect(&path).expect("a console");
    writeln!(printer, "two").expect("memory");
    assert_eq!(read_to(&mut second, "two\n"), "one\ntwo\n");
    assert_eq!(read_to(&mut first, "\n"), "two\n");
    far.finish();
    assert_eq!(first.read(&mut [0]).expect("an end"), 0);
    assert!(!path.exists());
}

#[test]
fn who_reads_too_slowly_is_told_what_was_lost_and_holds_nobody_up() {
    let path = path("slow");
    let (_far, mut printer, _typed) = console(Listener::unix(&path).expect("a socket"));
    let mut slow = UnixStream::connect(&path).expect("a console");
    writeln!(printer, "first").expect("memory");
    assert_eq!(read_to(&mut slow, "first\n"), "first\n");
    for _ in 0..64 {
        printer.write_all(&[b'.'; KEPT]).expect("memory");
    }
    writeln!(printer, "last").expect("memory");
    let all = read_to(&mut slow, "last\n");
    let (_, note) = all.split_once("\r\n[").expect("it is told");
    let (lost, rest) = note.split_once(" bytes of the console were lost").expect("how much");
    let lost: usize = lost.parse().expect("a number");
    // What came before the note, what came after it, and what was lost are all that was printed.
    let dots = all.matches('.').count();
    assert!(rest.len() > KEPT / 2, "{}", rest.len());
    let notes = all.matches(" bytes of the console").count();
    assert!(notes > 1 || dots + lost == 64 * KEPT, "{dots} + {lost}");
}

#[test]
fn who_comes_when_the_beginning_is_gone_is_told_how_much_that_was() {
    let path = path("beginning");
    let (_far, mut printer, _typed) = console(Listener::unix(&path).expect("a socket"));
    printer.write_all(&vec![b'.'; KEPT]).expect("memory");
    writeln!(printer, "end").expect("memory");
    let mut late = UnixStream::connect(&path).expect("a console");
    let told = read_to(&mut late, "end\n");
    let (note, rest) = told.split_at(told.find('.').expect("what is kept"));
    assert_eq!(note, "\r\n[4 bytes of the console came before: they are not kept any more]\r\n");
    assert_eq!(rest.len(), KEPT);
}

#[test]
fn what_is_typed_reaches_the_guest_and_a_reader_may_stop_typing() {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = listener.address().expect("an address");
    let (_far, mut printer, mut typed) = console(listener);
    let mut reader = TcpStream::connect(address).expect("a console");
    reader.write_all(b"ls\n").expect("a console");
    assert_eq!(read_to(&mut typed, "\n"), "ls\n");
    reader.shutdown(Shutdown::Write).expect("a socket");
    writeln!(printer, "file").expect("memory");
    assert_eq!(read_to(&mut reader, "\n"), "file\n");
}

#[test]
fn a_guest_that_reads_nothing_does_not_keep_the_console() {
    let path = path("deaf");
    let (_far, mut printer, typed) = console(Listener::unix(&path).expect("a socket"));
    let mut reader = UnixStream::connect(&path).expect("a console");
    // More than a pipe holds.
    const TYPED: usize = 1 << 20;
    reader.write_all(&vec![b'x'; TYPED]).expect("it is taken");
    reader.shutdown(Shutdown::Write).expect("a socket");
    writeln!(printer, "here").expect("memory");
    let mut told = String::new();
    let lost = |told: &str| {
        let bytes = told.split('[').filter_map(|note| note.split_once(" bytes that were typed are lost"));
        bytes.map(|(bytes, _)| bytes.parse::<usize>().expect("a number")).sum::<usize>()
    };
    // All that is not in the pipe is told, piece by piece.
    let held = || rustix::io::ioctl_fionread(&typed).expect("a pipe") as usize;
    while !told.contains("here\n") || lost(&told) + held() < TYPED {
        told += &read_to(&mut reader, "\n");
    }
    assert_eq!(lost(&told) + held(), TYPED, "{told}");
}

#[test]
fn readers_have_an_end() {
    let path = path("many");
    let (_far, mut printer, _typed) = console(Listener::unix(&path).expect("a socket"));
    writeln!(printer, "hello").expect("memory");
    let mut readers: Vec<UnixStream> =
        (0..READERS).map(|_| UnixStream::connect(&path).expect("a console")).collect();
    readers.iter_mut().for_each(|reader| assert_eq!(read_to(reader, "\n"), "hello\n"));
    let mut further = UnixStream::connect(&path).expect("a connection");
    assert_eq!(further.read(&mut [0]).expect("an end"), 0);
    // Who goes makes room.
    readers.clear();
    let found = (0..1000).any(|_| {
        let mut next = UnixStream::connect(&path).expect("a connection");
        next.read(&mut [0; 6]).is_ok_and(|n| n == 6)
    });
    assert!(found);
}

#[test]
fn a_terminal_program_opens_the_pseudoterminal_by_its_link() {
    let link = path("tty");
    let pty = Pty::open(Some(&link)).expect("a pseudoterminal");
    assert_eq!(std::fs::read_link(&link).expect("a link"), PathBuf::from(pty.path()));
    assert!(Pty::open(Some(&link)).is_err(), "the link is taken");
    let (far, mut printer, mut typed) = console(pty);
    writeln!(printer, "before").expect("memory");
    let mut terminal = OpenOptions::new().read(true).write(true).open(&link).expect("a terminal");
    assert_eq!(read_to(&mut terminal, "\n"), "before\n");
    // Raw: neither an echo nor a carriage return of the system's comes in between.
    terminal.write_all(b"root\r").expect("a terminal");
    assert_eq!(read_to(&mut typed, "\r"), "root\r");
    drop(terminal);
    writeln!(printer, "after").expect("memory");
    let mut terminal = OpenOptions::new().read(true).open(&link).expect("a terminal");
    assert_eq!(read_to(&mut terminal, "\n"), "after\n");
    far.finish();
    assert!(std::fs::symlink_metadata(&link).is_err(), "the link is gone");
}
