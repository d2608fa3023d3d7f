//! The life of a service as the trace tells it: states, and the steps between them that a teardown may take.

use trace::{Event, Kind};

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Not attached, or no longer.
    Detached,
    /// In the registry.
    Attached,
    /// Its start runs.
    Starting,
    /// Its start returned true.
    Started,
    /// Its start returned false.
    Failed,
    /// Registered: drivers may match.
    Registered,
    /// Phase 1 made it inactive.
    Inactive,
    /// It has heard willTerminate of a provider.
    Told,
    /// It has heard didTerminate of a provider.
    Done,
    /// finalize was called.
    Finalized,
    /// stop was called.
    Stopped,
    /// The last reference is gone.
    Freed,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 12] = [
        Self::Detached,
        Self::Attached,
        Self::Starting,
        Self::Started,
        Self::Failed,
        Self::Registered,
        Self::Inactive,
        Self::Told,
        Self::Done,
        Self::Finalized,
        Self::Stopped,
        Self::Freed,
    ];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            State::Detached => "detached",
            State::Attached => "attached",
            State::Starting => "starting",
            State::Started => "started",
            State::Failed => "failed",
            State::Registered => "registered",
            State::Inactive => "inactive",
            State::Told => "willTerminate",
            State::Done => "didTerminate",
            State::Finalized => "finalized",
            State::Stopped => "stopped",
            State::Freed => "freed",
        }
    }

    /// Where `event`, which is about the service, leads; `None`: nowhere.
    pub fn after(event: &Event) -> Option<State> {
        Some(match event.kind {
            Kind::Attach => State::Attached,
            Kind::Start => State::Starting,
            Kind::Started if event.arg == 1 => State::Started,
            Kind::Started => State::Failed,
            Kind::Register => State::Registered,
            Kind::Inactive => State::Inactive,
            Kind::WillTerminate => State::Told,
            Kind::DidTerminate => State::Done,
            Kind::Finalize => State::Finalized,
            Kind::Stop => State::Stopped,
            Kind::Detach => State::Detached,
            Kind::Free => State::Freed,
            _ => return None,
        })
    }
}

use State::{
    Attached, Detached, Done, Failed, Finalized, Freed, Inactive, Registered, Started, Starting, Stopped,
    Told,
};

/// The steps that section 3 of the rules allows, in the order of a life. Others are possible (two providers), and are told when they are seen.
pub const STEPS: &[(State, State)] = &[
    (Detached, Attached),
    (Attached, Detached),
    (Attached, Starting),
    (Starting, Started),
    (Starting, Failed),
    (Failed, Detached),
    (Attached, Registered),
    (Starting, Registered),
    (Started, Registered),
    (Registered, Started),
    (Attached, Inactive),
    (Starting, Inactive),
    (Started, Inactive),
    (Registered, Inactive),
    (Inactive, Starting),
    (Inactive, Started),
    (Inactive, Failed),
    (Inactive, Detached),
    (Started, Told),
    (Inactive, Told),
    (Told, Done),
    (Told, Told),
    (Done, Done),
    (Done, Finalized),
    (Done, Stopped),
    (Inactive, Finalized),
    (Finalized, Told),
    (Finalized, Stopped),
    (Finalized, Detached),
    (Stopped, Stopped),
    (Stopped, Detached),
    (Detached, Detached),
    (Detached, Freed),
];
