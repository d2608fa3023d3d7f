//! `--control`: the control socket of a run, and what the two machines are to it.

mod client;
mod debugger;
mod ioreg;
mod kvm;
mod pulse;
mod registry;
mod sim;
mod story;
mod tail;

pub use client::Client;
pub use debugger::{Debugger, address};
pub use ioreg::{classcount, ioreg, render};
pub use registry::{Node, Registry};
pub use story::Watched;
pub use tail::read as read_event;

use crate::cli::ControlArgs;
use crate::exit::Failure;
use control::{Controller, Over, Server};
use devices::fault::plan::Plan;
use verdict::Verdict;

/// The control socket of one machine.
pub struct Control {
    controller: Controller,
    /// Its thread ends when this is dropped.
    server: Server,
}

/// A machine under control, and what is known of its run.
pub struct Steering<'a> {
    controller: &'a mut Controller,
    story: &'a Watched,
}

impl Control {
    /// Opens the socket, if one is wanted.
    pub fn open(args: &ControlArgs, plan: &Plan) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.control else { return Ok(None) };
        let server = Server::start(path).map_err(Failure::request)?;
        let controller = Controller::new(server.desk(), plan, args.paused);
        Ok(Some(Self { controller, server }))
    }

    /// What steers the machine.
    pub fn steering<'a>(&'a mut self, story: &'a Watched) -> Steering<'a> {
        Steering { controller: &mut self.controller, story }
    }

    /// Whether a client ended the machine.
    pub fn ended(&self) -> bool {
        self.controller.ended().is_some()
    }

    /// The machine has ended; those who followed its trace are told the rest of it.
    pub fn over(&mut self, how: Over, story: &Watched) {
        story.rest().into_iter().for_each(|batch| self.controller.last_events(batch));
        self.controller.over(how);
    }

    /// Tells the verdict, and closes the socket.
    pub fn close(self, verdict: Option<&Verdict>) {
        if let Some(verdict) = verdict {
            self.controller.verdict(verdict.passed, verdict::word(verdict), verdict.findings_total);
        }
        self.controller.close();
        self.server.finish();
    }
}
