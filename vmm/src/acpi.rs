//! ACPI tables: RSDP, XSDT, FADT, MADT, MCFG, DSDT (ACPI 6.5, chapter 5).

use crate::memory::{ACPI, FIRMWARE_END, Memory};
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, Arg, Device, EISAName, IO, Method, Name, Package, PackageBuilder,
    Path, ResourceTemplate, Return, Scope,
};
use acpi_tables::fadt::FADTBuilder;
use acpi_tables::gas::{AccessSize, AddressSpace as GasSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::mcfg::MCFG;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, AmlSink, aml};
use devices::platform::layout;
use vm_memory::{Bytes, GuestAddress};

const OEM: [u8; 6] = *b"WRKGTE";
const TABLE: [u8; 8] = *b"WORKGATE";
/// PM1a event block: status and enable registers.
pub const PM1_EVENT: u16 = 0x600;
/// The enable register, behind the status register.
pub const PM1_ENABLE: u16 = PM1_EVENT + 2;
/// PM1a control register: a write of sleep type 5 with SLP_EN powers off.
pub const PM1_CONTROL: u16 = 0x604;
/// The reset register.
pub const RESET: u16 = 0xcf9;
/// The value that resets.
pub const RESET_VALUE: u8 = 0x06;
/// Sleep type of S5.
pub const SOFT_OFF: u8 = 5;
/// System control interrupt.
const SCI: u16 = 9;

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// Writes all tables into guest memory; the address of the RSDP. `None`: they do not fit (a table grew beyond the firmware's area).
pub fn write(memory: &Memory, cpus: usize) -> Option<u64> {
    let mut at = ACPI + 64;
    let mut put = |table: Vec<u8>| {
        let address = at;
        at = (at + table.len() as u64).next_multiple_of(64);
        (at <= FIRMWARE_END).then_some(())?;
        memory.mmap.write_slice(&table, GuestAddress(address)).ok()?;
        Some(address)
    };
    let dsdt = put(dsdt())?;
    let mut xsdt = XSDT::new(OEM, TABLE, 1);
    for table in [fadt(dsdt), madt(cpus), mcfg()] {
        xsdt.add_entry(put(table)?);
    }
    let xsdt = put(bytes(&xsdt))?;
    memory.mmap.write_slice(&bytes(&Rsdp::new(OEM, xsdt)), GuestAddress(ACPI)).ok()?;
    Some(ACPI)
}

fn io_register(port: u16, bits: u8, access: AccessSize) -> GAS {
    GAS::new(GasSpace::SystemIo, bits, 0, access, u64::from(port))
}

fn fadt(dsdt: u64) -> Vec<u8> {
    let mut fadt = FADTBuilder::new(OEM, TABLE, 1).dsdt_32(dsdt as u32).dsdt_64(dsdt);
    fadt.sci_int = SCI.into();
    fadt.pm1a_evt_blk = u32::from(PM1_EVENT).into();
    fadt.pm1_evt_len = 4;
    fadt.pm1a_cnt_blk = u32::from(PM1_CONTROL).into();
    fadt.pm1_cnt_len = 2;
    fadt.x_pm1a_evt_blk = io_register(PM1_EVENT, 32, AccessSize::DwordAccess);
    fadt.x_pm1a_cnt_blk = io_register(PM1_CONTROL, 16, AccessSize::WordAccess);
    fadt.reset_reg = io_register(RESET, 8, AccessSize::ByteAccess);
    fadt.reset_value = RESET_VALUE;
    // WBINVD works, no fixed power or sleep button, the reset register is there (table 5.10).
    fadt.flags = (1u32 | 1 << 4 | 1 << 5 | 1 << 10).into();
    // Legacy devices are there; no keyboard controller beyond its reset, no VGA, no CMOS clock (table 5.11).
    fadt.iapc_boot_arch = (1u16 | 1 << 2 | 1 << 5).into();
    bytes(&fadt.finalize())
}

