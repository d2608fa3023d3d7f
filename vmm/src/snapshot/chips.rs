//! The interrupt controllers, the interval timer and KVM's clock as they were.

use crate::VmmError;
use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, kvm_clock_data, kvm_irqchip,
    kvm_pit_state2,
};
use kvm_ioctls::VmFd;

/// The controllers.
const CHIPS: [u32; 3] = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC];

/// Their state.
pub struct Chips {
    chips: Vec<kvm_irqchip>,
    timer: kvm_pit_state2,
    clock: kvm_clock_data,
}

impl Chips {
    /// Takes the state.
    ///
    /// # Errors
    /// KVM refuses.
    pub fn take(vm: &VmFd) -> Result<Self, VmmError> {
        let mut chips = Vec::new();
        for chip_id in CHIPS {
            let mut chip = kvm_irqchip { chip_id, ..Default::default() };
            vm.get_irqchip(&mut chip).map_err(VmmError::system("cannot read an interrupt controller"))?;
            chips.push(chip);
        }
        let timer = vm.get_pit2().map_err(VmmError::system("cannot read the interval timer"))?;
        let mut clock = vm.get_clock().map_err(VmmError::system("cannot read KVM's clock"))?;
        // Flags say what was read; none of them is an order.
        clock.flags = 0;
        Ok(Self { chips, timer, clock })
    }

    /// Puts it back.
    ///
    /// # Errors
    /// KVM refuses.
    pub fn restore(&self, vm: &VmFd) -> Result<(), VmmError> {
        vm.set_clock(&self.clock).map_err(VmmError::system("cannot set KVM's clock"))?;
        vm.set_pit2(&self.timer).map_err(VmmError::system("cannot set the interval timer"))?;
        for chip in &self.chips {
            vm.set_irqchip(chip).map_err(VmmError::system("cannot set an interrupt controller"))?;
        }
        Ok(())
    }
}
