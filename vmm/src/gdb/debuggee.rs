//! The machine as the protocol sees it: threads, registers, memory, points, and `monitor` lines.

use super::Monitor;
use super::points::{INT3, Point, blocks_interrupts};
use super::registers::{take, tell};
use super::resume::Resume;
use crate::debug::{Seen, cpu};
use crate::machine::{Machine, lock};
use crate::probe::{self, HostKind};
use gdbstub::common::Tid;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{MultiThreadBase, MultiThreadResumeOps};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use gdbstub_arch::x86::X86_64_SSE;
use gdbstub_arch::x86::reg::X86_64CoreRegs;
use inspect::symbols::Names;
use inspect::{Cpu, Paging, Space, Thread};
use std::convert::Infallible;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

/// Software breakpoints at the most.
const MAX_SOFTWARE: usize = 4096;

/// The lines that are always known.
const HELP: &str =
    "help -- this list\nshowallstacks -- every kernel thread with its stack, and who has which gate\n";

/// A machine that a debugger looks at. What is known of its threads is from when it last stopped.
pub struct Debuggee<'a> {
    pub machine: Arc<Machine>,
    pub count: usize,
    pub cpus: Vec<Cpu>,
    pub threads: Vec<Thread>,
    pub resume: Resume,
    /// Watchpoints work here: a KVM that interprets the guest's kernel looks at points of execution only.
    watches: bool,
    /// Single steps are without interrupts.
    pub blocks_interrupts: bool,
    image: &'a [u8],
    monitor: Option<&'a dyn Monitor>,
}

impl<'a> Debuggee<'a> {
    pub fn new(
        machine: &Arc<Machine>,
        count: usize,
        image: &'a [u8],
        monitor: Option<&'a dyn Monitor>,
    ) -> Self {
        Self {
            machine: machine.clone(),
            count,
            cpus: Vec::new(),
            threads: Vec::new(),
            resume: Resume::default(),
            watches: probe::quick().is_ok_and(|host| host.kind != HostKind::Emulating),
            blocks_interrupts: blocks_interrupts(&machine.vm),
            image,
            monitor,
        }
    }

    /// The machine stands still: what its processors and threads are now.
    pub fn look(&mut self) {
        let machine = &self.machine;
        let read = |number| machine.hold.call(machine, number, move |vcpu| cpu(vcpu, number)).flatten();
        self.cpus = (0..self.count).filter_map(read).collect();
        self.threads = inspect::threads(&Seen(&machine.memory.mmap), machine.origin.root, &self.cpus);
        for thread in &mut self.threads {
            // While user code runs, the processor's registers are those that can be stepped and changed.
            let of_cpu = |cpu: &&Cpu| thread.user && Some(cpu.number) == thread.cpu;
            if let Some(cpu) = self.cpus.iter().find(of_cpu) {
                thread.registers = Some(cpu.registers);
            }
        }
    }

    /// The number of the thread that processor `cpu` runs.
    pub fn thread_on(&self, cpu: usize) -> Option<Tid> {
        let on = self.threads.iter().find(|thread| thread.cpu == Some(cpu));
        on.or(self.threads.first()).and_then(|thread| Tid::new(thread.id as usize))
    }

    pub fn thread(&self, tid: Tid) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.id as usize == tid.get())
    }

    fn paging(&self, tid: Tid) -> Paging {
        let number = self.thread(tid).and_then(|thread| thread.cpu);
        let cpu = self.cpus.iter().find(|cpu| Some(cpu.number) == number).or(self.cpus.first());
        cpu.map(|cpu| cpu.paging).unwrap_or_default()
    }

    /// Reads memory, with the instructions that breakpoints stand in for.
    fn read(&self, paging: Paging, address: u64, into: &mut [u8]) -> usize {
        let memory = Seen(&self.machine.memory.mmap);
        let done = Space::new(&memory, paging).read(address, into);
        let end = address.saturating_add(done as u64);
        for (at, byte) in lock(&self.machine.debug.points).software.range(address..end) {
            into[(at - address) as usize] = *byte;
        }
        done
    }

    /// Writes memory, whatever the tables say about that; breakpoints stay.
    fn write(&self, paging: Paging, address: u64, from: &[u8]) -> usize {
        let mut bytes = from.to_vec();
        let end = address.saturating_add(from.len() as u64);
        for (at, byte) in lock(&self.machine.debug.points).software.range_mut(address..end) {
            *byte = std::mem::replace(&mut bytes[(at - address) as usize], INT3);
        }
        self.put(paging, address, &bytes)
    }

    fn put(&self, paging: Paging, address: u64, bytes: &[u8]) -> usize {
        let mmap = &self.machine.memory.mmap;
        let memory = Seen(mmap);
        Space::new(&memory, paging).pieces(address, bytes.len(), |physical, range| {
            mmap.write_slice(&bytes[range], GuestAddress(physical)).is_ok()
        })
    }

    fn any_paging(&self) -> Paging {
        self.cpus.first().map(|cpu| cpu.paging).unwrap_or_default()
    }

    /// Takes all points out.
    pub fn clear_points(&mut self) {
        let software = std::mem::take(&mut lock(&self.machine.debug.points).software);
        for (address, byte) in software {
            self.put(self.any_paging(), address, &[byte]);
        }
        *lock(&self.machine.debug.points) = Default::default();
    }

    fn stacks(&self) -> String {
        let machine = &self.machine;
        let memory = Seen(&machine.memory.mmap);
        let names = Names::new(self.image).unwrap_or_default();
        inspect::stacks::render_threads(&self.threads, &Space::new(&memory, self.any_paging()), &names)
    }
}

