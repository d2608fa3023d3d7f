//! The machine of a replay, as a debugger steers it by the board.

use super::story::Story;
use sim::debug::{Board, TO_THE_END};
use sim::{Held, Steer};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs to its goal.
    Runs,
    /// It stands at this goal, and a debugger is let look at the thread that runs.
    Stands(u64),
    /// It stands at this goal, and a debugger is let look at other threads.
    Visits(u64),
}

/// Steers a machine to the goal on its board, and lets it stand there.
pub struct Debuggee<'a> {
    board: Rc<Board>,
    story: &'a RefCell<Story>,
    /// The text that the board's view points to.
    view: String,
    /// Set: the machine has not begun.
    fresh: Arc<AtomicBool>,
    state: State,
}

impl<'a> Debuggee<'a> {
    /// Steers the machine of `board`, whose events `story` follows.
    pub fn new(board: Rc<Board>, story: &'a RefCell<Story>) -> Self {
        let fresh = Arc::new(AtomicBool::new(true));
        Self { board, story, view: String::new(), fresh, state: State::Runs }
    }

    /// Writes to the board what there is to see at machine time `time`, ns.
    pub fn show(&mut self, time: u64) {
        let story = self.story.borrow();
        self.board.time.set(time);
        self.board.hash.set(story.hash());
        self.view = story.view().to_string();
        self.board.view.set(&self.view);
    }

    /// What was last shown.
    pub fn into_view(self) -> String {
        self.view
    }

    /// On to the goal on the board.
    fn go(&mut self, held: &mut Held) {
        self.state = State::Runs;
        held.stop_behind(self.board.goal.get());
    }

    /// The machine has come to its goal.
    fn arrive(&mut self, held: &mut Held) {
        self.show(held.now());
        self.stand(self.board.goal.get(), held);
    }

    fn stand(&mut self, goal: u64, held: &mut Held) {
        self.state = State::Stands(goal);
        held.stand();
    }

    /// The machine stands at `goal`, and a debugger has been let look. True if that one has told it to do something else.
    fn told(&mut self, goal: u64, held: &mut Held) -> bool {
        if self.board.goal.get() != goal {
            self.go(held);
            return true;
        }
        let ask = self.board.ask.get();
        if ask != 0 {
            self.board.ask.set(0);
            self.state = State::Visits(goal);
            held.visit(ask);
        }
        ask != 0
    }
}

impl Steer for Debuggee<'_> {
    fn attention(&self) -> Arc<AtomicBool> {
        self.fresh.clone()
    }

    fn look(&mut self, held: &mut Held) {
        if self.fresh.swap(false, Ordering::AcqRel) {
            return self.go(held);
        }
        let state = self.state;
        match state {
            State::Runs if held.reached() => self.arrive(held),
            // A device has come or gone.
            State::Runs => {}
            State::Stands(goal) | State::Visits(goal) if self.told(goal, held) => {}
            State::Visits(goal) => self.stand(goal, held),
            // Nobody was there, or somebody who knows nothing of boards.
            State::Stands(_) if self.board.attached.get() == 0 => held.end(),
            // Told to go on, and not where to.
            State::Stands(_) => {
                self.board.goal.set(TO_THE_END);
                self.go(held);
            }
        }
    }

    fn board(&self) -> Option<Rc<Board>> {
        Some(self.board.clone())
    }
}
