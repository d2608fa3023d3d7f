//! One debugger, from its first byte to its last; and the place where it comes to.

use super::debuggee::Debuggee;
use super::listen::{Client, Gone, Outbox};
use super::points::{Hit, HitKind};
use super::{Gdb, Monitor};
use crate::VmmError;
use crate::hold::Holder;
use crate::machine::{Machine, lock};
use gdbstub::common::{Signal, Tid};
use gdbstub::stub::state_machine::GdbStubStateMachine as Protocol;
use gdbstub::stub::{GdbStub, MultiThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

/// How often what waits for a debugger is offered again.
const OFFER: Duration = Duration::from_millis(5);
/// How often it is offered when the machine has ended.
const FAREWELLS: usize = 40;

type Reason = MultiThreadStopReason<u64>;

/// Lets one debugger at a time come.
pub(crate) struct Server<'a> {
    gdb: Gdb<'a>,
    image: &'a [u8],
    machine: Arc<Machine>,
    cpus: usize,
    epoll: Epoll,
    talk: Option<Talk<'a>>,
}

impl<'a> Server<'a> {
    /// Waits for a debugger of this machine, whose guest is `image`; the machine is held if it is to wait.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn new(gdb: Gdb<'a>, machine: &Arc<Machine>, cpus: usize, image: &'a [u8]) -> Result<Self, VmmError> {
        let failed = |error| VmmError::System { what: "cannot wait for a debugger", error };
        let epoll = Epoll::new().map_err(failed)?;
        let event = EpollEvent::new(EventSet::IN, 0);
        epoll.ctl(ControlOperation::Add, gdb.listener.descriptor(), event).map_err(failed)?;
        if gdb.waits {
            machine.stand(Holder::Debugger);
        }
        Ok(Self { gdb, image, machine: machine.clone(), cpus, epoll, talk: None })
    }

    /// Readable when there is something to do.
    pub fn descriptor(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// How long the event loop may wait at the most.
    pub fn patience(&self, usual: Duration) -> Duration {
        let behind = self.talk.as_ref().is_some_and(|talk| talk.client.is_behind());
        if behind { usual.min(OFFER) } else { usual }
    }

    /// Does what there is to do.
    pub fn look(&mut self) {
        while let Some(client) = self.gdb.listener.accept() {
            // A second one is let go at once.
            if self.talk.is_none() {
                self.welcome(client);
            }
        }
        if self.talk.as_mut().is_some_and(|talk| talk.turn().is_err()) {
            self.let_go();
        }
    }

    fn welcome(&mut self, client: Client) {
        let event = EpollEvent::new(EventSet::IN, 0);
        if self.epoll.ctl(ControlOperation::Add, client.descriptor(), event).is_err() {
            return;
        }
        self.machine.stand(Holder::Debugger);
        self.machine.debug.attach(true);
        self.talk = Talk::new(client, &self.machine, self.cpus, self.image, self.gdb.monitor).ok();
        if self.talk.is_none() {
            self.let_go();
        }
    }

    /// The debugger is gone: the machine goes on as if there had been none.
    fn let_go(&mut self) {
        self.machine.stand_again(Holder::Debugger);
        if let Some(mut talk) = self.talk.take() {
            talk.target.look();
            talk.target.clear_points();
            talk.target.disarm();
        }
        self.machine.debug.attach(false);
        self.machine.go_on(Holder::Debugger);
    }

    /// The machine has ended: the debugger is told, if it still reads.
    pub fn over(mut self) {
        let Some(talk) = &mut self.talk else { return };
        if talk.report(MultiThreadStopReason::Exited(0)).is_err() {
            return;
        }
        for _ in 0..FAREWELLS {
            if talk.flush().is_err() || !talk.client.is_behind() {
                return;
            }
            std::thread::sleep(OFFER);
        }
    }
}

/// A debugger that is here.
struct Talk<'a> {
    client: Client,
    target: Debuggee<'a>,
    /// `None` once it has broken off.
    protocol: Option<Protocol<'static, Debuggee<'a>, Outbox>>,
}

