//! The physical map.

/// 32-bit PCI aperture, first address.
pub const APERTURE_BASE: u64 = 0xc000_0000;
/// Bytes of the 32-bit PCI aperture.
pub const APERTURE_BYTES: u64 = 0x2000_0000;
/// Bytes of it that firmware gives to each slot; slot N begins at N times this.
pub const SLOT_APERTURE_BYTES: u64 = APERTURE_BYTES / 32;
/// ECAM, first address (PCIe Base, 7.2.2); 256 buses.
pub const ECAM_BASE: u64 = 0xe000_0000;
/// Bytes of the ECAM.
pub const ECAM_BYTES: u64 = 0x1000_0000;
/// IO-APIC.
pub const IO_APIC: u64 = 0xfec0_0000;
/// Local APIC, and where message-signalled interrupts go.
pub const LOCAL_APIC: u64 = 0xfee0_0000;
/// 64-bit PCI aperture, first address.
pub const WIDE_APERTURE_BASE: u64 = 0x80_0000_0000;
/// Bytes of the 64-bit PCI aperture: 64 GiB.
pub const WIDE_APERTURE_BYTES: u64 = 64 << 30;
/// Bytes of it that firmware gives to each slot.
pub const SLOT_WIDE_APERTURE_BYTES: u64 = WIDE_APERTURE_BYTES / 32;
/// End of RAM below 4 GiB; RAM above continues at [`HIGH_RAM_BASE`].
pub const LOW_RAM_END: u64 = APERTURE_BASE;
/// RAM above 3 GiB continues here.
pub const HIGH_RAM_BASE: u64 = 1 << 32;
/// Highest slot number; slots count from 1.
pub const MAX_SLOT: u32 = 31;
/// First global system interrupt of the INTx lines.
pub const FIRST_GSI: u32 = 16;
/// Number of INTx lines.
pub const LINES: u32 = 4;

/// The global system interrupt of INTA# of `slot`: the root port and the device behind it share it.
pub const fn gsi(slot: u32) -> u32 {
    FIRST_GSI + slot % LINES
}
