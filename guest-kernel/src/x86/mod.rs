//! The part of the kernel that touches the processor.

pub mod apic;
pub mod backtrace;
pub mod bench;
pub mod boot;
pub mod context;
pub mod cpu;
pub mod crash;
pub mod descriptors;
pub mod dma;
pub mod guest;
pub mod ioapic;
pub mod leap;
pub mod lock;
pub mod memory;
pub mod paging;
pub mod panic;
pub mod pci;
pub mod percpu;
pub mod power;
pub mod rt;
pub mod serial;
pub mod smp;
pub mod stack;
pub mod time;
pub mod traps;
