//! A guest that writes garbage to every port and every register.

mod common;

use common::code::{CODE, Code};
use common::elf::Image;
use common::{on_this_host, plan};
use devices::platform::layout::{
    APERTURE_BASE, ECAM_BASE, SLOT_APERTURE_BYTES, SLOT_WIDE_APERTURE_BYTES, WIDE_APERTURE_BASE,
};
use vmm::{Ending, Options};

/// Page tables, from here on.
const TABLES: u64 = 0x80_0000;
/// Descriptor table.
const GDT: u64 = 0x7f_0000;
/// Slots with a device behind the port.
const SLOTS: u64 = 3;
/// Accesses of a guest.
const ACCESSES: usize = 3000;

/// Xorshift64*: the same guest for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Few bits, many bits, or a number that looks like an address in memory.
    fn value(&mut self) -> u64 {
        match self.below(5) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => self.below(16 << 20),
            _ => self.next(),
        }
    }

    /// A port that is neither the interrupt controllers' (KVM's own business) nor the test's way out.
    fn port(&mut self) -> u16 {
        let base = self.pick(&[0x60, 0x3f8, 0x400, 0x520, 0x5fe, 0x604, 0xcf8, 0xcfc, 0xd00, 0xfff8]);
        base + self.below(8) as u16
    }

    /// An address in configuration space or in a register window.
    fn address(&mut self) -> u64 {
        let slot = 1 + self.below(SLOTS);
        let offset = match self.below(3) {
            0 => self.below(0x100),
            1 => self.below(0x1000),
            _ => self.below(0x2_0000),
        };
        match self.below(8) {
            // Ports and the host bridge, on bus 0; the functions behind the ports.
            0 => ECAM_BASE + (self.below(SLOTS + 2) << 15) + offset % 0x1000,
            1 | 2 => ECAM_BASE + (slot << 20) + offset % 0x1000,
            3 => ECAM_BASE + self.below(0x1000_0000),
            4 | 5 => APERTURE_BASE + slot * SLOT_APERTURE_BYTES + offset,
            6 => WIDE_APERTURE_BASE + slot * SLOT_WIDE_APERTURE_BYTES + offset,
            _ => 0xfed0_0000 + offset,
        }
    }

    fn access(&mut self, code: Code) -> Code {
        let width = self.pick(&[1, 2, 4, 8]);
        match self.below(4) {
            0 => {
                let (port, value) = (self.port(), self.value() as u32);
                if ends(port, value) { code } else { code.port_out(port, value, width.min(4)) }
            }
            1 => code.port_in(self.port(), width.min(4)),
            2 => code.load(self.address(), width),
            _ => code.store(self.address(), self.value(), width),
        }
    }
}

/// Whether a write is what a guest does to power off or reset: that is tested elsewhere.
fn ends(port: u16, value: u32) -> bool {
    matches!(port, 0x602..0x608 | 0xcf7..0xcfa) && value & 0x2406 != 0 || matches!(port, 0x61..0x65)
}

/// 2 MiB pages for the first 4 GiB, and for the first 1 GiB of the 64-bit windows of the slots.
fn tables() -> Vec<u8> {
    let directories = 4 + SLOTS;
    let page = |n: u64| TABLES + n * 4096;
    let mut words = vec![0u64; ((3 + directories) * 512) as usize];
    // PML4: entry 0 is the low 512 GiB, entry 1 what comes next, where the 64-bit window is.
    words[0] = page(1) | 3;
    words[1] = page(2) | 3;
    for n in 0..4 {
        words[512 + n as usize] = page(3 + n) | 3;
    }
    for slot in 1..=SLOTS {
        let gibibyte = (slot * SLOT_WIDE_APERTURE_BYTES) >> 30;
        words[(1024 + gibibyte) as usize] = page(6 + slot) | 3;
    }
    for directory in 0..directories {
        let base = match directory {
            0..4 => directory << 30,
            wide => WIDE_APERTURE_BASE + (wide - 3) * SLOT_WIDE_APERTURE_BYTES,
        };
        for n in 0..512 {
            words[((3 + directory) * 512 + n) as usize] = (base + (n << 21)) | 0x83;
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Null, 64-bit code, data; behind them the pseudo-descriptor.
fn descriptors() -> Vec<u8> {
    let mut bytes: Vec<u8> = [0, 0x00af_9b00_0000_ffffu64, 0x00cf_9300_0000_ffff]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    bytes.extend(23u16.to_le_bytes());
    bytes.extend((GDT as u32).to_le_bytes());
    bytes
}

fn guest(seed: u64, memory_space: bool) -> Vec<u8> {
    let mut random = Random(seed);
    let mut code = Code::new().long_mode(TABLES as u32, (GDT + 24) as u32).print("64\n");
    if memory_space {
        // Memory space and bus mastering on, everywhere.
        for slot in 1..=SLOTS {
            code = code.store(ECAM_BASE + (slot << 20) + 4, 6, 2);
        }
    }
    for _ in 0..ACCESSES {
        code = random.access(code);
    }
    let code = code.print("\nend\n").power_off();
    assert!(CODE + (code.0.len() as u64) < GDT);
    Image::new(code.0).segment(GDT, descriptors(), 30).segment(TABLES, tables(), 64 << 10).build()
}

#[test]
fn garbage_in_every_register_ends_in_power_off_or_in_a_report() {
    let plan = plan("plug a edu slot=1\nplug b virtio-blk slot=2 size=1M\nplug c edu slot=3\nrun for=1ms");
    let mut through = 0;
    for seed in 1..=6 {
        let image = guest(seed, seed % 2 == 0);
        let result = vmm::run(&plan, &image, &Options::default(), &mut |_| {});
        let Some(outcome) = on_this_host(result) else { return };
        // A device that was told to may have written over the guest, which then goes astray; the machine itself stays sound.
        assert!(
            !matches!(outcome.ending, Ending::Unknown { .. } | Ending::Stopped),
            "{}",
            outcome.describe()
        );
        assert_eq!(outcome.cpus.len(), 1, "seed {seed}: a processor's thread is lost");
        assert!(outcome.describe().contains("rip"));
        through += u32::from(outcome.ending == Ending::PowerOff);
    }
    assert!(through >= 3, "only {through} guests came to their end");
}
