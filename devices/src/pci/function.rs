//! A PCI function: what is the same around every device model.

use super::config::{CONFIG_BYTES, ConfigSpace, touches};
use super::express;
use super::msi::Msi;
use super::msix::Msix;
use crate::device::{BarSpec, Identity};
use crate::spec::{pci as spec, pcie};

/// What an interrupt request of the model turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// A message to send.
    Message(u64, u32),
    /// The INTx level may have changed: see [`PciFunction::line`].
    Line,
    /// Nothing for now: masked and pending, or no such vector.
    Nothing,
}

/// A vendor-specific capability body: [start, end) in configuration space.
#[derive(Clone, Copy)]
struct VendorBody {
    start: usize,
    end: usize,
}

/// Configuration space, BARs and interrupts of a function. The model itself is kept beside it, so that a model that is
/// running can be given the function as part of its world.
pub struct PciFunction {
    config: ConfigSpace,
    pristine: ConfigSpace,
    bars: Vec<BarSpec>,
    msi: Option<Msi>,
    msix: Option<Msix>,
    express: Option<usize>,
    intx_wired: bool,
    intx_asserted: bool,
    last_vector: u16,
    vendor: Vec<VendorBody>,
}

impl PciFunction {
    /// The function that `identity` describes, at power-on.
    pub fn new(identity: &Identity) -> Self {
        let mut config = ConfigSpace::new();
        config.identify(identity.vendor, identity.device, identity.class, identity.revision);
        config.set(spec::SUBSYSTEM_VENDOR, &identity.subsystem.0.to_le_bytes());
        config.set(spec::SUBSYSTEM, &identity.subsystem.1.to_le_bytes());
        if identity.intx {
            config.set(spec::INTERRUPT_PIN, &[1]);
        }
        let express = express::add_endpoint(&mut config);
        let msi = if identity.msi { Msi::add(&mut config) } else { None };
        let mut bars = identity.bars.clone();
        let msix = add_msix(&mut config, &mut bars, identity.msix_vectors);
        let vendor = add_capabilities(&mut config, &identity.capabilities);
        for bar in &bars {
            declare_bar(&mut config, bar);
        }
        let pristine = config.clone();
        let intx_wired = identity.intx;
        Self {
            config,
            pristine,
            bars,
            msi,
            msix,
            express,
            intx_wired,
            intx_asserted: false,
            last_vector: 0,
            vendor,
        }
    }

    /// Back to power-on.
    pub fn reset(&mut self) {
        self.config.restore(&self.pristine);
        self.intx_asserted = false;
        self.last_vector = 0;
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
    }

    /// Configuration space.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// Software writes configuration space. True if a function level reset was asked for (PCIe Base, 6.6.2).
    pub fn write_config(&mut self, offset: usize, from: &[u8]) -> bool {
        self.config.write(offset, from);
        let Some(control) = self.express.map(|at| at + pcie::DEVICE_CONTROL) else { return false };
        // The bit reads as zero: it is looked for in what is written.
        let high = control + 1;
        let flag = (pcie::DEVICE_CONTROL_FLR >> 8) as u8;
        touches(offset, from.len(), high, 1) && from[high - offset] & flag != 0
    }

    /// Hardware or firmware sets bytes of configuration space.
    pub fn set_config(&mut self, offset: usize, value: &[u8]) {
        self.config.set(offset, value);
    }

    /// All BARs, that of MSI-X included.
    pub fn bars(&self) -> &[BarSpec] {
        &self.bars
    }

    /// The address in a BAR (PCI 3.0, 6.2.5.1).
    pub fn bar_address(&self, bar: &BarSpec) -> u64 {
        let at = spec::BAR0 + usize::from(bar.index) * 4;
        let low = u64::from(self.config.u32(at) & !0xf);
        if bar.wide { u64::from(self.config.u32(at + 4)) << 32 | low } else { low }
    }

    /// True if `bar` holds the MSI-X table.
    pub fn is_msix_bar(&self, bar: u8) -> bool {
        self.msix.as_ref().is_some_and(|msix| msix.bar() == bar)
    }

    /// MSI-X table and pending bits.
    pub fn msix(&mut self) -> Option<&mut Msix> {
        self.msix.as_mut()
    }

