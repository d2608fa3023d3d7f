//! The lab: legs that need a second machine, which QEMU's interpreter (TCG) gives without any hardware.
//!
//! - `svm`: a Debian kernel boots with an emulated SVM, so that the KVM device inside is a real kvm-amd; `workgate run
//!   --machine kvm` runs the scenarios in it.
//! - `control`: the package `qemu.qmp` of PyPI and its `qmp-shell` steer runs over the control socket.
//! - `gdb`: Debian's gdb on a run of the simulator, forward and back; and on a live machine and a core, with the kernel's threads, which needs KVM of any
//!   kind.
//! - `qemu`: our guest image boots unchanged under QEMU and drives QEMU's own devices behind hot-plug ports.
//!
//! Inside of the machine of `svm` this program is whoever logs in to a Linux (`lab login`).
//!
//! `cargo run -p tests --bin lab -- svm|qemu|control|gdb|all`. Exit status: 0 all held, 1 something failed, 2 the request is wrong, 3
//! something that a leg needs is missing here (a line names it; nothing is skipped in silence).
#![forbid(unsafe_code)]

mod binary;
mod campaign;
mod console;
mod control;
mod error;
mod exercised;
mod gdb;
mod initramfs;
mod kernel;
mod linux;
mod login;
mod modules;
mod process;
mod qemu;
mod qmp;
mod report;
mod root_disk;
mod scenarios;
mod svm;

use error::LabError;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "usage: lab svm|qemu|control|gdb|all [--workgate FILE] [--image FILE] [--only SCENARIO] [--rounds N] [--long] [--boot-only]

  svm          run the scenarios on a real kvm-amd inside QEMU
  qemu         run our guest image under QEMU with QEMU's devices
  control      steer runs with PyPI's qemu.qmp
  gdb          debug a run of the simulator, a live machine and a core with gdb
  --workgate   the workgate binary to use (default: cargo builds it in release)
  --image      the guest image for the qemu leg (default: the one built with the lab)
  --only       one scenario of the svm leg; may be repeated
  --rounds     svm: how often linux ejects everything and linux-surprise tears it out, 1 to 100 (default: 20 with --long, else 2 and 1);
               qemu: how often each device is taken away and given back (default: 1)
  --long       svm: the scenarios of more than 200 ms of machine time too, which take minutes each
  --boot-only  svm: only boot the inner kernel and look for its KVM device";

/// What was asked for.
#[derive(Debug, Default)]
struct Request {
    svm: bool,
    qemu: bool,
    control: bool,
    gdb: bool,
    workgate: Option<PathBuf>,
    image: Option<PathBuf>,
    only: Vec<String>,
    rounds: Option<u32>,
    long: bool,
    boot_only: bool,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == login::WORD) {
        return ExitCode::from(leg(login::WORD, login::run()));
    }
    let request = match request(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(message) => {
            eprintln!("lab: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut status = 0;
    if request.svm {
        status = status.max(leg("svm", svm::run(&request)));
    }
    if request.qemu {
        status = status.max(leg("qemu", qemu::run(&request)));
    }
    if request.control {
        status = status.max(leg("control", control::run(&request)));
    }
    if request.gdb {
        status = status.max(leg("gdb", gdb::run(&request)));
    }
    ExitCode::from(status)
}

/// Says how a leg ended and gives its exit status.
fn leg(name: &str, result: Result<(), LabError>) -> u8 {
    match result {
        Ok(()) => {
            println!("lab {name}: held");
            0
        }
        Err(error) => {
            println!("lab {name}: {error}");
            error.exit_status()
        }
    }
}

fn request(mut words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "svm" => request.svm = true,
            "qemu" => request.qemu = true,
            "control" => request.control = true,
            "gdb" => request.gdb = true,
            "all" => {
                (request.svm, request.qemu, request.control, request.gdb) = (true, true, true, true);
            }
            "--workgate" => request.workgate = Some(value()?.into()),
            "--image" => request.image = Some(value()?.into()),
            "--only" => request.only.push(value()?),
            "--rounds" => request.rounds = Some(rounds(&value()?)?),
            "--long" => request.long = true,
            "--boot-only" => request.boot_only = true,
            other => return Err(format!("unknown word `{other}`")),
        }
    }
    if !request.svm && !request.qemu && !request.control && !request.gdb {
        return Err("which leg?".into());
    }
    Ok(request)
}

/// Rounds at the most.
const ROUNDS_MAX: u32 = 100;

fn rounds(word: &str) -> Result<u32, String> {
    let number = word.parse().ok().filter(|number| (1..=ROUNDS_MAX).contains(number));
    number.ok_or_else(|| format!("--rounds takes a number from 1 to {ROUNDS_MAX}, not `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::request;

    fn words(text: &str) -> impl Iterator<Item = String> {
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn requests_are_read() {
        let all = request(words("all --only storm")).expect("a good request");
        assert!(all.svm && all.qemu && all.control && all.gdb && all.only == ["storm"]);
        assert_eq!(request(words("svm --only a --only b")).expect("a good request").only, ["a", "b"]);
        assert_eq!(request(words("")).expect_err("no leg"), "which leg?");
        assert_eq!(request(words("svm --rounds 3")).expect("a good request").rounds, Some(3));
        assert!(request(words("svm --rounds 0")).is_err() && request(words("svm --rounds x")).is_err());
        assert_eq!(request(words("svm --only")).expect_err("no value"), "--only needs a value");
        assert_eq!(request(words("smv")).expect_err("a typo"), "unknown word `smv`");
    }
}
