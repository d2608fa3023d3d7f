//! Workgate's KVM machine.
