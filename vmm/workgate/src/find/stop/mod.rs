//! `workgate replay --stop-at`: a run that stands behind one of its events, for people, and for a debugger on this process.
//!
//! The plan is run twice. The first run, from beginning to end, is the index: what happens behind which event, and where oracles raise their
//! alarms. The second one stops. Because both are the same, every place of the run has a number that is known before it stops, and a debugger
//! can go to it, forward and back (`vmm/workgate/gdb/workgate.py`).

mod debuggee;
mod index;
mod story;

use crate::cli::{ReplayArgs, StopAt};
use crate::exit::{Exit, Failure};
use debuggee::Debuggee;
use devices::fault::plan::Plan;
use explore::{Capsule, Schedule, execute};
use index::Index;
use sim::debug::{self, Board};
use std::cell::RefCell;
use std::rc::Rc;
use story::Story;

/// How often a debugger may tell the process to go on although the run is over.
const AT_THE_END: u32 = 10_000;

/// Shows the run behind the event `stop`, and what every stack was doing then; or lets a debugger do so, as often as it likes.
pub fn stopped(
    plan: &Plan,
    schedule: &Schedule,
    capsule: Option<&Capsule>,
    args: &ReplayArgs,
    stop: &StopAt,
) -> Result<Exit, Failure> {
    let index = Index::of(plan, schedule)?;
    if capsule.is_some_and(|capsule| capsule.hash != index.hash) {
        return Err(super::replay::another_run());
    }
    let goal = index.find(stop)?;
    let document = index.document(plan);
    let board = Rc::new(Board::default());
    board.goal.set(goal);
    board.total.set(index.total);
    board.whole.set(index.hash);
    board.index.set(&document);
    debug::begun(&board);
    let story = RefCell::new(Story::new(plan, &index));
    let mut debuggee = Debuggee::new(board.clone(), &story);
    let outcome = {
        let machine = execute::machine(schedule).steer(&mut debuggee);
        let sink = &mut |event: &trace::Event| story.borrow_mut().event(event, &board);
        sim::run_on(machine, plan, sink).map_err(Failure::request)?
    };
    if board.attached.get() != 0 {
        debuggee.show(outcome.virtual_time);
        // A debugger that lets the process go on here has come to the end, and is to stay there: it cannot go back from a process that is gone. One
        // that has left does not keep it.
        (0..AT_THE_END).for_each(|_| debug::ended(&board));
        return Ok(Exit::Held);
    }
    let told = match args.json {
        true => debuggee.into_view() + "\n",
        false => story.borrow().text(),
    };
    crate::output::print(&told)?;
    Ok(Exit::Held)
}
