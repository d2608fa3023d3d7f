//! Messages that services send to their clients.

/// A message, with the numbers of macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The provider is terminating (phase 2, in the provider's gate).
    IsTerminated,
    /// Somebody wants the provider closed: close it if you can.
    RequestingClose,
    /// Somebody is about to open the provider.
    AttemptingOpen,
    /// Another client closed the provider.
    WasClosed,
    /// The provider's busy count went from 0 to 1 or back.
    BusyStateChange,
    /// A family's own message.
    Family(u32),
}

impl Message {
    /// The number.
    pub const fn code(self) -> u32 {
        match self {
            Self::IsTerminated => 0xe000_0010,
            Self::RequestingClose => 0xe000_0100,
            Self::AttemptingOpen => 0xe000_0101,
            Self::WasClosed => 0xe000_0110,
            Self::BusyStateChange => 0xe000_0120,
            Self::Family(code) => code,
        }
    }
}
