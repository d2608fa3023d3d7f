//! Somebody logs in to a Linux over its remote console, in the svm leg: `workgate boot --console unix:…` and `pty:…`, typed at and read as a person does.
//!
//! The half that is somebody is this program itself, inside of the leg's machine: `lab login`.

mod line;
mod session;

use crate::error::LabError;
use crate::initramfs::Initramfs;
use line::Line;
use std::fs::{File, OpenOptions};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// This program's first word inside of the leg's machine.
pub const WORD: &str = "login";
/// Where this program is there.
pub const PROGRAM: &str = "/bin/lab";
/// The last line of a visit in which all was well.
pub const LAST_WORD: &str = "login: the Linux was used, and switched off";

const WORKGATE: &str = "/bin/workgate";
/// Where the file system is with which the guest begins.
const INITRD: &str = "/linux/login";
/// The guest's first process.
const INIT: &str = include_str!("init.sh");
const SOCKET: &str = "/tmp/console.sock";
const TERMINAL: &str = "/tmp/console.tty";
/// Number that the shell counts to, and the one at which the connection is dropped.
const COUNTED: usize = 1_500;
const DROPPED_AT: usize = 100;
/// Looks for a place that is about to be there, and how long from one to the next.
const LOOKS: u32 = 6_000;
const PAUSE: Duration = Duration::from_millis(10);

/// Puts this program and the guest's first file system into the lab's file system.
///
/// # Errors
/// This program cannot be read.
pub fn add(archive: &mut Initramfs, busybox: &[u8]) -> Result<(), LabError> {
    let mut inner = Initramfs::new();
    for folder in ["dev", "proc", "sys", "tmp", "etc"] {
        inner.folder(folder);
    }
    inner.file("/bin/busybox", true, busybox);
    inner.link("/bin/sh", "busybox");
    inner.file("/init", true, INIT.as_bytes());
    archive.file(INITRD, false, &inner.finish());
    let program = std::env::current_exe().map_err(LabError::io("this program"))?;
    crate::binary::add(archive, PROGRAM, &program)
}

/// Both visits, inside of the leg's machine.
///
/// # Errors
/// Something did not come back as it must.
pub fn run() -> Result<(), LabError> {
    let kernel =
        std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(LabError::io("the kernel's name"))?;
    by_socket(kernel.trim())?;
    by_terminal(kernel.trim())?;
    println!("{LAST_WORD}");
    Ok(())
}

/// A machine whose console is at `place`.
struct Machine(Child);

impl Machine {
    fn start(place: &str) -> Result<Self, LabError> {
        // What the kernel says of a slow host would stand in the middle of what is compared.
        let words = format!(
            "console=ttyS0 quiet nowatchdog rcupdate.rcu_cpu_stall_suppress=1 host={} password={} prompt={}",
            session::HOST,
            session::PASSWORD,
            session::PROMPT
        );
        let mut command = Command::new(WORKGATE);
        command.args(["boot", crate::linux::KERNEL, "--initrd", INITRD, "--cmdline", &words]);
        command.args(["--cpus", "2", "--memory", "300M", "--plug", "1=edu", "--console", place]);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(LabError::io(WORKGATE))?;
        println!("login: a machine whose console is {place}");
        Ok(Self(child))
    }

    /// Waits until `open` opens what the machine makes.
    fn open<T>(&mut self, mut open: impl FnMut() -> std::io::Result<T>) -> Result<T, LabError> {
        for _ in 0..LOOKS {
            if let Ok(opened) = open() {
                return Ok(opened);
            }
            if let Some(status) = self.0.try_wait().map_err(LabError::io(WORKGATE))? {
                return Err(LabError::Failed(format!(
                    "workgate boot has ended before it had a console: {status}"
                )));
            }
            std::thread::sleep(PAUSE);
        }
        open().map_err(LabError::io("the console"))
    }

    /// Its end must be in order.
    fn ended(mut self) -> Result<(), LabError> {
        let status = self.0.wait().map_err(LabError::io(WORKGATE))?;
        match status.success() {
            true => Ok(()),
            false => Err(LabError::Failed(format!("workgate boot: {status}"))),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two descriptors of one connection.
fn line<T>(stream: &T, copy: fn(&T) -> std::io::Result<T>) -> Result<Line, LabError>
where
    T: std::io::Read + std::io::Write + Send + 'static,
{
    let copied = || copy(stream).map_err(LabError::io("the console"));
    Ok(Line::new(copied()?, copied()?))
}

/// A visit by socket, in which the connection is dropped while much is printed, and made again.
fn by_socket(kernel: &str) -> Result<(), LabError> {
    let mut machine = Machine::start(&format!("unix:{SOCKET}"))?;
    let stream = machine.open(|| UnixStream::connect(SOCKET))?;
    let mut first = line(&stream, UnixStream::try_clone)?;
    session::log_in(&mut first)?;
    session::look_around(&mut first, kernel)?;
    session::paste(&mut first)?;
    session::interrupt_and_come_back(&mut first)?;
    session::command(&mut first, &format!("count {COUNTED} line"))?;
    first.until(&format!("line {DROPPED_AT}\r\n"))?;
    stream.shutdown(Shutdown::Both).map_err(LabError::io("the console"))?;

    // Whoever comes again sees what was printed before, and what goes on. So little was printed until then that all is kept.
    let stream = machine.open(|| UnixStream::connect(SOCKET))?;
    let mut second = line(&stream, UnixStream::try_clone)?;
    let all = first.read().to_owned() + &session::counted("line", DROPPED_AT + 1..=COUNTED);
    second.until(&session::counted("line", COUNTED..=COUNTED))?;
    session::same("nothing that was printed meanwhile is missing", second.read(), &all)?;
    session::switch_off(&mut second)?;
    machine.ended()
}

/// A visit by pseudoterminal, which a terminal program opens and closes.
fn by_terminal(kernel: &str) -> Result<(), LabError> {
    let mut machine = Machine::start(&format!("pty:{TERMINAL}"))?;
    let open = || OpenOptions::new().read(true).write(true).open(Path::new(TERMINAL));
    let mut line = line(&machine.open(open)?, File::try_clone)?;
    session::log_in(&mut line)?;
    session::look_around(&mut line, kernel)?;
    session::paste(&mut line)?;
    session::switch_off(&mut line)?;
    machine.ended()
}
