//! Configuration space in memory, for unit tests.

use super::config::ConfigBus;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use mach::seam::{Bdf, Width};

/// One function: bytes and which bits of them can be written.
struct Function {
    bytes: Vec<u8>,
    mask: Vec<u8>,
}

/// A bus of functions in memory.
pub struct FakeBus {
    functions: RefCell<BTreeMap<Bdf, Function>>,
}

impl FakeBus {
    /// No functions.
    pub fn new() -> Self {
        Self { functions: RefCell::new(BTreeMap::new()) }
    }

    /// Adds a function whose bytes are zero and writable.
    pub fn function(&self, at: Bdf) {
        self.functions.borrow_mut().insert(at, Function { bytes: vec![0; 4096], mask: vec![0xff; 4096] });
    }

    /// Sets bytes whatever the mask.
    pub fn poke(&self, at: Bdf, offset: u16, bytes: &[u8]) {
        let mut functions = self.functions.borrow_mut();
        let start = usize::from(offset);
        functions.get_mut(&at).expect("function").bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Sets which bits can be written.
    pub fn writable(&self, at: Bdf, offset: u16, mask: &[u8]) {
        let mut functions = self.functions.borrow_mut();
        let start = usize::from(offset);
        functions.get_mut(&at).expect("function").mask[start..start + mask.len()].copy_from_slice(mask);
    }
}

impl ConfigBus for FakeBus {
    fn read(&self, function: Bdf, offset: u16, width: Width) -> u32 {
        let functions = self.functions.borrow();
        let Some(found) = functions.get(&function) else { return u32::MAX };
        let start = usize::from(offset);
        (0..width as usize).fold(0, |value, i| value | u32::from(found.bytes[start + i]) << (8 * i))
    }

    fn write(&self, function: Bdf, offset: u16, width: Width, value: u32) {
        let mut functions = self.functions.borrow_mut();
        let Some(found) = functions.get_mut(&function) else { return };
        for i in 0..width as usize {
            let at = usize::from(offset) + i;
            let byte = (value >> (8 * i)) as u8;
            found.bytes[at] = found.bytes[at] & !found.mask[at] | byte & found.mask[at];
        }
    }
}
