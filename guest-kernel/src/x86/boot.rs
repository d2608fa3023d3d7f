//! The first instructions: PVH entry on the boot CPU, real-mode trampoline on the others, both into long mode.
//!
//! PVH enters in 32-bit protected mode, paging off, EBX = `hvm_start_info`. The boot page tables are data:
//! they map the first 4 GiB with 2 MiB pages and cost no instruction. The kernel builds better ones soon ([`super::paging`]).
//!
//! A carriage return on the serial line comes before anything else: whoever listens knows when the guest's own instructions began
//! (`workgate bench` measures from there), and on a terminal nothing is to be seen.

use core::arch::global_asm;

/// Physical page to which the trampoline is copied: start-up vector 8 (Intel SDM volume 3, 9.4.4).
pub const TRAMPOLINE: u64 = 0x8000;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18              // name and descriptor lengths, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

    .section .text.boot, "ax"
    .code32
    .global pvh_entry
    .type pvh_entry, @function
pvh_entry:
    mov $0x3f8, %dx             // COM1: "the guest runs"
    mov $0x0d, %al
    out %al, %dx
    cli
    cld
    mov $boot_pml4, %eax
    mov $boot_main, %esi
    lgdt boot_gdtr
    jmp enter_long_mode

    // From here on for any CPU: EAX = top page table, ESI = 64-bit address to go on at, flat 32-bit segments,
    // EBX is kept.
    .global enter_long_mode
enter_long_mode:
    mov %eax, %cr3
    mov $0xa0, %eax             // PAE, PGE
    mov %eax, %cr4
    mov $0xc0000080, %ecx       // EFER: LME, NXE
    rdmsr
    or $0x900, %eax
    wrmsr
    mov $0x80010033, %eax       // PG, WP, NE, ET, MP, PE; caches on (CD and NW are set after INIT)
    mov %eax, %cr0
    ljmp $0x18, $1f
    .code64
1:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    xor %ebp, %ebp
    jmp *%rsi
    .size pvh_entry, . - pvh_entry

    .type boot_main, @function
boot_main:
    mov $boot_stack_top, %esp
    mov %ebx, %edi
    call kernel_main
    ud2
    .size boot_main, . - boot_main

    // The other CPUs: 16-bit code, copied to TRAMPOLINE and entered there with IP 0.
    .section .rodata.trampoline, "a"
    .code16
    .global trampoline
    .global trampoline_end
trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl (boot_gdtr_copy - trampoline)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x8, $ap_entry
    .balign 4
boot_gdtr_copy:
    .word 31
    .long boot_gdt
trampoline_end:

    .section .text.boot, "ax"
    .code32
    .type ap_entry, @function
ap_entry:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov ap_page_table, %eax
    mov $ap_main, %esi
    jmp enter_long_mode
    .code64
ap_main:
    mov ap_stack, %rsp
    mov ap_cpu, %rdi
    call kernel_ap_main
    ud2
    .size ap_entry, . - ap_entry

    .section .rodata.boot, "a"
    .balign 16
boot_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    // 0x08: 32-bit code
    .quad 0x00cf93000000ffff    // 0x10: data
    .quad 0x00af9b000000ffff    // 0x18: 64-bit code
boot_gdtr:
    .word 31
    .long boot_gdt

    .section .data.boot, "aw"
    .balign 4096
boot_pml4:
    .quad boot_pdpt + 3
    .fill 511, 8, 0
boot_pdpt:
    .quad boot_pd + 3, boot_pd + 0x1003, boot_pd + 0x2003, boot_pd + 0x3003
    .fill 508, 8, 0
boot_pd:
    .set page, 0x83
    .rept 2048
    .quad page
    .set page, page + 0x200000
    .endr

    .section .bss.boot, "aw", @nobits
    .balign 16
    .global boot_stack
    .global boot_stack_top
boot_stack:
    .skip 32768
boot_stack_top:
    .global ap_page_table
    .global ap_stack
    .global ap_cpu
ap_page_table:
    .skip 8
ap_stack:
    .skip 8
ap_cpu:
    .skip 8
    .section .text, "ax"
"#,
    options(att_syntax)
);

unsafe extern "C" {
    /// First byte of the trampoline.
    pub static trampoline: u8;
    /// One past its last byte.
    pub static trampoline_end: u8;
    /// First byte of the boot CPU's first stack.
    pub static boot_stack: u8;
    /// One past its last byte.
    pub static boot_stack_top: u8;
    /// What a CPU that starts finds: the top page table, its stack, its number. One CPU starts at a time.
    pub static mut ap_page_table: u64;
    /// See [`ap_page_table`].
    pub static mut ap_stack: u64;
    /// See [`ap_page_table`].
    pub static mut ap_cpu: u64;
    static __image_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __data_end: u8;
}

/// Addresses that the link script defines.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// First byte of code.
    pub start: u64,
    /// First byte of constants: code ends.
    pub rodata: u64,
    /// First byte of writable data: constants end.
    pub data: u64,
    /// First byte after data and bss: the symbol table begins.
    pub symbols: u64,
}

impl Image {
    /// The addresses of this image.
    pub fn get() -> Self {
        Self {
            start: &raw const __image_start as u64,
            rodata: &raw const __rodata_start as u64,
            data: &raw const __data_start as u64,
            symbols: &raw const __data_end as u64,
        }
    }
}
