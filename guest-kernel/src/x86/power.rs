//! Turning the machine off.

use core::sync::atomic::{AtomicBool, Ordering};

use guest_kernel::acpi::{Fadt, PowerOff};

use mach::seam::Width;

use super::cpu::{halt_forever, outb, outw};
use super::lock::Masked;
use super::memory::LowMemory;
use super::pci::reg_write;

/// QEMU's isa-debug-exit, if the machine was given one.
const DEBUG_EXIT: u16 = 0x501;
/// PM1a control of QEMU's q35 and pc, if no table tells.
const USUAL_PM1A: u16 = 0x604;
/// Sleep type 0 and enable: soft-off there.
const USUAL_SOFT_OFF: u16 = 0x2000;

static FADT: Masked<Option<Fadt>> = Masked::new(None);
static FAILED: AtomicBool = AtomicBool::new(false);

/// Remembers the table.
pub fn init(fadt: Option<Fadt>) {
    *FADT.lock() = fadt;
}

/// The run has failed: where the machine has an exit status, it will say so.
pub fn set_failed() {
    FAILED.store(true, Ordering::Relaxed);
}

/// Turns the machine off; halts if nothing does.
pub fn off() -> ! {
    let way = FADT.lock_for(1000).and_then(|fadt| fadt.as_ref()?.power_off(&LowMemory));
    if FAILED.load(Ordering::Relaxed) {
        // SAFETY: a port that only isa-debug-exit has; it ends the emulator with status 2 * 1 + 1.
        unsafe { outb(DEBUG_EXIT, 1) };
    }
    // SAFETY: the registers that firmware names for this purpose, or the usual one; then the emulator's own exit, with status 1.
    unsafe {
        match way {
            Some(PowerOff::Pm1 { port, value }) => outw(port, value),
            Some(PowerOff::SleepPort { port, value }) => outb(port, value),
            Some(PowerOff::SleepMemory { address, value }) => reg_write(address, Width::B1, u64::from(value)),
            None => outw(USUAL_PM1A, USUAL_SOFT_OFF),
        }
        outb(DEBUG_EXIT, 0);
    }
    halt_forever()
}
