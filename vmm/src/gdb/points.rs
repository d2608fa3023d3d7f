//! Break- and watchpoints, and what processors say when they hit one.
//!
//! A software breakpoint is an INT3 in guest memory. KVM tells when a processor comes to it; a KVM that interprets the guest's kernel instead gives up
//! at it (internal error, at that very instruction), which means the same. Hardware points are the four of the debug registers (Intel SDM volume 3, 18.2),
//! the same on each processor.

use crate::machine::{Machine, lock};
use gdbstub::target::ext::breakpoints::WatchKind;
use kvm_bindings::{
    KVM_CAP_SET_GUEST_DEBUG2, KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_INJECT_BP,
    KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_SW_BP, kvm_debug_exit_arch,
    kvm_guest_debug,
};
use kvm_ioctls::{VcpuFd, VmFd};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The instruction.
pub const INT3: u8 = 0xcc;
/// Points that a processor has.
const SLOTS: usize = 4;
/// The debug exception and the breakpoint exception (Intel SDM volume 3, 6.15).
const DEBUG_EXCEPTION: u32 = 1;
const BREAKPOINT_EXCEPTION: u32 = 3;
/// DR6: a single step.
const SINGLE_STEP: u64 = 1 << 14;
/// DR7: bits that are always set, and exact detection.
const DR7_BASE: u64 = 1 << 10 | 1 << 9 | 1 << 8;

/// A hardware point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where.
    pub address: u64,
    /// Bytes: 1, 2, 4 or 8; 1 for execution.
    pub bytes: u64,
    /// What is watched; `None` = execution.
    pub watch: Option<WatchKind>,
}

impl Point {
    /// The two bits for what, and the two for how much (Intel SDM volume 3, 18.2.4).
    const fn bits(&self) -> u64 {
        let what = match self.watch {
            None => 0,
            Some(WatchKind::Write) => 1,
            // Reads alone cannot be watched.
            Some(WatchKind::Read | WatchKind::ReadWrite) => 3,
        };
        let length = match self.bytes {
            2 => 1,
            4 => 3,
            8 => 2,
            _ => 0,
        };
        what | length << 2
    }

    fn fits(&self) -> bool {
        matches!(self.bytes, 1 | 2 | 4 | 8) && self.address.is_multiple_of(self.bytes)
    }
}

/// All points of a machine.
#[derive(Default)]
pub struct Points {
    /// Bytes in whose place an INT3 is, by virtual address.
    pub software: BTreeMap<u64, u8>,
    slots: [Option<Point>; SLOTS],
}

impl Points {
    /// Takes a slot for a hardware point; false if there is none, or it cannot be watched.
    pub fn add(&mut self, point: Point) -> bool {
        let free = self.slots.iter_mut().find(|slot| slot.is_none()).filter(|_| point.fits());
        free.map(|slot| *slot = Some(point)).is_some()
    }

    /// Gives it back; false if there is no such point.
    pub fn remove(&mut self, point: Point) -> bool {
        let taken = self.slots.iter_mut().find(|slot| **slot == Some(point));
        taken.map(|slot| *slot = None).is_some()
    }

    /// What KVM is told; `step`: one instruction, and `alone`: without interrupts in between.
    pub fn control(&self, step: bool, alone: bool) -> kvm_guest_debug {
        let mut debug = kvm_guest_debug { control: KVM_GUESTDBG_ENABLE, ..Default::default() };
        if !self.software.is_empty() {
            debug.control |= KVM_GUESTDBG_USE_SW_BP;
        }
        let mut dr7 = 0;
        for (n, point) in self.slots.iter().enumerate() {
            let Some(point) = point else { continue };
            debug.arch.debugreg[n] = point.address;
            dr7 |= DR7_BASE | 2 << (2 * n) | point.bits() << (16 + 4 * n);
        }
        if dr7 != 0 {
            debug.control |= KVM_GUESTDBG_USE_HW_BP;
            debug.arch.debugreg[7] = dr7;
        }
        if step {
            debug.control |= KVM_GUESTDBG_SINGLESTEP | if alone { KVM_GUESTDBG_BLOCKIRQ } else { 0 };
        }
        debug
    }
}

/// Why a processor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HitKind {
    /// At an INT3 of the debugger's.
    Software,
    /// At a hardware point: DR6's low bits.
    Hardware(u64),
    /// After one instruction.
    Step,
}

/// A processor that stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The processor.
    pub cpu: usize,
    /// Why.
    pub kind: HitKind,
}

/// What processors and debugger have in common.
#[derive(Default)]
pub(crate) struct Debug {
    /// A debugger is there: exits may be about it.
    attached: AtomicBool,
    pub points: Mutex<Points>,
    hits: Mutex<VecDeque<Hit>>,
}

impl Debug {
    /// A debugger has come, or gone.
    pub fn attach(&self, here: bool) {
        self.attached.store(here, Ordering::Release);
        if !here {
            lock(&self.hits).clear();
        }
    }

    /// The next processor that stopped.
    pub fn next_hit(&self) -> Option<Hit> {
        lock(&self.hits).pop_front()
    }

    /// Whether one has stopped.
    pub fn is_hit(&self) -> bool {
        !lock(&self.hits).is_empty()
    }

