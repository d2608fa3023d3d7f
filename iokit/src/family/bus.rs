//! What the buses of all families have in common.

use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// A bus, as the driver of its controller sees it.
pub trait Bus: Send + Sync + 'static {
    /// Starts the thread that finds out who is there. `controller` is the controller's driver.
    ///
    /// # Errors
    /// No memory for the thread.
    fn start(self: &Arc<Self>, controller: &ServiceRef) -> IOResult;

    /// Ends the thread, waits for its end, and forgets who was there. Not with the gate held.
    fn stop(&self);
}
