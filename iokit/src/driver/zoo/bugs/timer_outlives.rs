//! A timer that outlives its owner.
//!
//! - Symptom: some milliseconds after a removal, the action of a timer runs for a driver that has been freed.
//! - Cause: an armed timer keeps itself and its loop alive, not its owner (T2); nobody disarms it.
//! - Fix: take it off the loop, which disarms it, before the driver stops.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{TimerPriority, TimerSource};
use alloc::sync::Arc;
use spin::Once;

/// How often the driver polls, machine ns.
const PERIOD: u64 = 1_000_000;

/// Adds a timer that arms itself again and again.
fn begin_polling(zoo: &Zoo, me: &ServiceRef) -> IOResult<Arc<TimerSource>> {
    let timer = TimerSource::new(me, TimerPriority::ThreadCall, |_, timer: &Arc<TimerSource>| {
        // The timer has an action, which is all that arming can fail for.
        let _ = timer.set_timeout(PERIOD);
    });
    zoo.frame().work_loop().add_event_source(&timer)?;
    timer.set_timeout(PERIOD)?;
    Ok(timer)
}

/// Leaves the timer to itself.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn begin(&self, zoo: &Zoo, me: &ServiceRef) -> IOResult {
        begin_polling(zoo, me).map(drop)
    }
}

/// Takes it off the loop.
#[derive(Default)]
pub struct Fixed {
    timer: Once<Arc<TimerSource>>,
}

impl Habits for Fixed {
    fn begin(&self, zoo: &Zoo, me: &ServiceRef) -> IOResult {
        let timer = begin_polling(zoo, me)?;
        self.timer.call_once(|| timer);
        Ok(())
    }

    fn stop(&self, zoo: &Zoo, _provider: &ServiceRef) {
        let Some(timer) = self.timer.get() else { return };
        let removed = zoo.frame().work_loop().remove_event_source(timer);
        debug_assert_ne!(removed, Err(IOReturn::BadArgument), "it is on this loop");
    }
}
