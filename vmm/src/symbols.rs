//! Names for what processors were doing at the end, from the image.

use crate::ending::CpuReport;
use inspect::symbols::Names;

/// Fills in the functions of all instruction pointers and return addresses.
pub fn name(cpus: &mut [CpuReport], image: &[u8]) {
    let Some(names) = Names::new(image) else { return };
    for cpu in cpus {
        let rip = cpu.registers.iter().find(|(name, _)| *name == "rip");
        cpu.symbol = rip.and_then(|(_, address)| names.find(*address));
        for (address, symbol) in &mut cpu.callers {
            // A return address may lie behind the end of a function that ends with the call.
            *symbol = names.find(address.wrapping_sub(1));
        }
    }
}
