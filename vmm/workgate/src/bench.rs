//! `workgate bench`.
use crate::cli::BenchArgs;
use crate::exit::{Exit, Failure};
/// b
pub fn bench(_args: &BenchArgs) -> Result<Exit, Failure> {
    Ok(Exit::Held)
}
