#![no_std]
//! IOKit for Workgate: registry, work loops, event sources, termination, families, drivers.
