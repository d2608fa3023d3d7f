//! End-to-end tests, scenarios and the lab.
