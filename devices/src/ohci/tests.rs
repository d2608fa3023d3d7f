//! The controller with a small driver.

mod asynchronous;
mod bus;
mod isochronous;
mod physical;
mod platform;
mod property;
mod sbp2;
