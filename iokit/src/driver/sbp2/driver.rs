//! The driver: the common life, and a SCSI disk.

use super::SBP2_DRIVER;
use super::transport::Initiator;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life, ScsiDisk, disk};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// A disk that speaks SBP-2.
pub struct Sbp2;

/// Its driver.
pub type Sbp2Driver = Life<Sbp2>;

impl Kind for Sbp2 {
    type Parts = ScsiDisk<Initiator>;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &SBP2_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self::Parts> {
        Ok(ScsiDisk::new(me, Initiator::new(me, provider)?))
    }

    fn leaving(&self, me: &ServiceRef, parts: &Holder<Self::Parts>) {
        if let Ok(parts) = parts.get()
            && parts.transport().log_out()
        {
            me.kernel().log(format_args!("sbp2 {}: logged out", me.device()));
        }
    }

    fn started(&self, me: &ServiceRef, parts: &Arc<Self::Parts>) -> IOResult {
        disk::publish::<Self>(me, parts)
    }
}
