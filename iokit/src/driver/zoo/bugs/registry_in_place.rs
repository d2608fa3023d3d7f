//! A dictionary of the registry that is changed in place.
//!
//! - Symptom: a crash in whoever reads the registry at that moment; in the strict mode a panic in the driver (R4).
//! - Cause: the driver keeps its statistics in a property, and sets a key of the dictionary that everybody reads.
//! - Fix: change a copy, and let it take the old one's place.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Output;
use crate::ioreturn::IOResult;
use crate::registry::Dictionary;
use crate::service::ServiceRef;
use crate::value::Value;

/// The property.
const STATISTICS: &str = "Statistics";
/// The key of the requests that the card has done.
const DONE: &str = "Done";

fn publish(me: &ServiceRef) {
    let statistics = Dictionary::new(me.kit());
    statistics.set(DONE, 0u64);
    me.set_property(STATISTICS, statistics);
}

/// The dictionary in the registry, and what its key will be.
fn next(zoo: &Zoo) -> Option<(ServiceRef, Dictionary, u64)> {
    let me = zoo.me()?;
    let Some(Value::Dictionary(statistics)) = me.copy_property(STATISTICS) else { return None };
    let done = statistics.get(DONE)?.as_number()?;
    Some((me, statistics, done + 1))
}

/// Changes what is in the registry.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn begin(&self, _zoo: &Zoo, me: &ServiceRef) -> IOResult {
        publish(me);
        Ok(())
    }

    fn done(&self, zoo: &Zoo, output: Output) {
        if let Some((_, statistics, done)) = next(zoo) {
            statistics.set(DONE, done);
        }
        zoo.finish(Ok(output));
    }
}

/// Changes a copy.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn begin(&self, _zoo: &Zoo, me: &ServiceRef) -> IOResult {
        publish(me);
        Ok(())
    }

    fn done(&self, zoo: &Zoo, output: Output) {
        if let Some((me, statistics, done)) = next(zoo) {
            let copy = statistics.copy_collection();
            copy.set(DONE, done);
            me.set_property(STATISTICS, copy);
        }
        zoo.finish(Ok(output));
    }
}
