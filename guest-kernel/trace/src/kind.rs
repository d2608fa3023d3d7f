//! The kinds of event.

/// The number is not that of any [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind(pub u16);

/// Numbers that kinds have are below this.
pub const KINDS: usize = 256;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// What happened. The word in plans and reports is [`Kind::word`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// Every kind, in numeric order.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// Every kind in the place of its number.
            const BY_NUMBER: [Option<Kind>; KINDS] = {
                let mut kinds = [None; KINDS];
                $(kinds[$number] = Some(Kind::$name);)*
                kinds
            };

            /// The name that plans, traces and reports use.
            pub const fn word(self) -> &'static str {
                match self { $(Kind::$name => $word,)* }
            }

            /// The kind that plans and reports call `word`.
            pub fn from_word(word: &str) -> Option<Kind> {
                match word { $($word => Some(Kind::$name),)* _ => None }
            }
        }

        impl TryFrom<u16> for Kind {
            type Error = UnknownKind;
            #[inline]
            fn try_from(number: u16) -> Result<Self, UnknownKind> {
                // A look, not a jump: the reader of a trace does this for each event.
                Kind::BY_NUMBER.get(usize::from(number)).copied().flatten().ok_or(UnknownKind(number))
            }
        }
    };
}

kinds! {
    /// The kernel's first thread runs (`arg` = instructions or 0). Boot ends here.
    FirstThread = 1, "boot.firstThread";
    /// IOKit is up and the plan's clock starts: machine time of this event is plan time zero.
    Ready = 2, "boot.ready";
    /// `object` (a registry entry) has the name `text`; comes before any other event about it.
    Name = 3, "registry.name";
    /// `object` is an instance of class `text`; follows [`Kind::Name`].
    Class = 4, "registry.class";
    /// The kernel panicked; `text` is the beginning of the message (all of it is on the console).
    Panic = 5, "kernel.panic";
    /// The guest is done: workload stopped, nubs terminated, class counts reported. `arg` = 0.
    Done = 6, "run.done";
    /// A check inside the kernel failed: `text` is the rule (`WL1`, `CG6` …), `arg` a detail.
    Violation = 7, "oracle.violation";
    /// An allocation failed because the plan wants it; `text` = of what.
    NoMemory = 9, "memory.none";
    /// A class has `arg` instances left at the end of the run; `text` = class.
    ClassCount = 8, "class.count";
    /// Run `other` of the conformance test at place `object` in their table begins (`arg` = 1) or ends (0); 2 = the test itself begins.
    TestRun = 10, "test.run";
    /// A step of a cycle that the host asked for ([`crate::ring::Step`], number `other`) on the device in `slot` is done; `arg` = IOReturn, `text` = why it
    /// could not be done.
    Stepped = 11, "cycle.step";
    /// A figure of a census that the host asked for: there are `arg` of `text`; `other` says what is counted ([`crate::Counted`]).
    Census = 12, "census";
    /// The census is complete; `arg` = how many figures it has.
    CensusEnd = 13, "census.end";
    /// Host side: the host did `arg` ns of machine time later what was due, or turned to the machine so much later. What takes long until now may be its doing.
    HostLate = 14, "host.late";
    /// The processor did what no processor does, so nothing that the guest did since can be judged: `text` says what
    /// (`masked interrupt`), `arg` a detail. The run ends.
    HostDefect = 15, "host.defect";

    /// Thread `object` was created with name `text`; `arg` = priority.
    ThreadStart = 16, "thread.start";
    /// Thread `object` ended.
    ThreadEnd = 17, "thread.end";
    /// This CPU switched from thread `other` to thread `object`. `arg` = what becomes of `other`: 0 it waits, 1 it could go on, 2 it has ended.
    Dispatch = 18, "thread.dispatch";
    /// Thread `object` was made runnable by `thread`; `arg` = wait result.
    Wake = 19, "thread.wake";
    /// An interrupt with vector `arg` was taken.
    Interrupt = 20, "irq.enter";
    /// The handler of vector `arg` returned.
    InterruptEnd = 21, "irq.exit";
    /// Thread `object` waited `arg` ns for a lock of thread `other`, which was ready, while a less important thread named `text` ran (S7).
    Inversion = 22, "thread.inversion";
    /// Thread `object` of the plan, named `text`, has done its turn `arg` ns after it was due.
    Turn = 23, "thread.turn";

    /// Task `object` was made with name `text`.
    TaskStart = 24, "task.start";
    /// Task `object` is being terminated; `text` = its name.
    TaskEnd = 25, "task.end";
    /// A thread of task `object` raised exception `other` (`EXC_…`) at address `arg`; `text` = the task's name.
    TaskException = 26, "task.exception";

    /// The gate of work loop `object` (registry id of its owner) was closed by `thread`, first level.
    GateClose = 32, "gate.close";
    /// The gate of work loop `object` was opened, last level.
    GateOpen = 33, "gate.open";
    /// A filter of `object` ran; `arg` = 1 if it said that the interrupt was its own.
    Filter = 34, "filter";
    /// An interrupt action of `object` begins; `arg` = coalesced count.
    ActionStart = 35, "action.start";
    /// It ended.
    ActionEnd = 36, "action.end";
    /// A timer action of `object` begins.
    TimerFire = 37, "timer.fire";
    /// A timer of `object` was armed for machine time `arg`.
    TimerArm = 38, "timer.arm";
    /// A timer of `object` was cancelled; `arg` = 1 if the gate was held.
    TimerCancel = 39, "timer.cancel";
    /// commandSleep of `object` begins: the gate is dropped. `arg` = event.
    CommandSleep = 40, "gate.sleep";
    /// commandSleep returned with the gate closed again; `arg` = wait result.
    CommandResume = 41, "gate.resume";
    /// commandWakeup of event `arg`.
    CommandWakeup = 42, "gate.wakeup";
    /// An event source of `object` was removed from its work loop (timers off, filter unregistered).
    SourceRemoved = 43, "source.removed";
    /// `thread` finds the gate of work loop `object` closed by thread `other`, and waits for it.
    GateWait = 44, "gate.wait";

    /// An action of `object` took `arg` ns, longer than it may (OV1); `text` = what it was: action, timer, filter, gated action.
    Overstay = 48, "overstay";

    /// `object` (client) attached to `other` (provider).
    Attach = 64, "attach";
    /// `object` detached from `other`.
    Detach = 65, "detach";
    /// `object.probe(other)`; `arg` = score.
    Probe = 66, "probe";
    /// `object.start(other)` entered.
    Start = 67, "start";
    /// `object.start` returned; `arg` = 1 for true.
    Started = 68, "started";
    /// `object` was registered.
    Register = 69, "register";
    /// `object.stop(other)`.
    Stop = 70, "stop";
    /// `other.open(object)`: client `object` opened provider `other`; `arg` = 1 for true.
    Open = 71, "open";
    /// `other.close(object)`.
    Close = 72, "close";
    /// Phase 1 made `object` inactive.
    Inactive = 73, "inactive";
    /// `object.requestTerminate(other)`; `arg` = 1 for true.
    RequestTerminate = 74, "requestTerminate";
    /// Terminated notification about `object`.
    TermNotify = 75, "termNotify";
    /// WillTerminate notification about `object`.
    WillNotify = 76, "willNotify";
    /// `object.willTerminate(other)`.
    WillTerminate = 77, "willTerminate";
    /// `object.didTerminate(other)`.
    DidTerminate = 78, "didTerminate";
    /// `object.message(arg)` from `other`.
    Message = 79, "message";
    /// `object.finalize()`.
    Finalize = 80, "finalize";
    /// `object` was freed: last reference gone.
    Free = 81, "free";
    /// Busy count of `object` went from 0 to 1 (`arg` = 1) or back (`arg` = 0).
    Busy = 82, "busy";
    /// Terminate of `object` begins (phase 1, root); `arg` = options.
    Terminate = 83, "terminate";
    /// The user port of user client `object` was destroyed.
    PortDead = 84, "portDead";
    /// The kernel learned from the slot that the device of nub `object` is gone.
    Gone = 85, "gone";

    /// A client thread entered external method `arg` of user client `object`.
    CallEnter = 96, "call.enter";
    /// It returned; `arg` = IOReturn.
    CallExit = 97, "call.exit";
    /// Request `arg` (unique in the run) was issued to user client `object` by the workload.
    IoIssue = 98, "io.issue";
    /// Request `arg` came back right: data checked.
    IoDone = 99, "io.done";
    /// Request `arg` came back Offline, or was refused because the device or its port is gone.
    IoOffline = 100, "io.offline";
    /// Request `arg` came back with another error; `other` = IOReturn.
    IoError = 101, "io.error";
    /// Request `arg` came back with wrong data.
    IoCorrupt = 102, "io.corrupt";

    /// A device register of `object` was read or written by a driver after it was told of the removal.
    TouchAfterRemoval = 112, "touch.afterRemoval";

    /// Host side: the plan did something to the device in `slot`; `text` is the action's word.
    Fault = 128, "fault";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_round_trip() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
            assert_eq!(Kind::try_from(kind as u16), Ok(kind));
        }
        assert_eq!(Kind::try_from(0), Err(UnknownKind(0)));
    }
}
