//! Instances that leak on an error path.
//!
//! - Symptom: after a removal the driver cannot be unloaded: its classes have instances (O2).
//! - Cause: an early return for errors leaves before the release.
//! - Fix: one way out, which releases.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::request::{Output, Request};
use crate::ioreturn::IOResult;

/// Leaves early.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn let_go(&self, request: &Request, result: &IOResult<Output>) {
        if result.is_err() {
            return;
        }
        request.object.release();
    }
}

/// Releases always.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn let_go(&self, request: &Request, _result: &IOResult<Output>) {
        request.object.release();
    }
}
