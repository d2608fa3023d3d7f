//! Workgate's deterministic simulator: the same kernel in one process.
