//! Loading a Linux bzImage: the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst).

use crate::VmmError;
use crate::guest::{Told, place_initrd};
use crate::memory::{
    BOOT_GDT, BOOT_PARAMS, COMMAND_LINE, COMMAND_LINE_BYTES, FIRMWARE_END, Memory, PAGE_TABLES,
};
use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use linux_loader::loader::{BzImage, KernelLoader};
use std::io::Cursor;
use vm_memory::{Bytes, GuestAddress};

/// `boot_flag`, at 0x1fe.
const BOOT_FLAG: [u8; 2] = [0x55, 0xaa];
/// `header`, at 0x202.
const MAGIC: &[u8] = b"HdrS";
/// Protocol version 2.12, the first with `xloadflags`.
const VERSION: u16 = 0x020c;
/// XLF_KERNEL_64: there is a 64-bit entry, 0x200 behind the beginning.
const KERNEL_64: u16 = 1;
const ENTRY_64: u64 = 0x200;
/// A boot loader without a number of its own.
const LOADER: u8 = 0xff;
/// E820 types.
const RAM: u32 = 1;
const RESERVED: u32 = 2;
/// The 64-bit code and data segments that the protocol asks for: selectors 0x10 and 0x18.
const DESCRIPTORS: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
/// GiB that the first page tables map to themselves.
const MAPPED_GIB: u64 = 4;

/// A kernel in guest memory.
pub struct Linux {
    header: setup_header,
    load: u64,
}

/// Whether `image` begins like a bzImage.
pub fn is_bzimage(image: &[u8]) -> bool {
    image.get(0x1fe..0x200) == Some(&BOOT_FLAG) && image.get(0x202..0x206) == Some(MAGIC)
}

fn bad(what: impl ToString) -> VmmError {
    VmmError::NotBzImage(what.to_string())
}

impl Linux {
    /// Loads a bzImage.
    ///
    /// # Errors
    /// It is damaged, has no 64-bit entry, or does not fit.
    pub fn load(memory: &Memory, image: &[u8]) -> Result<Self, VmmError> {
        let start = Some(GuestAddress(FIRMWARE_END));
        let loaded = BzImage::load(&memory.mmap, start, &mut Cursor::new(image), None).map_err(bad)?;
        let header = loaded.setup_header.ok_or_else(|| bad("it has no header"))?;
        if header.version < VERSION || header.xloadflags & KERNEL_64 == 0 {
            return Err(bad("it has no 64-bit entry"));
        }
        let linux = Self { header, load: loaded.kernel_load.0 };
        if linux.end().max(loaded.kernel_end) > memory.low_end {
            return Err(VmmError::ImageTooLarge { needed: linux.end(), has: memory.low_end });
        }
        Ok(linux)
    }

    /// The 64-bit entry.
    pub fn entry(&self) -> u64 {
        self.load + ENTRY_64
    }

    /// End of the memory that the kernel needs before it looks at the memory map: where it lies, and where it moves itself to.
    pub fn end(&self) -> u64 {
        let preferred = self.header.pref_address;
        self.load.max(preferred).saturating_add(self.header.init_size.into())
    }

    /// Writes boot parameters, command line, RAM disk, page tables and descriptors.
    ///
    /// # Errors
    /// The command line or the RAM disk does not fit.
    pub fn prepare(&self, memory: &Memory, told: &Told<'_>) -> Result<(), VmmError> {
        let most = COMMAND_LINE_BYTES.min((self.header.cmdline_size as usize).saturating_add(1));
        if told.line.len() >= most {
            return Err(VmmError::CommandLine(told.line.len(), most - 1));
        }
        let mut line = told.line.as_bytes().to_vec();
        line.push(0);
        let write = |bytes: &[u8], at| {
            memory.mmap.write_slice(bytes, GuestAddress(at)).map_err(|_| VmmError::Memory(at))
        };
        write(&line, COMMAND_LINE)?;
        write(&words(&DESCRIPTORS), BOOT_GDT)?;
        write(&words(&page_tables()), PAGE_TABLES)?;
        let params = self.parameters(memory, told)?;
        let params = BootParams::new(&params, GuestAddress(BOOT_PARAMS));
        LinuxBootConfigurator::write_bootparams(&params, &memory.mmap)
            .map_err(|_| VmmError::Memory(BOOT_PARAMS))
    }

