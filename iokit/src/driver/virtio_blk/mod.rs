//! x
use crate::IoKit;
/// x
pub fn register(_kit: &IoKit) {}
