//! What a task may have in the kernel's memory, wherever it is by now.

use abi::KernReturn;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Ports that a task has made and that are still there, at the most.
pub const PORTS_MAX: usize = 1024;
/// Bytes of messages that a task has sent and that are still queued, out-of-line memory included, at the most.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// What a message takes beside its bytes.
const MESSAGE_OVERHEAD: usize = 512;

/// What one task has used up.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    ports: AtomicUsize,
    bytes: AtomicUsize,
}

/// A share of a quota, given back when it is dropped.
#[derive(Debug)]
pub(crate) enum Share {
    /// A port.
    Port(Arc<Quota>),
    /// A message.
    Message(Arc<Quota>, usize),
}

fn take(from: &AtomicUsize, amount: usize, limit: usize) -> bool {
    let more = |now: usize| now.checked_add(amount).filter(|&sum| sum <= limit);
    from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

impl Quota {
    /// For a port.
    ///
    /// # Errors
    /// ResourceShortage: the task has had its share.
    pub(crate) fn port(self: &Arc<Self>) -> Result<Share, KernReturn> {
        if !take(&self.ports, 1, PORTS_MAX) {
            return Err(KernReturn::ResourceShortage);
        }
        Ok(Share::Port(self.clone()))
    }

    /// For a message of `bytes` bytes.
    ///
    /// # Errors
    /// SendNoBuffer: the task has had its share.
    pub(crate) fn message(self: &Arc<Self>, bytes: usize) -> Result<Share, KernReturn> {
        let amount = bytes.saturating_add(MESSAGE_OVERHEAD);
        if !take(&self.bytes, amount, MESSAGE_BYTES_MAX) {
            return Err(KernReturn::SendNoBuffer);
        }
        Ok(Share::Message(self.clone(), amount))
    }
}

impl Share {
    /// Whose it is.
    pub(crate) fn quota(&self) -> &Arc<Quota> {
        match self {
            Self::Port(quota) | Self::Message(quota, _) => quota,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        match self {
            Self::Port(quota) => quota.ports.fetch_sub(1, Ordering::Relaxed),
            Self::Message(quota, amount) => quota.bytes.fetch_sub(*amount, Ordering::Relaxed),
        };
    }
}
