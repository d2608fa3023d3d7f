//! One thread a processor, and the way to get it out of the guest.

use crate::VmmError;
use crate::ending::{CpuReport, Ending};
use crate::machine::Machine;
use crate::processor;
use kvm_ioctls::VcpuFd;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

/// How long a processor gets to leave the guest before it is called again.
const CALL: Duration = Duration::from_millis(2);

/// Interrupts KVM_RUN; there is nothing for it to do.
extern "C" fn leave_guest(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

/// How long to wait for a processor's thread to begin, at once.
const BEGINNING: Duration = Duration::from_micros(50);

/// What a processor leaves behind: its state at the end, and itself.
pub type Left = (CpuReport, VcpuFd);

/// The running processors.
pub struct Processors {
    machine: Arc<Machine>,
    threads: Vec<JoinHandle<Left>>,
    left: Receiver<()>,
}

impl Processors {
    /// Starts all processors.
    ///
    /// # Errors
    /// The system refuses a thread or the signal handler.
    pub fn start(machine: &Arc<Machine>, cpus: Vec<VcpuFd>) -> Result<Self, VmmError> {
        register_signal_handler(SIGRTMIN(), leave_guest)
            .map_err(VmmError::system("cannot register the signal that stops processors"))?;
        let (out, left) = channel();
        let mut processors = Self { machine: machine.clone(), threads: Vec::new(), left };
        for (number, vcpu) in cpus.into_iter().enumerate() {
            let thread = spawn(machine.clone(), vcpu, number, out.clone())
                .map_err(|error| VmmError::System { what: "cannot start a processor's thread", error })?;
            processors.threads.push(thread);
        }
        // Who wants something of a processor's thread finds it.
        while processors.waits_for_a_beginning() {
            std::thread::sleep(BEGINNING);
        }
        Ok(processors)
    }

    fn waits_for_a_beginning(&self) -> bool {
        let begun = |(number, thread): (usize, &JoinHandle<Left>)| {
            thread.is_finished() || self.machine.faults.is_running(number)
        };
        !self.threads.iter().enumerate().all(begun)
    }

    /// Ends the machine if it has not ended yet, and gets every processor out of the guest; their states then.
    ///
    /// A signal that arrives between a thread's look at the flag and its entry into the guest is lost; so it is sent again
    /// until the thread has left.
    pub fn stop(&mut self) -> Vec<Left> {
        self.machine.end(Ending::Stopped);
        let mut inside = self.threads.len();
        while inside > 0 {
            for thread in self.threads.iter().filter(|thread| !thread.is_finished()) {
                let _ = thread.kill(SIGRTMIN());
            }
            while self.left.recv_timeout(CALL).is_ok() {
                inside -= 1;
                if inside == 0 {
                    break;
                }
            }
            inside = inside.min(self.threads.iter().filter(|thread| !thread.is_finished()).count());
        }
        self.threads.drain(..).filter_map(|thread| thread.join().ok()).collect()
    }
}

impl Drop for Processors {
    /// No processor outlives the machine, even if the run is left by an error.
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends the machine if its thread is left by a panic: the others would wait for it forever.
struct EndOnPanic(Arc<Machine>, usize);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let exit = "the machine itself failed in this processor's thread".to_owned();
            self.0.end(Ending::Unknown { cpu: self.1, exit });
        }
    }
}

thread_local! {
    /// The processor that this thread runs.
    static CPU: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The processor whose exit this thread serves; `None` on other threads.
pub fn current_cpu() -> Option<u32> {
    CPU.get()
}

/// A thread is known as its processor's, for as long as this lives.
struct Seat<'a>(&'a Machine, usize);

impl<'a> Seat<'a> {
    fn take(machine: &'a Machine, number: usize) -> Self {
        CPU.set(u32::try_from(number).ok());
        machine.faults.enter(number);
        Self(machine, number)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.faults.leave(self.1);
        self.0.hold.look_again();
    }
}

fn spawn(
    machine: Arc<Machine>,
    mut vcpu: VcpuFd,
    number: usize,
    out: Sender<()>,
) -> std::io::Result<JoinHandle<Left>> {
    std::thread::Builder::new().name(format!("cpu{number}")).stack_size(256 << 10).spawn(move || {
        let _guard = EndOnPanic(machine.clone(), number);
        let _seat = Seat::take(&machine, number);
        let report = processor::run(&machine, &mut vcpu, number);
        // Nobody listens only if the machine is being torn down already.
        let _ = out.send(());
        (report, vcpu)
    })
}