impl<'a> Talk<'a> {
    fn new(
        client: Client,
        machine: &Arc<Machine>,
        cpus: usize,
        image: &'a [u8],
        monitor: Option<&'a dyn Monitor>,
    ) -> Result<Self, Gone> {
        let mut target = Debuggee::new(machine, cpus, image, monitor);
        target.look();
        let protocol = GdbStub::new(Outbox::default()).run_state_machine(&mut target).map_err(|_| Gone)?;
        Ok(Self { client, target, protocol: Some(protocol) })
    }

    /// Tells what has happened, takes what has come, and sends what there is to say.
    fn turn(&mut self) -> Result<(), Gone> {
        self.tell_hits()?;
        for byte in self.client.receive()? {
            self.take(byte)?;
            self.tell_hits()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Gone> {
        let mut bytes = match self.protocol.as_mut().ok_or(Gone)? {
            Protocol::Idle(inner) => std::mem::take(&mut inner.borrow_conn().0),
            Protocol::Running(inner) => std::mem::take(&mut inner.borrow_conn().0),
            Protocol::CtrlCInterrupt(inner) => std::mem::take(&mut inner.borrow_conn().0),
            Protocol::Disconnected(inner) => {
                let bytes = &mut std::mem::take(&mut inner.borrow_conn().0);
                // It has said goodbye; the answer goes out if it can.
                let _ = self.client.send(bytes);
                return Err(Gone);
            }
        };
        self.client.send(&mut bytes)
    }

    fn take(&mut self, byte: u8) -> Result<(), Gone> {
        let target = &mut self.target;
        let next = match self.protocol.take().ok_or(Gone)? {
            Protocol::Idle(inner) => inner.incoming_data(target, byte),
            Protocol::Running(inner) => inner.incoming_data(target, byte),
            other => Ok(other),
        };
        // What is no protocol ends it.
        self.protocol = Some(next.map_err(|_| Gone)?);
        if matches!(self.protocol, Some(Protocol::CtrlCInterrupt(_))) {
            self.interrupt()?;
        }
        Ok(())
    }

    /// The debugger wants the machine to stop, wherever it is.
    fn interrupt(&mut self) -> Result<(), Gone> {
        let Some(Protocol::CtrlCInterrupt(inner)) = self.protocol.take() else { return Err(Gone) };
        let target = &mut self.target;
        target.machine.stand_again(Holder::Debugger);
        target.look();
        let reason = target
            .thread_on(0)
            .map(|tid| MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGINT });
        self.protocol = Some(inner.interrupt_handled(target, reason).map_err(|_| Gone)?);
        Ok(())
    }

    /// A processor has stopped by itself.
    fn tell_hits(&mut self) -> Result<(), Gone> {
        while matches!(self.protocol, Some(Protocol::Running(_))) {
            let Some(hit) = self.target.machine.debug.next_hit() else { break };
            self.target.machine.stand_again(Holder::Debugger);
            self.target.look();
            if let Some(tid) = self.target.thread_on(hit.cpu) {
                let reason = reason(&self.target, hit, tid);
                self.report(reason)?;
            }
        }
        Ok(())
    }

    fn report(&mut self, reason: Reason) -> Result<(), Gone> {
        self.protocol = Some(match self.protocol.take().ok_or(Gone)? {
            Protocol::Running(inner) => inner.report_stop(&mut self.target, reason).map_err(|_| Gone)?,
            other => other,
        });
        Ok(())
    }
}

fn reason(target: &Debuggee<'_>, hit: Hit, tid: Tid) -> Reason {
    match hit.kind {
        HitKind::Software => MultiThreadStopReason::SwBreak(tid),
        HitKind::Step => MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGTRAP },
        HitKind::Hardware(dr6) => match lock(&target.machine.debug.points).watched(dr6) {
            None => MultiThreadStopReason::HwBreak(tid),
            Some(point) => {
                let kind = point.watch.unwrap_or(WatchKind::Write);
                MultiThreadStopReason::Watch { tid, kind, addr: point.address }
            }
        },
    }
}