    /// A message whose mask was lifted.
    pub fn take_unmasked(&mut self) -> Option<(u64, u32)> {
        self.msix.as_mut()?.take_unmasked(&self.config)
    }

    /// The model raises interrupt `index`.
    pub fn raise(&mut self, index: u16) -> Raised {
        if let Some(msix) = self.msix.as_mut().filter(|msix| msix.enabled(&self.config)) {
            if index < msix.vectors() {
                self.last_vector = index;
            }
            return match msix.raise(index, &self.config) {
                Some((address, data)) => Raised::Message(address, data),
                None => Raised::Nothing,
            };
        }
        if let Some(msi) = self.msi.filter(|msi| msi.enabled(&self.config)) {
            let (address, data) = msi.message(&self.config);
            return Raised::Message(address, data);
        }
        self.assert_intx(true);
        Raised::Line
    }

    /// The interrupt that the model raised last: what a storm repeats.
    pub fn last_vector(&self) -> u16 {
        self.last_vector
    }

    /// The model asserts or drops INTx.
    pub fn assert_intx(&mut self, asserted: bool) {
        self.intx_asserted = asserted;
        let (clear, set) = if asserted { (0, spec::STATUS_INTERRUPT) } else { (spec::STATUS_INTERRUPT, 0) };
        self.config.change(spec::STATUS, clear, set);
    }

    /// The level that the function drives on its INTx line.
    pub fn line(&self) -> bool {
        self.intx_asserted && self.line_usable()
    }

    /// True if an assertion would reach the line: wired, not disabled, no messages enabled.
    pub fn line_usable(&self) -> bool {
        self.intx_wired && !self.config.commanded(spec::COMMAND_INTX_DISABLE) && !self.messages_enabled()
    }

    /// True if MSI or MSI-X is enabled.
    pub fn messages_enabled(&self) -> bool {
        self.msi.is_some_and(|msi| msi.enabled(&self.config))
            || self.msix.as_ref().is_some_and(|msix| msix.enabled(&self.config))
    }

    /// The vendor capability body that an access of `length` bytes at `offset` falls into: (which capability of the model, offset in
    /// the body).
    pub fn vendor_body(&self, offset: usize, length: usize) -> Option<(usize, u8)> {
        let index =
            self.vendor.iter().position(|body| offset >= body.start && offset + length <= body.end)?;
        Some((index, (offset - self.vendor[index].start) as u8))
    }
}

/// Adds the MSI-X capability with a BAR of its own: the first number that the model leaves free.
fn add_msix(config: &mut ConfigSpace, bars: &mut Vec<BarSpec>, vectors: u16) -> Option<Msix> {
    if vectors == 0 {
        return None;
    }
    let taken = |index: u8| bars.iter().any(|bar| bar.index == index || bar.wide && bar.index + 1 == index);
    let index = (0..6).find(|&index| !taken(index))?;
    let msix = Msix::add(config, index, vectors)?;
    bars.push(BarSpec { index, size: msix.bar_bytes(), wide: false, prefetchable: false });
    Some(msix)
}

fn add_capabilities(config: &mut ConfigSpace, capabilities: &[(u8, Vec<u8>)]) -> Vec<VendorBody> {
    let mut bodies = Vec::with_capacity(capabilities.len());
    for (id, body) in capabilities {
        // A body without room keeps its place in the list, so that the numbers of the others stay.
        let start = config.add_capability(*id, body).map_or(CONFIG_BYTES, |at| at + 2);
        let end = if start == CONFIG_BYTES { start } else { start + body.len() };
        bodies.push(VendorBody { start, end });
    }
    bodies
}

fn declare_bar(config: &mut ConfigSpace, bar: &BarSpec) {
    let at = spec::BAR0 + usize::from(bar.index) * 4;
    let mut kind = 0;
    if bar.wide {
        kind |= spec::BAR_WIDE;
    }
    if bar.prefetchable {
        kind |= spec::BAR_PREFETCHABLE;
    }
    config.set(at, &kind.to_le_bytes());
    let mask = !(bar.size - 1) & !0xf;
    config.allow(at, &(mask as u32).to_le_bytes());
    if bar.wide {
        config.allow(at + 4, &((mask >> 32) as u32).to_le_bytes());
    }
}