impl Target for Debuggee<'_> {
    type Arch = X86_64_SSE;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for Debuggee<'_> {
    fn read_registers(&mut self, regs: &mut X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        let thread = self.thread(tid).ok_or(TargetError::NonFatal)?;
        let registers = thread.registers.ok_or(TargetError::NonFatal)?;
        let machine = &self.machine;
        let float = thread.cpu.and_then(|cpu| machine.hold.call(machine, cpu, |vcpu| vcpu.get_fpu().ok())?);
        tell(&registers, float.as_ref(), regs);
        Ok(())
    }

    /// Only of a thread that a processor runs.
    fn write_registers(&mut self, regs: &X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.thread(tid).and_then(|thread| thread.cpu).ok_or(TargetError::NonFatal)?;
        let regs = regs.clone();
        let machine = &self.machine;
        let written = machine.hold.call(machine, cpu, move |vcpu| {
            let mut now = vcpu.get_regs().ok()?;
            take(&regs, &mut now);
            vcpu.set_regs(&now).ok()
        });
        self.look();
        written.flatten().ok_or(TargetError::NonFatal)
    }

    fn read_addrs(&mut self, address: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        match self.read(self.paging(tid), address, data) {
            0 if !data.is_empty() => Err(TargetError::NonFatal),
            done => Ok(done),
        }
    }

    fn write_addrs(&mut self, address: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        match self.write(self.paging(tid), address, data) == data.len() {
            true => Ok(()),
            false => Err(TargetError::NonFatal),
        }
    }

    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        self.threads.iter().filter_map(|thread| Tid::new(thread.id as usize)).for_each(active);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for Debuggee<'_> {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Infallible> {
        let text = self.thread(tid).map(inspect::stacks::summary).unwrap_or_default();
        let length = text.len().min(buf.len());
        buf[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(length)
    }
}

impl Breakpoints for Debuggee<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Debuggee<'_> {
    fn add_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        let paging = self.any_paging();
        let known =
            |points: &super::points::Points| (points.software.contains_key(&address), points.software.len());
        let (here, count) = known(&lock(&self.machine.debug.points));
        if here {
            return Ok(true);
        }
        let mut byte = [0];
        let room = count < MAX_SOFTWARE && self.read(paging, address, &mut byte) == 1;
        if !room || self.put(paging, address, &[INT3]) != 1 {
            return Ok(false);
        }
        lock(&self.machine.debug.points).software.insert(address, byte[0]);
        Ok(true)
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        let Some(byte) = lock(&self.machine.debug.points).software.remove(&address) else { return Ok(false) };
        Ok(self.put(self.any_paging(), address, &[byte]) == 1)
    }
}

impl HwBreakpoint for Debuggee<'_> {
    fn add_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(lock(&self.machine.debug.points).add(Point { address, bytes: 1, watch: None }))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(lock(&self.machine.debug.points).remove(Point { address, bytes: 1, watch: None }))
    }
}

impl HwWatchpoint for Debuggee<'_> {
    fn add_hw_watchpoint(&mut self, address: u64, bytes: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        let point = Point { address, bytes, watch: Some(kind) };
        Ok(self.watches && lock(&self.machine.debug.points).add(point))
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        bytes: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(lock(&self.machine.debug.points).remove(Point { address, bytes, watch: Some(kind) }))
    }
}

impl MonitorCmd for Debuggee<'_> {
    fn handle_monitor_cmd(&mut self, cmd: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Infallible> {
        let line = String::from_utf8_lossy(cmd);
        let line = line.trim();
        let text = match line {
            "help" | "" => format!("{HELP}{}", self.monitor.map_or("", Monitor::help)),
            "showallstacks" => self.stacks(),
            other => match self.monitor.and_then(|monitor| monitor.answer(other)) {
                Some(text) => text,
                None => {
                    format!("nothing is known of `{}`; `monitor help` lists what is\n", other.escape_debug())
                }
            },
        };
        out.write_raw(text.as_bytes());
        Ok(())
    }
}
