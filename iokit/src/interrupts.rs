//! How a service gets interrupts from its nub.
//!
//! Path of an interrupt: the controller calls the handler at primary interrupt level; the handler of an
//! [`crate::work_loop::InterruptSource`] counts and signals; the work loop's thread calls the action in the gate.

use alloc::sync::Arc;

use mach::KernelRef;

use crate::ioreturn::IOResult;

/// How an interrupt is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptType {
    /// Edge-triggered, message-signalled included: each is one event.
    Edge,
    /// Level-triggered: asserted until the cause is removed, so masked until the action ran.
    Level,
}

/// What is called at primary interrupt level.
pub type InterruptHandler = Arc<dyn Fn(&KernelRef) + Send + Sync>;

/// The interrupts of a nub, numbered from 0.
///
/// `disable` and `unregister`, off interrupt level, return only when the handler is not running.
pub trait InterruptProvider: Send + Sync {
    /// Number of interrupts.
    fn count(&self) -> usize;
    /// How interrupt `index` is signalled. NoResources if there is no such interrupt.
    fn interrupt_type(&self, index: usize) -> IOResult<InterruptType>;
    /// Registers the handler; the interrupt stays disabled. NoResources if it is taken.
    fn register(&self, index: usize, handler: InterruptHandler) -> IOResult;
    /// Takes the handler away.
    fn unregister(&self, index: usize) -> IOResult;
    /// Enables at the controller.
    fn enable(&self, index: usize) -> IOResult;
    /// Disables at the controller. At interrupt level it does not wait.
    fn disable(&self, index: usize) -> IOResult;
}
