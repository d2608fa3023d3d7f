//! PCI configuration space and device registers.

use core::arch::asm;

use guest_kernel::acpi::Ecam;
use mach::seam::{Bdf, Width};

use super::cpu::{inb, inl, inw, outb, outl, outw};
use super::lock::Masked;
use super::paging;

const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// How configuration space is reached.
#[derive(Clone, Copy, Debug)]
pub enum ConfigSpace {
    /// Through memory (PCI Express 7.2.2).
    Ecam(Ecam),
    /// Through the ports 0xCF8 and 0xCFC (PCI 3.0, 3.2.2.3.2): 256 bytes a function.
    Ports,
}

/// Keeps address and data port together.
static PORTS: Masked<()> = Masked::new(());

impl ConfigSpace {
    /// The window of the MCFG, if there is one and it can be reached.
    pub fn new(ecam: Option<Ecam>) -> Self {
        ecam.map_or(Self::Ports, Self::Ecam)
    }

    /// Reads; all ones where nothing answers.
    pub fn read(&self, function: Bdf, offset: u16, width: Width) -> u32 {
        let absent = (u64::MAX >> (64 - 8 * width as u32)) as u32;
        match self {
            Self::Ecam(ecam) => match address(ecam, function, offset) {
                Some(address) => reg_read(address, width) as u32,
                None => absent,
            },
            Self::Ports if offset < 256 => {
                let _guard = PORTS.lock();
                let data = select(function, offset);
                // SAFETY: the configuration ports; the caller knows what reading that register does.
                unsafe {
                    match width {
                        Width::B1 => u32::from(inb(data)),
                        Width::B2 => u32::from(inw(data)),
                        Width::B4 | Width::B8 => inl(data),
                    }
                }
            }
            Self::Ports => absent,
        }
    }

    /// Writes; lost where nothing answers.
    pub fn write(&self, function: Bdf, offset: u16, width: Width, value: u32) {
        match self {
            Self::Ecam(ecam) => {
                if let Some(address) = address(ecam, function, offset) {
                    reg_write(address, width, u64::from(value));
                }
            }
            Self::Ports if offset < 256 => {
                let _guard = PORTS.lock();
                let data = select(function, offset);
                // SAFETY: as in `read`.
                unsafe {
                    match width {
                        Width::B1 => outb(data, value as u8),
                        Width::B2 => outw(data, value as u16),
                        Width::B4 | Width::B8 => outl(data, value),
                    }
                }
            }
            Self::Ports => {}
        }
    }
}

fn address(ecam: &Ecam, function: Bdf, offset: u16) -> Option<u64> {
    let at = u64::from(function.bus) << 20
        | u64::from(function.device & 31) << 15
        | u64::from(function.function & 7) << 12
        | u64::from(offset & 0xfff);
    (ecam.first_bus <= function.bus && function.bus <= ecam.last_bus).then_some(ecam.base + at)
}

fn select(function: Bdf, offset: u16) -> u16 {
    let address = ENABLE
        | u32::from(function.bus) << 16
        | u32::from(function.device & 31) << 11
        | u32::from(function.function & 7) << 8
        | u32::from(offset & 0xfc);
    // SAFETY: the address port only selects.
    unsafe { outl(ADDRESS_PORT, address) };
    DATA_PORT + (offset & 3)
}

/// Reads a device register; all ones where nothing can answer. One plain move, whatever the compiler does around it.
pub fn reg_read(address: u64, width: Width) -> u64 {
    if !paging::reach(address) {
        return u64::MAX >> (64 - 8 * width as u32);
    }
    let value: u64;
    // SAFETY: the address is mapped one to one. It is a register that the caller, the kernel's PCI layer, was given by a BAR, and is
    // not memory that Rust knows about.
    unsafe {
        match width {
            Width::B1 => asm!("movzx {:e}, byte ptr [{}]", out(reg) value, in(reg) address, options(nostack)),
            Width::B2 => asm!("movzx {:e}, word ptr [{}]", out(reg) value, in(reg) address, options(nostack)),
            Width::B4 => asm!("mov {:e}, [{}]", out(reg) value, in(reg) address, options(nostack)),
            Width::B8 => asm!("mov {}, [{}]", out(reg) value, in(reg) address, options(nostack)),
        }
    }
    value
}

/// Writes a device register; lost where nothing can answer.
pub fn reg_write(address: u64, width: Width, value: u64) {
    if !paging::reach(address) {
        return;
    }
    // SAFETY: as in `reg_read`.
    unsafe {
        match width {
            Width::B1 => {
                asm!("mov [{}], {}", in(reg) address, in(reg_byte) value as u8, options(nostack, preserves_flags))
            }
            Width::B2 => {
                asm!("mov [{}], {:x}", in(reg) address, in(reg) value as u16, options(nostack, preserves_flags))
            }
            Width::B4 => {
                asm!("mov [{}], {:e}", in(reg) address, in(reg) value as u32, options(nostack, preserves_flags))
            }
            Width::B8 => {
                asm!("mov [{}], {}", in(reg) address, in(reg) value, options(nostack, preserves_flags))
            }
        }
    }
}
