//! INTx: four level lines, each the OR of everybody who drives it.

use super::host::Host;
use super::layout;

/// Who drives a line in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The root port.
    Port = 0,
    /// The device behind it.
    Device = 1,
    /// A storm of the fault plane.
    Storm = 2,
    /// A line that is stuck by the fault plane.
    Stuck = 3,
}

/// How many drivers a slot has.
const DRIVERS: u32 = 4;

/// The lines: one bit for each driver.
#[derive(Default)]
pub struct Lines {
    drivers: [u128; layout::LINES as usize],
}

impl Lines {
    /// `driver` in `slot` drives its line to `level`; the host hears of changes of the OR.
    pub fn set(&mut self, slot: u32, driver: Driver, level: bool, host: &mut dyn Host) {
        let line = &mut self.drivers[(slot % layout::LINES) as usize];
        let bit = 1u128 << (slot * DRIVERS + driver as u32);
        let before = *line != 0;
        *line = if level { *line | bit } else { *line & !bit };
        let after = *line != 0;
        if before != after {
            host.line(layout::gsi(slot), after);
        }
    }
}
