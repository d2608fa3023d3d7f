#![no_std]
//! Workgate's guest kernel for x86-64.
