//! Machine code. All guests start in 32-bit protected mode (PVH); what is here means the same in 64-bit mode, unless it says
//! otherwise.

/// Code that is being written, to be loaded at [`CODE`].
#[derive(Default)]
pub struct Code(pub Vec<u8>);

/// Where the code is loaded, and where it starts.
pub const CODE: u64 = 0x10_0000;
/// Port of the serial line's data register.
pub const SERIAL: u16 = 0x3f8;
/// Port of PM1 control.
pub const POWER: u16 = 0x604;
/// Sleep type 5 with SLP_EN.
pub const SOFT_OFF: u16 = 5 << 10 | 1 << 13;

impl Code {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raw bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Address of what comes next.
    pub fn here(&self) -> u64 {
        CODE + self.0.len() as u64
    }

    /// `mov eax, value`.
    pub fn eax(self, value: u32) -> Self {
        self.bytes(&[0xb8]).bytes(&value.to_le_bytes())
    }

    /// `mov ecx, value`.
    pub fn ecx(self, value: u32) -> Self {
        self.bytes(&[0xb9]).bytes(&value.to_le_bytes())
    }

    /// `mov edx, value`.
    pub fn edx(self, value: u32) -> Self {
        self.bytes(&[0xba]).bytes(&value.to_le_bytes())
    }

    /// `mov edi, value`.
    pub fn edi(self, value: u32) -> Self {
        self.bytes(&[0xbf]).bytes(&value.to_le_bytes())
    }

    /// Writes a port: 1, 2 or 4 bytes.
    pub fn port_out(self, port: u16, value: u32, width: usize) -> Self {
        self.edx(port.into()).eax(value).bytes(match width {
            1 => &[0xee],
            2 => &[0x66, 0xef],
            _ => &[0xef],
        })
    }

    /// Reads a port into EAX: 1, 2 or 4 bytes.
    pub fn port_in(self, port: u16, width: usize) -> Self {
        self.edx(port.into()).bytes(match width {
            1 => &[0xec],
            2 => &[0x66, 0xed],
            _ => &[0xed],
        })
    }

    /// Prints on the serial line.
    pub fn print(self, text: &str) -> Self {
        text.bytes().fold(self, |code, byte| code.port_out(SERIAL, byte.into(), 1))
    }

    /// Powers off; should that not work, spins.
    pub fn power_off(self) -> Self {
        self.port_out(POWER, SOFT_OFF.into(), 2).spin()
    }

    /// `jmp` to itself.
    pub fn spin(self) -> Self {
        self.bytes(&[0xeb, 0xfe])
    }

    /// `mov edi, to; mov eax, value; mov ecx, count; rep stosd`.
    pub fn fill(self, to: u32, value: u32, count: u32) -> Self {
        self.edi(to).eax(value).ecx(count).bytes(&[0xf3, 0xab])
    }

    /// 64-bit only: `mov rdi, address`.
    pub fn rdi(self, address: u64) -> Self {
        self.bytes(&[0x48, 0xbf]).bytes(&address.to_le_bytes())
    }

    /// 64-bit only: `mov rax, value`.
    pub fn rax(self, value: u64) -> Self {
        self.bytes(&[0x48, 0xb8]).bytes(&value.to_le_bytes())
    }

    /// 64-bit only: writes memory, 1, 2, 4 or 8 bytes.
    pub fn store(self, address: u64, value: u64, width: usize) -> Self {
        self.rdi(address).rax(value).bytes(match width {
            1 => &[0x88, 0x07],
            2 => &[0x66, 0x89, 0x07],
            4 => &[0x89, 0x07],
            _ => &[0x48, 0x89, 0x07],
        })
    }

    /// 64-bit only: reads memory into RAX, 1, 2, 4 or 8 bytes.
    pub fn load(self, address: u64, width: usize) -> Self {
        self.rdi(address).bytes(match width {
            1 => &[0x8a, 0x07],
            2 => &[0x66, 0x8b, 0x07],
            4 => &[0x8b, 0x07],
            _ => &[0x48, 0x8b, 0x07],
        })
    }

    /// Enters 64-bit mode: CR4.PAE, CR3 = `tables`, EFER.LME, CR0.PG, and a jump by way of the descriptor table whose pseudo-descriptor is
    /// at `gdt` (selector 8 is code).
    pub fn long_mode(self, tables: u32, gdt: u32) -> Self {
        let code = self
            // mov eax, cr4; or eax, 0x20; mov cr4, eax
            .bytes(&[0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0])
            // mov cr3, eax
            .eax(tables)
            .bytes(&[0x0f, 0x22, 0xd8])
            // rdmsr; or eax, 0x100; wrmsr
            .ecx(0xc000_0080)
            .bytes(&[0x0f, 0x32, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30])
            // mov eax, cr0; or eax, 0x80000000; mov cr0, eax
            .bytes(&[0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0])
            // lgdt [gdt]
            .bytes(&[0x0f, 0x01, 0x15])
            .bytes(&gdt.to_le_bytes());
        // ljmp 8:after
        let after = code.here() as u32 + 7;
        code.bytes(&[0xea]).bytes(&after.to_le_bytes()).bytes(&[8, 0])
    }
}
