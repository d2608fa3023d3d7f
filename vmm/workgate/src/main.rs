//! Workgate: a test bench for device drivers.
fn main() {}
