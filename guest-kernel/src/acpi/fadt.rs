//! Power management registers: the FADT (ACPI 6.5, 5.2.9).

use super::{sleep::soft_off_type, unchecked_table};
use crate::physical::{Physical, u32_at, u64_at};

/// SLP_EN of PM1 control (ACPI 6.5, 4.8.3.2.1).
const PM1_SLEEP_ENABLE: u16 = 1 << 13;
/// SLP_EN of the sleep control register (4.8.3.7).
const SLEEP_CONTROL_ENABLE: u8 = 1 << 5;
/// Fixed feature flag HW_REDUCED_ACPI (5.2.9, table 5.10).
const FLAG_HW_REDUCED: u32 = 1 << 20;
/// Address spaces of a generic address (5.2.3.2).
const SPACE_MEMORY: u8 = 0;
const SPACE_IO: u8 = 1;

/// The ACPI timer: 3.579545 MHz (4.8.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// Its I/O port.
    pub port: u16,
}

/// The one write that turns the machine off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// To PM1a control, an I/O port.
    Pm1 {
        /// The port.
        port: u16,
        /// The value: sleep type and enable.
        value: u16,
    },
    /// To the sleep control register, an I/O port.
    SleepPort {
        /// The port.
        port: u16,
        /// The value: sleep type and enable.
        value: u8,
    },
    /// To the sleep control register in memory.
    SleepMemory {
        /// Its physical address.
        address: u64,
        /// The value: sleep type and enable.
        value: u8,
    },
}

/// What the FADT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fadt {
    dsdt: u64,
    flags: u32,
    pm1a_control: u16,
    pm_timer: u16,
    sleep_space: u8,
    sleep_control: u64,
}

impl Fadt {
    /// Reads a table whose checksum holds; fields that an old, short table lacks read as zero.
    pub fn parse(table: &[u8]) -> Self {
        let x_dsdt = u64_at(table, 140);
        Self {
            dsdt: if x_dsdt != 0 { x_dsdt } else { u64::from(u32_at(table, 40)) },
            flags: u32_at(table, 112),
            pm1a_control: u16::try_from(u32_at(table, 64)).unwrap_or(0),
            pm_timer: u16::try_from(u32_at(table, 76)).unwrap_or(0),
            sleep_space: table.get(244).copied().unwrap_or(0),
            sleep_control: u64_at(table, 248),
        }
    }

    /// The ACPI timer, if there is one.
    pub fn pm_timer(&self) -> Option<PmTimer> {
        (self.flags & FLAG_HW_REDUCED == 0 && self.pm_timer != 0).then_some(PmTimer { port: self.pm_timer })
    }

    /// How to turn the machine off; reads the sleep type from the DSDT.
    pub fn power_off(&self, physical: &impl Physical) -> Option<PowerOff> {
        let kind = soft_off_type(unchecked_table(physical, self.dsdt, *b"DSDT")?)?;
        if self.flags & FLAG_HW_REDUCED == 0 {
            let value = u16::from(kind) << 10 | PM1_SLEEP_ENABLE;
            return (self.pm1a_control != 0).then_some(PowerOff::Pm1 { port: self.pm1a_control, value });
        }
        let value = kind << 2 | SLEEP_CONTROL_ENABLE;
        match (self.sleep_space, self.sleep_control) {
            (_, 0) => None,
            (SPACE_MEMORY, address) => Some(PowerOff::SleepMemory { address, value }),
            (SPACE_IO, port) => Some(PowerOff::SleepPort { port: u16::try_from(port).ok()?, value }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::make_table;
    use super::*;
    use crate::physical::tests::Memory;
    use alloc::vec;
    use alloc::vec::Vec;

    fn fadt(flags: u32) -> Vec<u8> {
        let mut body = vec![0; 276 - 36];
        let mut put = |at: usize, data: &[u8]| body[at - 36..at - 36 + data.len()].copy_from_slice(data);
        put(40, &0x1000u32.to_le_bytes());
        put(64, &0x604u32.to_le_bytes());
        put(76, &0x608u32.to_le_bytes());
        put(112, &flags.to_le_bytes());
        put(248, &0xfea0_0000u64.to_le_bytes());
        make_table(b"FACP", &body)
    }

    fn dsdt() -> Memory {
        let mut memory = Memory::new(0x1000, 0x100);
        memory.put(0x1000, &make_table(b"DSDT", b"\x08_S5_\x12\x06\x04\x0a\x05\x00\x00\x00"));
        memory
    }

    #[test]
    fn power_goes_off_through_pm1_or_sleep_control() {
        let memory = dsdt();
        let classic = Fadt::parse(&fadt(0));
        assert_eq!(classic.power_off(&memory), Some(PowerOff::Pm1 { port: 0x604, value: 0x3400 }));
        assert_eq!(classic.pm_timer(), Some(PmTimer { port: 0x608 }));
        let reduced = Fadt::parse(&fadt(FLAG_HW_REDUCED));
        assert_eq!(reduced.pm_timer(), None);
        let expected = PowerOff::SleepMemory { address: 0xfea0_0000, value: 0x34 };
        assert_eq!(reduced.power_off(&memory), Some(expected));
    }

    #[test]
    fn a_short_or_lost_table_gives_nothing() {
        assert_eq!(Fadt::parse(&[]), Fadt::default());
        assert_eq!(Fadt::parse(&fadt(0)).power_off(&Memory::new(0, 0x100)), None);
    }
}
