//! The faults that a rule can bring about in a device, and in the guest around it.

use super::units::TIME;
use super::{Chance, Nanos};
use std::fmt::{self, Display, Formatter};

/// From an interrupt, or what a device says of a completion, to its duplicate where the plan does not say, ns.
pub const DUPLICATE_AFTER: Nanos = 1_000;

/// What [`DeviceFault::Delay`] delays, and [`DeviceFault::Duplicate`] doubles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// An interrupt.
    #[default]
    Interrupt,
    /// A completion: the work that a device is at, and all of its work that would be done before it.
    Completion,
}

impl What {
    /// The word of `what=`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Completion => "completion",
        }
    }
}

/// What goes wrong in a device. A `count` is how many of the next such accesses it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// `spurious`: one interrupt that nobody asked for.
    Spurious,
    /// `drop`: the next interrupts are lost.
    Drop {
        /// How many.
        count: u64,
    },
    /// `delay`: the next interrupts or completions come later.
    Delay {
        /// Which of the two.
        what: What,
        /// How much later, ns.
        by: Nanos,
        /// How many.
        count: u64,
    },
    /// `duplicate`: the next interrupts come twice, or the next completions are delivered twice.
    Duplicate {
        /// Which of the two.
        what: What,
        /// From the first to the second, ns.
        after: Nanos,
        /// How many.
        count: u64,
    },
    /// `stick`: the interrupt line is asserted for this long, whatever the device does.
    Stick {
        /// How long, ns.
        duration: Nanos,
    },
    /// `mute`: no interrupt reaches the bus for this long.
    Mute {
        /// How long, ns.
        duration: Nanos,
    },
    /// `freeze`: the device does nothing.
    Freeze {
        /// How long, ns; `None` = for good.
        duration: Option<Nanos>,
    },
    /// `corrupt`: the next DMA writes have altered bytes.
    Corrupt {
        /// How many.
        count: u64,
    },
    /// `short-dma`: the next DMA writes stop half-way, unnoticed.
    ShortDma {
        /// How many.
        count: u64,
    },
    /// `late-dma`: the next DMA writes reach memory later.
    LateDma {
        /// How much later, ns.
        by: Nanos,
        /// How many.
        count: u64,
    },
    /// `link-down`: the link to the slot goes down.
    LinkDown {
        /// How long, ns; `None` = for good.
        duration: Option<Nanos>,
    },
    /// `usb-stall`: a USB device answers the next packets with a halt.
    UsbStall {
        /// How many.
        count: u64,
    },
    /// `usb-error`: the next packets from or to a USB device are spoilt on the way.
    UsbError {
        /// How many.
        count: u64,
    },
    /// `babble`: a USB device answers with more than it was asked for.
    Babble {
        /// How many times.
        count: u64,
    },
    /// `nak`: a USB device is not ready.
    Nak {
        /// How long, ns.
        duration: Nanos,
    },
    /// `disconnect-port`: what is on a port of a controller or hub loses contact.
    DisconnectPort {
        /// From 1.
        port: u8,
        /// How long, ns; `None` = until it is plugged in again.
        duration: Option<Nanos>,
    },
    /// `overcurrent`: a port of a controller or hub takes too much current.
    Overcurrent {
        /// From 1.
        port: u8,
        /// How long, ns; `None` = for good.
        duration: Option<Nanos>,
    },
    /// `bus-reset`: a FireWire node resets the bus.
    BusReset,
    /// `cable-pull`: the cable between a FireWire node and the controller's side is out.
    CablePull {
        /// How long, ns; `None` = until it is plugged in again.
        duration: Option<Nanos>,
    },
    /// `lost-ack`: the acknowledges of the next packets to or from a FireWire node are lost.
    LostAck {
        /// How many.
        count: u64,
    },
    /// `new-root`: a FireWire node makes itself root, by a bus reset.
    NewRoot,
}

impl DeviceFault {
    /// The action's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Spurious => "spurious",
            Self::Drop { .. } => "drop",
            Self::Delay { .. } => "delay",
            Self::Duplicate { .. } => "duplicate",
            Self::Stick { .. } => "stick",
            Self::Mute { .. } => "mute",
            Self::Freeze { .. } => "freeze",
            Self::Corrupt { .. } => "corrupt",
            Self::ShortDma { .. } => "short-dma",
            Self::LateDma { .. } => "late-dma",
            Self::LinkDown { .. } => "link-down",
            Self::UsbStall { .. } => "usb-stall",
            Self::UsbError { .. } => "usb-error",
            Self::Babble { .. } => "babble",
            Self::Nak { .. } => "nak",
            Self::DisconnectPort { .. } => "disconnect-port",
            Self::Overcurrent { .. } => "overcurrent",
            Self::BusReset => "bus-reset",
            Self::CablePull { .. } => "cable-pull",
            Self::LostAck { .. } => "lost-ack",
            Self::NewRoot => "new-root",
        }
    }
}

