//! What an exit of a processor leads to: ports, registers, power.

use crate::acpi::{PM1_CONTROL, PM1_ENABLE, PM1_EVENT, RESET, RESET_VALUE, SOFT_OFF};
use crate::ending::Ending;
use crate::machine::{Machine, lock};
use crate::serial;
use crate::threads;
use std::sync::atomic::Ordering;

/// First port of the serial line.
const SERIAL: u16 = 0x3f8;
/// The bench's doorbell.
pub const BENCH_PORT: u16 = 0x520;
/// QEMU's isa-debug-exit, by which a guest without a bench says that it has failed before it powers off. The machine goes on.
const FAILED: u16 = 0x501;
/// The keyboard controller's command port; 0xFE pulses the reset line.
const KEYBOARD: u16 = 0x64;
/// SLP_EN of PM1 control (ACPI 6.5, 4.8.3.2.1).
const SLEEP_ENABLE: u16 = 1 << 13;
/// SCI_EN of PM1 control: ACPI mode is on.
const SCI_ENABLE: u16 = 1;

impl Machine {
    /// The guest writes a port.
    pub fn port_write(&self, port: u16, data: &[u8]) {
        match port {
            BENCH_PORT => {
                self.drain();
                self.trace.wait_for_room();
            }
            0x3f8..0x400 => {
                let mut serial = lock(&self.serial);
                for &byte in data {
                    // The far end keeps the bytes in memory and cannot fail.
                    let _ = serial.write((port - SERIAL) as u8, byte);
                }
                drop(serial);
                self.exits.fetch_add(1, Ordering::Relaxed);
            }
            FAILED if data.first().is_some_and(|&status| status != 0) => {
                self.panicked_on(threads::current_cpu())
            }
            PM1_ENABLE => self.pm1_enable.store(word(data), Ordering::Relaxed),
            PM1_CONTROL => self.power_control(data),
            RESET if data.len() == 1 && data[0] & RESET_VALUE == RESET_VALUE => self.end(Ending::Reset),
            KEYBOARD if data.first() == Some(&0xfe) => self.end(Ending::Reset),
            0xcf8..0xd00 => {
                self.touched.store(true, Ordering::Relaxed);
                self.with_platform(|platform, host| platform.pio_write(port, data, host));
            }
            _ => {}
        }
    }

    fn power_control(&self, data: &[u8]) {
        let value = word(data);
        if value & SLEEP_ENABLE != 0 && (value >> 10 & 7) as u8 == SOFT_OFF {
            self.end(Ending::PowerOff);
        }
    }

    /// The guest reads a port. All ones where nothing answers.
    pub fn port_read(&self, port: u16, data: &mut [u8]) {
        data.fill(0xff);
        match port {
            0x3f8..0x400 => {
                let mut line = lock(&self.serial);
                data.iter_mut().for_each(|byte| *byte = serial::read(&mut line, (port - SERIAL) as u8));
            }
            PM1_CONTROL => fill(data, u64::from(SCI_ENABLE)),
            // No event ever happens: the status half is zero.
            PM1_EVENT..PM1_CONTROL => {
                let registers = u64::from(self.pm1_enable.load(Ordering::Relaxed)) << 16;
                fill(data, registers >> (8 * (port - PM1_EVENT)));
            }
            0x60..0x65 => data.fill(0),
            0xcf8..0xd00 => {
                self.touched.store(true, Ordering::Relaxed);
                self.with_platform(|platform, host| platform.pio_read(port, data, host));
            }
            _ => {}
        }
    }

    /// The guest writes where no RAM is.
    pub fn memory_write(&self, address: u64, data: &[u8]) {
        self.touched.store(true, Ordering::Relaxed);
        self.with_platform(|platform, host| platform.mmio_write(address, data, host));
    }

    /// The guest reads where no RAM is.
    pub fn memory_read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        self.touched.store(true, Ordering::Relaxed);
        self.with_platform(|platform, host| platform.mmio_read(address, data, host));
    }
}

/// The first two bytes.
fn word(data: &[u8]) -> u16 {
    data.iter().take(2).rev().fold(0, |value, &byte| value << 8 | u16::from(byte))
}

fn fill(data: &mut [u8], value: u64) {
    for (n, byte) in data.iter_mut().enumerate() {
        *byte = value.to_le_bytes().get(n).copied().unwrap_or(0);
    }
}
