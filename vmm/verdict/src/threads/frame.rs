//! What a thread has entered and not left.

use crate::names::Names;
use trace::{Event, Kind};

/// One entry of a thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// External method `selector` of user client `object`.
    Call {
        /// The user client.
        object: u32,
        /// The method.
        selector: u64,
    },
    /// The gate of `object`, held unless a sleep lies above.
    Gate {
        /// Owner of the work loop.
        object: u32,
        /// The thread sleeps, and has opened it.
        open: bool,
    },
    /// Waits for the gate of `object`.
    Wanted {
        /// Owner of the work loop.
        object: u32,
    },
    /// A sleep in a gate, for `event`.
    Sleep {
        /// The event.
        event: u64,
    },
    /// An interrupt action or a timer's of `object`.
    Action {
        /// Owner of the event source.
        object: u32,
        /// A timer's.
        timer: bool,
    },
    /// A life-cycle call: `object.method(other)`.
    Method {
        /// Whose method.
        object: u32,
        /// About whom.
        other: u32,
        /// Which.
        kind: Kind,
    },
}

impl Frame {
    /// Whether an event of this kind enters or leaves something.
    pub const fn concerns(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::CallEnter
                | Kind::CallExit
                | Kind::GateClose
                | Kind::GateOpen
                | Kind::GateWait
                | Kind::CommandSleep
                | Kind::CommandResume
                | Kind::ActionStart
                | Kind::ActionEnd
                | Kind::TimerFire
                | Kind::Start
                | Kind::Started
                | Kind::Detach
        ) || is_callback(kind)
    }

    /// What `event` makes of the stack of its thread.
    pub fn event(stack: &mut Vec<Self>, event: &Event) {
        let Event { object, other, kind, arg, .. } = *event;
        match kind {
            Kind::CallEnter => stack.push(Self::Call { object, selector: arg }),
            Kind::CallExit => leave(stack, |f| matches!(f, Self::Call { object: o, .. } if *o == object)),
            Kind::GateWait => stack.push(Self::Wanted { object }),
            Kind::GateClose => {
                arrived(stack);
                stack.push(Self::Gate { object, open: false });
            }
            // Actions of timers and callbacks have no end of their own: they run in a gate, and end with it.
            Kind::GateOpen => leave(stack, |f| matches!(f, Self::Gate { object: o, .. } if *o == object)),
            Kind::CommandSleep => {
                set_open(stack, object, true);
                stack.push(Self::Sleep { event: arg });
            }
            Kind::CommandResume => {
                arrived(stack);
                if let Some(Self::Sleep { .. }) = stack.last() {
                    stack.pop();
                }
                set_open(stack, object, false);
            }
            Kind::ActionStart => stack.push(Self::Action { object, timer: false }),
            Kind::TimerFire => stack.push(Self::Action { object, timer: true }),
            Kind::ActionEnd => leave(stack, |f| matches!(f, Self::Action { object: o, .. } if *o == object)),
            Kind::Started => leave(
                stack,
                |f| matches!(f, Self::Method { kind: Kind::Start, object: o, .. } if *o == object),
            ),
            Kind::Detach => callback_over(stack),
            kind => {
                callback_over(stack);
                stack.push(Self::Method { object, other, kind });
            }
        }
    }

    /// For people. `owner` knows who holds a gate.
    pub fn line(&self, names: &Names, owner: &dyn Fn(u32) -> Option<String>) -> String {
        match *self {
            Self::Call { object, selector } => format!("call {selector:#x} of {}", names.object(object)),
            Self::Gate { object, open: false } => format!("holds the gate of {}", names.object(object)),
            Self::Gate { object, open: true } => format!("in the gate of {}, open", names.object(object)),
            Self::Wanted { object } => {
                let who = owner(object).map_or_else(String::new, |owner| format!(", which {owner} holds"));
                format!("waits for the gate of {}{who}", names.object(object))
            }
            Self::Sleep { event } => format!("sleeps for event {event:#x}"),
            Self::Action { object, timer: false } => format!("action of {}", names.object(object)),
            Self::Action { object, timer: true } => format!("timer of {}", names.object(object)),
            Self::Method { object, other: 0, kind } => format!("{}.{}()", names.object(object), kind.word()),
            Self::Method { object, other, kind } => {
                format!("{}.{}({})", names.object(object), kind.word(), names.object(other))
            }
        }
    }
}

/// Life-cycle calls whose end the trace does not tell.
const fn is_callback(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Probe
            | Kind::Start
            | Kind::Stop
            | Kind::RequestTerminate
            | Kind::WillTerminate
            | Kind::DidTerminate
            | Kind::Message
            | Kind::Finalize
    )
}

/// Drops the innermost frame that is meant, and what lies above it.
fn leave(stack: &mut Vec<Frame>, is_meant: impl Fn(&Frame) -> bool) {
    if let Some(at) = stack.iter().rposition(is_meant) {
        stack.truncate(at);
    }
}

/// The gate that was waited for is there.
fn arrived(stack: &mut Vec<Frame>) {
    if let Some(Frame::Wanted { .. }) = stack.last() {
        stack.pop();
    }
}

/// A callback on top has returned: the next one begins, or its effect is seen. A start tells its own end.
fn callback_over(stack: &mut Vec<Frame>) {
    if let Some(Frame::Method { kind, .. }) = stack.last()
        && *kind != Kind::Start
    {
        stack.pop();
    }
}

fn set_open(stack: &mut [Frame], gate: u32, now: bool) {
    for frame in stack.iter_mut().rev() {
        if let Frame::Gate { object, open } = frame
            && *object == gate
        {
            *open = now;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[Event]) -> Vec<String> {
        let mut stack = Vec::new();
        events.iter().for_each(|event| Frame::event(&mut stack, event));
        stack.iter().map(|frame| frame.line(&Names::default(), &|_| None)).collect()
    }

    #[test]
    fn callbacks_follow_one_another_and_end_with_their_gate() {
        let on = |kind, object, other| Event::new(kind).object(object).other(other);
        let mut events =
            vec![on(Kind::GateClose, 1, 0), on(Kind::WillTerminate, 2, 1), on(Kind::WillTerminate, 3, 1)];
        assert_eq!(run(&events), ["holds the gate of @1", "@3.willTerminate(@1)"]);
        events.push(on(Kind::GateOpen, 1, 0));
        assert!(run(&events).is_empty());
        events.push(on(Kind::Finalize, 2, 0));
        assert_eq!(run(&events), ["@2.finalize()"]);
        events.push(on(Kind::Detach, 2, 1));
        assert!(run(&events).is_empty());
    }

    #[test]
    fn a_timer_ends_with_its_gate_and_a_call_with_all_that_it_entered() {
        let on = |kind| Event::new(kind).object(1);
        let gate = [on(Kind::GateClose), on(Kind::TimerFire)];
        assert_eq!(run(&gate), ["holds the gate of @1", "timer of @1"]);
        assert!(run(&[gate[0], gate[1], on(Kind::GateOpen)]).is_empty());
        let call = [on(Kind::CallEnter), on(Kind::GateWait), on(Kind::CallExit)];
        assert_eq!(run(&call[..2]), ["call 0x0 of @1", "waits for the gate of @1"]);
        assert!(run(&call).is_empty());
    }
}
