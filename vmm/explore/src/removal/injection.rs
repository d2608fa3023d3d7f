//! One removal: which card, where, how, and what else happens there.

use crate::phase::Phase;
use devices::fault::plan::Action;

/// What else happens at the removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Company {
    /// Nothing.
    Alone,
    /// Interrupts with nothing to say, from the occurrence before on.
    Interrupt,
    /// The CPU loses time there, up to its next deadline: a timer falls due, or devices finish, together with the removal. Only for events of the
    /// guest, whose time is known.
    Timer,
}

impl Company {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Company::Alone => "alone",
            Company::Interrupt => "interrupt",
            Company::Timer => "timer",
        }
    }
}

/// How the card goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// `unplug`: pulled out.
    Surprise,
    /// `eject`: by the attention button; the card answers until the slot's power goes.
    Orderly,
}

impl Way {
    pub(super) fn action(self, device: &str) -> Action {
        match self {
            Way::Surprise => Action::Unplug(device.to_owned()),
            Way::Orderly => Action::Eject(device.to_owned()),
        }
    }
}

/// When and where an event of the reference run was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Plan time, ns.
    pub plan: u64,
    /// Machine time, ns.
    pub machine: u64,
    /// CPU.
    pub cpu: u8,
}

/// One removal to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Device.
    pub device: String,
    /// Site, as plans name it.
    pub site: String,
    /// Which occurrence.
    pub count: u64,
    /// State of the stack in the reference run, if it is known.
    pub phase: Option<Phase>,
    /// When it was in the reference run, if that is known.
    pub when: Option<When>,
    /// How the card goes.
    pub way: Way,
    /// What else happens.
    pub company: Company,
}

impl Injection {
    /// A removal by surprise at the `count`-th occurrence of `site`, alone.
    pub(super) fn new(device: &str, site: &str, count: u64) -> Self {
        Self {
            device: device.to_owned(),
            site: site.to_owned(),
            count,
            phase: None,
            when: None,
            way: Way::Surprise,
            company: Company::Alone,
        }
    }
}
