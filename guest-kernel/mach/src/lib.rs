//! The portable part of Workgate's kernel: threads, bands, dispatcher, wait queues, locks, thread calls.
//!
//! It touches the machine only through [`seam::Machine`], keeps no mutable statics (all hangs off one
//! `Kernel` value), and is the same code in the guest and in the simulator.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod seam;
