//! Rights and names.

/// A kind of right, with Mach's numbers (`MACH_PORT_RIGHT_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Right {
    /// To send any number of messages.
    Send = 0,
    /// To receive. There is one of each port.
    Receive = 1,
    /// To send one message.
    SendOnce = 2,
    /// A set of ports to receive from.
    PortSet = 3,
    /// What is left of a right whose port died.
    DeadName = 4,
}

impl Right {
    /// Every kind, in order of numbers.
    pub const ALL: [Right; 5] = [Self::Send, Self::Receive, Self::SendOnce, Self::PortSet, Self::DeadName];

    /// The kind with this number.
    pub const fn from_number(number: u64) -> Option<Right> {
        match number {
            0 => Some(Self::Send),
            1 => Some(Self::Receive),
            2 => Some(Self::SendOnce),
            3 => Some(Self::PortSet),
            4 => Some(Self::DeadName),
            _ => None,
        }
    }

    /// The bit that stands for it in the value of [`Trap::PortType`](crate::Trap::PortType).
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// The name of nothing.
pub const NULL: u32 = 0;
/// The name of a right that died on its way here.
pub const DEAD: u32 = u32::MAX;

/// Messages that a port may queue if nobody says otherwise (`MACH_PORT_QLIMIT_DEFAULT`).
pub const QUEUE_LIMIT_DEFAULT: u32 = 5;
/// Messages that a port may queue at the most.
pub const QUEUE_LIMIT_MAX: u32 = 16;
/// User references of one name and kind at the most (`MACH_PORT_UREFS_MAX`).
pub const REFERENCES_MAX: u32 = 0xffff;
/// Names that a task may have.
pub const NAMES_MAX: usize = 1024;