    /// Forgets those that will stop at the same place again as soon as they run.
    pub fn forget_repeating(&self) {
        let points = lock(&self.points);
        let again = |hit: &Hit| match hit.kind {
            HitKind::Software => true,
            HitKind::Hardware(dr6) => points.watched(dr6).is_none(),
            HitKind::Step => true,
        };
        lock(&self.hits).retain(|hit| !again(hit));
    }
}

impl Points {
    /// The watchpoint that DR6 tells of; `None`: it is about execution.
    pub fn watched(&self, dr6: u64) -> Option<Point> {
        let hit = self.slots.iter().enumerate().filter(|(n, _)| dr6 >> n & 1 != 0);
        hit.filter_map(|(_, point)| *point).find(|point| point.watch.is_some())
    }
}

/// Whether KVM can keep interrupts away from a single step.
pub fn blocks_interrupts(vm: &VmFd) -> bool {
    let flags = vm.check_extension_raw(u64::from(KVM_CAP_SET_GUEST_DEBUG2));
    flags > 0 && flags as u32 & KVM_GUESTDBG_BLOCKIRQ != 0
}

impl Machine {
    /// Processor `cpu` came out of the guest for the debugger's sake: it stands still, and the event loop hears of it.
    pub fn debug_exit(&self, vcpu: &VcpuFd, cpu: usize, exit: &kvm_debug_exit_arch) {
        let kind = match exit.exception {
            BREAKPOINT_EXCEPTION if !self.is_ours(exit.pc) => {
                // The guest's own. Where KVM cannot give it back, the guest does without.
                let mut debug = lock(&self.debug.points).control(false, false);
                debug.control |= KVM_GUESTDBG_INJECT_BP;
                let _ = vcpu.set_guest_debug(&debug);
                return;
            }
            BREAKPOINT_EXCEPTION => HitKind::Software,
            DEBUG_EXCEPTION if self.is_point(exit.dr6) => HitKind::Hardware(exit.dr6 & 15),
            _ => HitKind::Step,
        };
        self.stop_for_debugger(Hit { cpu, kind });
    }

    /// KVM gave up on processor `cpu`: true if that was at an INT3 of the debugger's, so that it is a stop like others.
    pub fn gave_up_at_breakpoint(&self, vcpu: &VcpuFd, cpu: usize) -> bool {
        let ours = self.debug.attached.load(Ordering::Acquire)
            && vcpu.get_regs().is_ok_and(|registers| self.is_ours(registers.rip));
        if ours {
            self.stop_for_debugger(Hit { cpu, kind: HitKind::Software });
        }
        ours
    }

    /// Whether a debug exception is about a hardware point. One instruction may have done what is watched; it may not have come to be executed.
    fn is_point(&self, dr6: u64) -> bool {
        let watched = lock(&self.debug.points).watched(dr6 & 15).is_some();
        watched || dr6 & SINGLE_STEP == 0 && dr6 & 15 != 0
    }

    fn is_ours(&self, address: u64) -> bool {
        lock(&self.debug.points).software.contains_key(&address)
    }

    fn stop_for_debugger(&self, hit: Hit) {
        self.hold.ask();
        self.hold.keep_all();
        // The debugger may have gone since: its last settings hold until the processor hears of that.
        if self.debug.attached.load(Ordering::Acquire) {
            lock(&self.debug.hits).push_back(hit);
        } else if !self.hold.is_held() {
            self.hold.release();
        }
        let _ = self.wake.write(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(address: u64, bytes: u64, watch: Option<WatchKind>) -> Point {
        Point { address, bytes, watch }
    }

    #[test]
    fn four_points_have_room_and_must_be_aligned() {
        let mut points = Points::default();
        assert!(!points.add(point(0x1001, 4, Some(WatchKind::Write))), "not aligned");
        assert!(!points.add(point(0x1000, 3, Some(WatchKind::Write))), "no such length");
        for n in 0..4 {
            assert!(points.add(point(0x1000 + n, 1, None)));
        }
        assert!(!points.add(point(0x2000, 1, None)), "no room");
        assert!(!points.remove(point(0x2000, 1, None)));
        assert!(points.remove(point(0x1002, 1, None)) && points.add(point(0x2000, 1, None)));
    }

    #[test]
    fn debug_registers_say_what_is_watched() {
        let mut points = Points::default();
        assert_eq!(points.control(false, false).control, KVM_GUESTDBG_ENABLE);
        points.add(point(0x1000, 1, None));
        points.add(point(0x2008, 8, Some(WatchKind::Write)));
        points.add(point(0x3004, 4, Some(WatchKind::ReadWrite)));
        points.software.insert(0x4000, 0x55);
        let debug = points.control(true, true);
        let wanted = KVM_GUESTDBG_ENABLE
            | KVM_GUESTDBG_USE_SW_BP
            | KVM_GUESTDBG_USE_HW_BP
            | KVM_GUESTDBG_SINGLESTEP
            | KVM_GUESTDBG_BLOCKIRQ;
        assert_eq!(debug.control, wanted);
        assert_eq!(debug.arch.debugreg[..3], [0x1000, 0x2008, 0x3004]);
        // Global enables 1, 3, 5; slot 0 executes, slot 1 writes 8 bytes, slot 2 reads and writes 4.
        assert_eq!(debug.arch.debugreg[7], DR7_BASE | 0b10_1010 | 0b1001 << 20 | 0b1111 << 24);
        assert_eq!(points.watched(0b010), Some(point(0x2008, 8, Some(WatchKind::Write))));
        assert_eq!(points.watched(0b001), None, "execution");
    }
}
