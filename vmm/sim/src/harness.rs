//! Runs kernel code on simulated CPUs: what the tests of the kernel's own crates use.
