//! The controller with a small driver.

mod asynchronous;
mod bus;