    fn parameters(&self, memory: &Memory, told: &Told<'_>) -> Result<boot_params, VmmError> {
        let mut params = boot_params { hdr: self.header, acpi_rsdp_addr: told.rsdp, ..Default::default() };
        params.hdr.type_of_loader = LOADER;
        params.hdr.cmd_line_ptr = COMMAND_LINE as u32;
        if let Some(data) = told.initrd {
            let limit = u64::from(self.header.initrd_addr_max).saturating_add(1);
            let initrd = place_initrd(memory, data, self.end(), limit)?;
            // Low memory ends below 4 GiB.
            params.hdr.ramdisk_image = initrd.at as u32;
            params.hdr.ramdisk_size = initrd.bytes as u32;
        }
        let map = memory.map();
        for (entry, region) in params.e820_table.iter_mut().zip(&map) {
            let r#type = if region.usable { RAM } else { RESERVED };
            *entry = boot_e820_entry { addr: region.start, size: region.bytes, r#type };
        }
        params.e820_entries = map.len() as u8;
        Ok(params)
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The first GiBs mapped to themselves in pages of 2 MiB (Intel SDM 3A, 4.5): PML4, one page directory pointer table, directories.
fn page_tables() -> Vec<u64> {
    let table = |n: u64| PAGE_TABLES + n * 4096;
    let mut words = vec![0; 512 * (2 + MAPPED_GIB as usize)];
    words[0] = table(1) | 3;
    for gib in 0..MAPPED_GIB {
        words[512 + gib as usize] = table(2 + gib) | 3;
    }
    for page in 0..MAPPED_GIB * 512 {
        words[1024 + page as usize] = page << 21 | 0x83;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage with a kernel of one sector that needs `init_size` bytes at 16 MiB.
    fn bzimage(init_size: u32) -> Vec<u8> {
        let mut image = vec![0; 512 * 3];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x1f1, &[1]);
        put(0x1fe, &BOOT_FLAG);
        put(0x202, MAGIC);
        put(0x206, &0x20fu16.to_le_bytes());
        put(0x211, &[1]);
        put(0x22c, &0x7fff_ffffu32.to_le_bytes());
        put(0x236, &KERNEL_64.to_le_bytes());
        put(0x238, &100u32.to_le_bytes());
        put(0x258, &(16u64 << 20).to_le_bytes());
        put(0x260, &init_size.to_le_bytes());
        put(512 * 2, b"kernel");
        image
    }

    fn told<'a>(line: &'a str, initrd: Option<&'a [u8]>) -> Told<'a> {
        Told { line, initrd, rsdp: 0xe_0000 }
    }

    #[test]
    fn a_bzimage_is_recognised_and_loaded() {
        let memory = Memory::new(64 << 20, false).expect("memory");
        let image = bzimage(1 << 20);
        assert!(is_bzimage(&image));
        assert!(!is_bzimage(b"\x7fELF") && !is_bzimage(&[0; 0x206]));
        let linux = Linux::load(&memory, &image).expect("a kernel");
        assert_eq!((linux.entry(), linux.end()), (0x10_0200, 17 << 20));
        linux.prepare(&memory, &told("quiet", Some(b"disk"))).expect("room");
        let read = |at, bytes: usize| {
            let mut into = vec![0; bytes];
            memory.mmap.read_slice(&mut into, GuestAddress(at)).expect("memory");
            into
        };
        assert_eq!(read(0x10_0000, 6), b"kernel");
        assert_eq!(read(COMMAND_LINE, 6), b"quiet\0");
        assert_eq!(read(BOOT_PARAMS + 0x70, 8), 0xe_0000u64.to_le_bytes());
        assert_eq!(read(BOOT_PARAMS + 0x1e8, 1), [memory.map().len() as u8]);
        let disk = u32::from_le_bytes(read(BOOT_PARAMS + 0x218, 4).try_into().expect("four bytes"));
        assert_eq!(read(disk.into(), 4), b"disk");
    }

    #[test]
    fn what_cannot_boot_is_refused_with_the_reason() {
        let memory = Memory::new(64 << 20, false).expect("memory");
        assert!(matches!(Linux::load(&memory, &bzimage(1 << 30)), Err(VmmError::ImageTooLarge { .. })));
        let mut old = bzimage(1 << 20);
        old[0x236] = 0;
        assert!(matches!(Linux::load(&memory, &old), Err(VmmError::NotBzImage(_))));
        let good = bzimage(1 << 20);
        for length in 0x206..good.len() {
            // Cut off anywhere: refused, or loaded as far as it goes; never a panic.
            let _ = Linux::load(&memory, &good[..length]);
        }
        let linux = Linux::load(&memory, &good).expect("a kernel");
        let long = "x".repeat(101);
        assert!(matches!(linux.prepare(&memory, &told(&long, None)), Err(VmmError::CommandLine(101, 100))));
        let large = vec![0; 48 << 20];
        assert!(matches!(linux.prepare(&memory, &told("", Some(&large))), Err(VmmError::InitrdTooLarge(_))));
    }
}
