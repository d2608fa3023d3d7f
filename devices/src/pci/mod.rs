//! PCI and PCI Express: configuration space, interrupts, functions, the root port and the host bridge.

pub mod config;
pub mod express;
pub mod function;
pub mod host_bridge;
pub mod msi;
pub mod msix;
pub mod port;

pub use config::ConfigSpace;
pub use function::PciFunction;
pub use port::RootPort;
