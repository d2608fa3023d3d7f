//! Workgate's guest kernel for x86-64.
//!
//! This library holds what is pure: reading what loader and firmware left, building page tables, the symbol
//! table. It compiles and is tested on the host. The rest, which touches the processor, is in the binary
//! `workgate-guest` (`src/main.rs`, `src/x86/`); the crate `guest-image` builds it with the flags that it needs.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod boot_info;
pub mod memory_map;
pub mod page_tables;
pub mod physical;
pub mod symbols;
pub mod user_tables;
