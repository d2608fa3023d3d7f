//! Rights to ports.

use crate::os::{Os, Result};
use abi::message::Disposition;
use abi::port::{NULL, Right};
use abi::{Trap, notify};

/// The name of a right. It is the task's own number for it, and means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u32);

impl Port {
    /// The name of nothing.
    pub const NULL: Self = Self(NULL);

    /// A new port; the name is that of its receive right.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(os: &dyn Os) -> Result<Self> {
        Self::allocate(os, Right::Receive)
    }

    /// A new right of a kind that can be made out of nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn allocate(os: &dyn Os, right: Right) -> Result<Self> {
        os.call(Trap::PortAllocate, &[right as u64]).map(|name| Self(name as u32))
    }

    /// The kernel's I/O services.
    ///
    /// # Errors
    /// The kernel's.
    pub fn host(os: &dyn Os) -> Result<Self> {
        os.call(Trap::HostSelf, &[]).map(|name| Self(name as u32))
    }

    /// The task itself.
    ///
    /// # Errors
    /// The kernel's.
    pub fn task(os: &dyn Os) -> Result<Self> {
        os.call(Trap::TaskSelf, &[]).map(|name| Self(name as u32))
    }

    /// Gives back one user reference of a send right or a dead name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn release(self, os: &dyn Os) -> Result<()> {
        os.call(Trap::PortDeallocate, &[u64::from(self.0)]).map(|_| ())
    }

    /// Gives up everything that the name means.
    ///
    /// # Errors
    /// The kernel's.
    pub fn destroy(self, os: &dyn Os) -> Result<()> {
        os.call(Trap::PortDestroy, &[u64::from(self.0)]).map(|_| ())
    }

    /// Whether the name means a right of this kind.
    ///
    /// # Errors
    /// The kernel's.
    pub fn is(self, os: &dyn Os, right: Right) -> Result<bool> {
        os.call(Trap::PortType, &[u64::from(self.0)]).map(|bits| bits & right.bit() != 0)
    }

    /// Puts a receive right into a set, or takes it out: [`Port::NULL`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn join(self, os: &dyn Os, set: Port) -> Result<()> {
        os.call(Trap::PortMoveMember, &[u64::from(self.0), u64::from(set.0)]).map(|_| ())
    }

    /// Has `told`, a receive right, get a message when this name becomes a dead name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tell_of_death(self, os: &dyn Os, told: Port) -> Result<()> {
        let request = [
            u64::from(self.0),
            u64::from(notify::DEAD_NAME),
            0,
            u64::from(told.0),
            Disposition::MakeSendOnce as u64,
        ];
        os.call(Trap::PortRequestNotification, &request).map(|_| ())
    }
}
