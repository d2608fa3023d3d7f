//! IO-APICs: interrupt lines (82093AA data sheet, chapter 3).

use guest_kernel::acpi::{IoApic, MAX_IO_APICS};

use super::lock::Masked;
use super::{paging, percpu};

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
/// First redirection entry: two registers each.
const REDIRECTION: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    apic: IoApic,
    inputs: u32,
}

static UNITS: Masked<[Unit; MAX_IO_APICS]> =
    Masked::new([Unit { apic: IoApic { address: 0, gsi_base: 0 }, inputs: 0 }; MAX_IO_APICS]);

/// Takes over the IO-APICs. Inputs keep the state of reset, masked, until they are routed.
pub fn init(apics: &[IoApic]) {
    let mut units = UNITS.lock();
    let reachable = apics.iter().filter(|apic| paging::reach(u64::from(apic.address)));
    for (unit, &apic) in units.iter_mut().zip(reachable) {
        *unit = Unit { apic, inputs: 0 };
        unit.inputs = (unit.read(VERSION) >> 16 & 0xff) + 1;
    }
}

/// Routes the level-triggered, active-low line `gsi` to `vector` on CPU `number`, masked. A line that no IO-APIC has is ignored: it never
/// interrupts.
pub fn route(gsi: u32, vector: u8, number: usize) {
    with_input(gsi, |unit, register| {
        unit.write(register, MASKED | LEVEL | ACTIVE_LOW | u32::from(vector));
        unit.write(register + 1, percpu::apic_id(number) << 24);
    });
}

/// Masks or unmasks the line `gsi`.
pub fn mask(gsi: u32, masked: bool) {
    with_input(gsi, |unit, register| {
        let entry = unit.read(register);
        unit.write(register, if masked { entry | MASKED } else { entry & !MASKED });
    });
}

fn with_input(gsi: u32, f: impl FnOnce(&Unit, u32)) {
    let units = UNITS.lock();
    let has = |unit: &&Unit| gsi.checked_sub(unit.apic.gsi_base).is_some_and(|input| input < unit.inputs);
    if let Some(unit) = units.iter().find(has) {
        f(unit, REDIRECTION + 2 * (gsi - unit.apic.gsi_base));
    }
}

impl Unit {
    fn read(&self, register: u32) -> u32 {
        let base = u64::from(self.apic.address);
        // SAFETY: the IO-APIC's registers, mapped as device memory; the lock around the units keeps select and window together.
        unsafe {
            ((base + SELECT) as *mut u32).write_volatile(register);
            ((base + WINDOW) as *const u32).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        let base = u64::from(self.apic.address);
        // SAFETY: as in `read`.
        unsafe {
            ((base + SELECT) as *mut u32).write_volatile(register);
            ((base + WINDOW) as *mut u32).write_volatile(value);
        }
    }
}