/// ` count=N`, unless it is one.
struct Count(u64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { Ok(()) } else { write!(f, " count={}", self.0) }
    }
}

/// ` what=…`, unless it is interrupts.
struct Which(What);

impl Display for Which {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == What::default() { Ok(()) } else { write!(f, " what={}", self.0.word()) }
    }
}

/// ` for=TIME`, unless it is for good.
struct For(Option<Nanos>);

impl Display for For {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |time| write!(f, " for={}", TIME.show(time)))
    }
}

/// The options, each with a space before it.
impl Display for DeviceFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Spurious | Self::BusReset | Self::NewRoot => Ok(()),
            Self::Drop { count }
            | Self::Corrupt { count }
            | Self::ShortDma { count }
            | Self::UsbStall { count }
            | Self::UsbError { count }
            | Self::Babble { count }
            | Self::LostAck { count } => Count(count).fmt(f),
            Self::DisconnectPort { port, duration } | Self::Overcurrent { port, duration } => {
                write!(f, " port={port}{}", For(duration))
            }
            Self::Delay { what, by, count } => {
                Which(what).fmt(f)?;
                write!(f, " by={}{}", TIME.show(by), Count(count))
            }
            Self::Duplicate { what, after, count } => {
                Which(what).fmt(f)?;
                if after != DUPLICATE_AFTER {
                    write!(f, " after={}", TIME.show(after))?;
                }
                Count(count).fmt(f)
            }
            Self::Stick { duration } | Self::Mute { duration } | Self::Nak { duration } => {
                For(Some(duration)).fmt(f)
            }
            Self::Freeze { duration } | Self::LinkDown { duration } | Self::CablePull { duration } => {
                For(duration).fmt(f)
            }
            Self::LateDma { by, count } => write!(f, " by={}{}", TIME.show(by), Count(count)),
        }
    }
}

/// Which allocations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scarcity {
    /// `#N`: the N-th from now, from 1.
    Nth(u64),
    /// `p=P`: each one with this probability.
    Chance {
        /// How probable.
        chance: Chance,
        /// For how long, ns; `None` = for good.
        duration: Option<Nanos>,
    },
}

/// What happens to the guest's processors and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// `stall`: a CPU executes nothing for this long, while time goes on.
    Stall {
        /// Which CPU, from 0.
        cpu: u32,
        /// How long, ns.
        duration: Nanos,
    },
    /// `clock-jump`: between two instructions, machine time goes forward.
    ClockJump {
        /// By how much, ns.
        by: Nanos,
    },
    /// `preempt`: the thread that runs has used up its quantum.
    Preempt {
        /// On which CPU; `None` = the one at which the trigger's event happened.
        cpu: Option<u32>,
    },
    /// `fail-alloc`: there is no memory.
    FailAlloc(Scarcity),
}

impl GuestFault {
    /// The action's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stall { .. } => "stall",
            Self::ClockJump { .. } => "clock-jump",
            Self::Preempt { .. } => "preempt",
            Self::FailAlloc(_) => "fail-alloc",
        }
    }

    /// The CPU that it names.
    pub const fn cpu(self) -> Option<u32> {
        match self {
            Self::Stall { cpu, .. } => Some(cpu),
            Self::Preempt { cpu } => cpu,
            Self::ClockJump { .. } | Self::FailAlloc(_) => None,
        }
    }
}

/// The options, each with a space before it.
impl Display for GuestFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Stall { cpu, duration } => write!(f, " cpu={cpu} for={}", TIME.show(duration)),
            Self::ClockJump { by } => write!(f, " by={}", TIME.show(by)),
            Self::Preempt { cpu } => cpu.map_or(Ok(()), |cpu| write!(f, " cpu={cpu}")),
            Self::FailAlloc(Scarcity::Nth(count)) => write!(f, " #{count}"),
            Self::FailAlloc(Scarcity::Chance { chance, duration }) => {
                write!(f, " p={chance}{}", For(duration))
            }
        }
    }
}
