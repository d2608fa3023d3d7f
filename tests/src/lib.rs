//! End-to-end tests, scenarios and the lab.
#![forbid(unsafe_code)]