fn madt(cpus: usize) -> Vec<u8> {
    let mut madt = MADT::new(OEM, TABLE, 1, LocalInterruptController::Address(layout::LOCAL_APIC as u32));
    for cpu in 0..cpus as u8 {
        madt.add_structure(ProcessorLocalApic::new(cpu, cpu, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(cpus as u8, layout::IO_APIC as u32, 0));
    bytes(&madt)
}

fn mcfg() -> Vec<u8> {
    let mut mcfg = MCFG::new(OEM, TABLE, 1);
    mcfg.add_ecam(layout::ECAM_BASE, 0, 0, 255);
    bytes(&mcfg)
}

/// The host bridge with its windows, interrupt routing and hot plug; S5.
fn dsdt() -> Vec<u8> {
    let mut body = Vec::new();
    host_bridge(&mut body);
    let off = Package::new(vec![&SOFT_OFF, &SOFT_OFF, &aml::ZERO, &aml::ZERO]);
    Name::new(Path::new("_S5_"), &off).to_aml_bytes(&mut body);
    let mut dsdt = Sdt::new(*b"DSDT", 36, 2, OEM, TABLE, 1);
    dsdt.append_slice(&body);
    dsdt.as_slice().to_vec()
}

fn host_bridge(out: &mut Vec<u8>) {
    let low = layout::APERTURE_BASE as u32;
    let high = layout::WIDE_APERTURE_BASE;
    let buses = AddressSpace::new_bus_number(0u16, 255u16);
    let ports = IO::new(0xcf8, 0xcf8, 1, 8);
    let narrow_end = low + (layout::APERTURE_BYTES - 1) as u32;
    let narrow = AddressSpace::new_memory(AddressSpaceCacheable::NotCacheable, true, low, narrow_end, None);
    let wide_end = high + layout::WIDE_APERTURE_BYTES - 1;
    let wide = AddressSpace::new_memory(AddressSpaceCacheable::Cacheable, true, high, wide_end, None);
    let windows = ResourceTemplate::new(vec![&buses, &ports, &narrow, &wide]);
    let crs = Name::new(Path::new("_CRS"), &windows);
    let hid = Name::new(Path::new("_HID"), &EISAName::new("PNP0A08"));
    let cid = Name::new(Path::new("_CID"), &EISAName::new("PNP0A03"));
    let uid = Name::new(Path::new("_UID"), &aml::ZERO);
    let segment = Name::new(Path::new("_SEG"), &aml::ZERO);
    let bus = Name::new(Path::new("_BBN"), &aml::ZERO);
    let routes = Name::new(Path::new("_PRT"), &Routing);
    // _OSC (ACPI 6.5, 6.2.11): everything that is asked for is granted, native hot plug included.
    let capabilities = Arg(3);
    let granted = Return::new(&capabilities);
    let osc = Method::new(Path::new("_OSC"), 4, false, vec![&granted]);
    let bridge = Device::new(Path::new("PCI0"), vec![&hid, &cid, &uid, &segment, &bus, &crs, &routes, &osc]);
    Scope::new(Path::new("_SB_"), vec![&bridge]).to_aml_bytes(out);
}

/// The routing table of bus 0 (ACPI 6.5, 6.2.13): each pin of each device to its global system interrupt.
struct Routing;

impl Aml for Routing {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let mut routes = PackageBuilder::new();
        for device in 1..=layout::MAX_SLOT {
            for pin in 0..4u32 {
                let address = device << 16 | 0xffff;
                let gsi = layout::gsi(device + pin);
                routes.add_element(&Package::new(vec![&address, &pin, &aml::ZERO, &gsi]));
            }
        }
        routes.to_aml_bytes(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn every_table_has_its_checksum_and_length() {
        for (name, table) in [("DSDT", dsdt()), ("FACP", fadt(0x1000)), ("APIC", madt(8)), ("MCFG", mcfg())] {
            assert_eq!(&table[..4], name.as_bytes());
            assert_eq!(sum(&table), 0, "{name}");
            assert_eq!(
                u32::from_le_bytes([table[4], table[5], table[6], table[7]]) as usize,
                table.len(),
                "{name}"
            );
        }
    }

    #[test]
    fn the_tables_fit_and_the_root_pointer_leads_to_them() {
        let memory = Memory::new(16 << 20, false).expect("memory");
        let rsdp = write(&memory, 8).expect("room");
        let mut pointer = [0; 36];
        memory.mmap.read_slice(&mut pointer, GuestAddress(rsdp)).expect("memory");
        assert_eq!(&pointer[..8], b"RSD PTR ");
        assert_eq!(sum(&pointer), 0);
        let xsdt = u64::from_le_bytes(pointer[24..32].try_into().expect("eight bytes"));
        let mut head = [0; 4];
        memory.mmap.read_slice(&mut head, GuestAddress(xsdt)).expect("memory");
        assert_eq!(&head, b"XSDT");
    }

    #[test]
    fn soft_off_is_named_as_a_guest_without_an_interpreter_looks_for_it() {
        let table = dsdt();
        assert!(table.windows(5).any(|w| w == b"\x08_S5_"));
    }
}
