//! The actions that make hardware, processors and memory fail.

use super::arguments::{Arguments, shorten};
use crate::fault::plan::faults::DUPLICATE_AFTER;
use crate::fault::plan::units::{NUMBER, TIME};
use crate::fault::plan::{
    Action, Chance, DeviceFault, GuestFault, Nanos, PlanError, Scarcity, Span, What, limits,
};

impl Arguments<'_> {
    /// The rest of a fault's statement behind its `word`.
    pub(super) fn fault(&mut self, word: &str) -> Option<Action> {
        match word {
            "stall" | "clock-jump" | "preempt" | "fail-alloc" => self.guest_fault(word).map(Action::Guest),
            _ => {
                let device = self.name("device")?;
                let fault = self.device_fault(word)?;
                Some(Action::Fault { device, fault })
            }
        }
    }

    fn device_fault(&mut self, word: &str) -> Option<DeviceFault> {
        Some(match word {
            "drop" => DeviceFault::Drop { count: self.count()? },
            "delay" => DeviceFault::Delay { what: self.what()?, by: self.time("by")?, count: self.count()? },
            "duplicate" => {
                let what = self.what()?;
                let after = self.optional("after", TIME, &limits::DURATION)?.unwrap_or(DUPLICATE_AFTER);
                DeviceFault::Duplicate { what, after, count: self.count()? }
            }
            "stick" => DeviceFault::Stick { duration: self.required("for", TIME, &limits::SHORT)? },
            "mute" => DeviceFault::Mute { duration: self.time("for")? },
            "freeze" => DeviceFault::Freeze { duration: self.maybe_for()? },
            "corrupt" => DeviceFault::Corrupt { count: self.count()? },
            "short-dma" => DeviceFault::ShortDma { count: self.count()? },
            "late-dma" => DeviceFault::LateDma { by: self.time("by")?, count: self.count()? },
            "link-down" => DeviceFault::LinkDown { duration: self.maybe_for()? },
            "usb-stall" => DeviceFault::UsbStall { count: self.count()? },
            "usb-error" => DeviceFault::UsbError { count: self.count()? },
            "babble" => DeviceFault::Babble { count: self.count()? },
            "nak" => DeviceFault::Nak { duration: self.time("for")? },
            "disconnect-port" => {
                DeviceFault::DisconnectPort { port: self.port()?, duration: self.maybe_for()? }
            }
            "overcurrent" => DeviceFault::Overcurrent { port: self.port()?, duration: self.maybe_for()? },
            "bus-reset" => DeviceFault::BusReset,
            "cable-pull" => DeviceFault::CablePull { duration: self.maybe_for()? },
            "lost-ack" => DeviceFault::LostAck { count: self.count()? },
            "new-root" => DeviceFault::NewRoot,
            _ => DeviceFault::Spurious,
        })
    }

    fn guest_fault(&mut self, word: &str) -> Option<GuestFault> {
        Some(match word {
            "stall" => {
                let cpu = self.required("cpu", NUMBER, &limits::CPU_NUMBERS)? as u32;
                GuestFault::Stall { cpu, duration: self.required("for", TIME, &limits::SHORT)? }
            }
            "clock-jump" => GuestFault::ClockJump { by: self.required("by", TIME, &limits::SHORT)? },
            "preempt" => {
                let cpu = self.optional("cpu", NUMBER, &limits::CPU_NUMBERS)?;
                GuestFault::Preempt { cpu: cpu.map(|cpu| cpu as u32) }
            }
            _ => GuestFault::FailAlloc(self.scarcity()?),
        })
    }

    /// `#N`, or `p=P [for=TIME]`; without either, the next one.
    fn scarcity(&mut self) -> Option<Scarcity> {
        if let Some(number) = self.word_if('#') {
            let count = self.value(NUMBER, &number.text[1..], number.span, &limits::ALLOCATIONS)?;
            return Some(Scarcity::Nth(count));
        }
        let Some(option) = self.take("p") else { return Some(Scarcity::Nth(1)) };
        let chance = self.chance(option.value, option.span)?;
        Some(Scarcity::Chance { chance, duration: self.maybe_for()? })
    }

    /// `race NAME timer=before|after`.
    pub(super) fn race(&mut self) -> Option<Action> {
        let device = self.name("device")?;
        let timer_first = self.choice("timer", "before", "after", None)?;
        Some(Action::Race { device, timer_first })
    }

    fn what(&mut self) -> Option<What> {
        let interrupt = self.choice("what", What::Interrupt.word(), What::Completion.word(), Some(true))?;
        Some(if interrupt { What::Interrupt } else { What::Completion })
    }

    /// The option `key`, which is one of two words: whether it is the first of them.
    fn choice(&mut self, key: &'static str, yes: &str, no: &str, default: Option<bool>) -> Option<bool> {
        let expected = format!("`{key}={yes}` or `{key}={no}`");
        let (span, message) = match self.take(key) {
            Some(option) if option.value == yes => return Some(true),
            Some(option) if option.value == no => return Some(false),
            Some(option) => (option.span, format!("`{}` is not a value of `{key}`", shorten(option.value))),
            None if default.is_some() => return default,
            None => (self.span, format!("`{key}=` is missing")),
        };
        self.errors.push(PlanError::new(span, message).expected(expected));
        None
    }

    fn port(&mut self) -> Option<u8> {
        Some(self.required("port", NUMBER, &limits::PORTS)? as u8)
    }

    fn count(&mut self) -> Option<u64> {
        Some(self.optional("count", NUMBER, &limits::FAULTS)?.unwrap_or(1))
    }

    fn time(&mut self, key: &'static str) -> Option<Nanos> {
        self.required(key, TIME, &limits::DURATION)
    }

    fn maybe_for(&mut self) -> Option<Option<Nanos>> {
        self.optional("for", TIME, &limits::DURATION)
    }

    /// A probability.
    pub(super) fn chance(&mut self, value: &str, span: Span) -> Option<Chance> {
        let chance = Chance::parse(value);
        if chance.is_none() {
            let error = PlanError::new(span, format!("`{}` is not a probability", shorten(value)));
            self.errors.push(error.expected("a decimal number above 0, at most 1, such as `p=0.01`"));
        }
        chance
    }
}
