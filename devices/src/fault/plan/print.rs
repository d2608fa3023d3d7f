//! A plan into its canonical text: one space between words, the largest fitting unit, options in a fixed order,
//! comments where they were.

use super::units::{RATE, SIZE, TIME};
use super::{Action, Era, Expect, Item, Line, Load, ON, PORT, Plan, Plug, Preemption, Rule, Trigger};
use std::fmt::{self, Display, Formatter, Write};

impl Plan {
    /// The lines to print: those that the plan has, and one for each part that none of them holds (all of them, for a plan made by
    /// a program). Parts that are as by default need no line.
    pub fn layout(&self) -> Vec<Line> {
        let mut lines = self.lines.clone();
        let has = |item: Item| self.lines.iter().any(|line| line.item == Some(item));
        let standard = Plan::default();
        let of = |plan: &Plan| {
            let scheduling = (plan.preemption, plan.push, plan.fail_safe);
            (plan.cpus, plan.memory, plan.era, scheduling, plan.overstay, plan.debounce)
        };
        let machine = of(self) != of(&standard);
        if machine && !has(Item::Machine) {
            lines.insert(0, Line { item: Some(Item::Machine), comment: None });
        }
        let parts = (0..self.plugs.len())
            .map(Item::Plug)
            .chain((0..self.loads.len()).map(Item::Load))
            .chain((0..self.threads.len()).map(Item::Thread))
            .chain((0..self.rules.len()).map(Item::Rule))
            .chain((0..self.expects.len()).map(Item::Expect))
            .chain((self.run_for != standard.run_for).then_some(Item::Run));
        let missing = parts.filter(|item| !has(*item));
        lines.extend(missing.map(|item| Line { item: Some(item), comment: None }));
        lines
    }

    fn item(&self, item: Item, f: &mut Formatter<'_>) -> fmt::Result {
        // An index without a part behind it (a plan changed by a program) prints nothing.
        let part: Option<&dyn Display> = match item {
            Item::Machine => return self.machine(f),
            Item::Run => return write!(f, "run for={}", TIME.show(self.run_for)),
            Item::Plug(n) => self.plugs.get(n).map(|p| p as &dyn Display),
            Item::Load(n) => self.loads.get(n).map(|p| p as &dyn Display),
            Item::Thread(n) => self.threads.get(n).map(|p| p as &dyn Display),
            Item::Rule(n) => self.rules.get(n).map(|p| p as &dyn Display),
            Item::Expect(n) => self.expects.get(n).map(|p| p as &dyn Display),
        };
        part.map_or(Ok(()), |part| part.fmt(f))
    }

    fn machine(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "machine cpus={} memory={}", self.cpus, SIZE.show(self.memory))?;
        if self.era != Era::default() {
            write!(f, " era={}", self.era.word())?;
        }
        if self.preemption != Preemption::default() {
            write!(f, " preemption={}", self.preemption.word())?;
        }
        if !self.push {
            f.write_str(" push=off")?;
        }
        if let Some(time) = self.fail_safe {
            write!(f, " fail-safe={}", TIME.show(time))?;
        }
        if let Some(time) = self.overstay {
            write!(f, " overstay={}", TIME.show(time))?;
        }
        if let Some(time) = self.debounce {
            write!(f, " debounce={}", TIME.show(time))?;
        }
        Ok(())
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for line in self.layout() {
            if let Some(item) = line.item {
                self.item(item, f)?;
            }
            if let Some(comment) = &line.comment {
                let space = if line.item.is_some() { "  " } else { "" };
                write!(f, "{space}#{comment}")?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

impl Display for Plug {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "plug {} {}", self.name, self.model)?;
        match self.on() {
            None => write!(f, " slot={}", self.slot)?,
            Some(on) => write!(f, " on={} port={}", Value(on), self.port())?,
        }
        let placed = self.on().is_some();
        let further = |key: &str| !(placed && matches!(key, ON | PORT));
        for (key, value) in self.options.iter().filter(|(key, _)| further(key)) {
            write!(f, " {key}={}", Value(value))?;
        }
        Ok(())
    }
}

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "load {} clients={} depth={}", self.device, self.clients, self.depth)?;
        if let Some(size) = self.size {
            write!(f, " size={}", SIZE.show(size.into()))?;
        }
        if self.tasks { f.write_str(" as=tasks") } else { Ok(()) }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.trigger, self.action)
    }
}

impl Display for Trigger {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "at {}", TIME.show(*time)),
            Self::Every(time) => write!(f, "every {}", TIME.show(*time)),
            Self::Nth { device, site, count } => write!(f, "on {device}.{site} #{count}"),
            Self::Chance { device, site, chance } => write!(f, "on {device}.{site} p={chance}"),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        if let Some(device) = self.device() {
            write!(f, " {device}")?;
        }
        match self {
            Self::Unplug(_) | Self::Eject(_) | Self::Replug(_) | Self::Plug(_) | Self::Kill(_) => Ok(()),
            Self::Storm { rate_hz, duration, .. } => {
                write!(f, " rate={} for={}", RATE.show(*rate_hz), TIME.show(*duration))
            }
            Self::Fault { fault, .. } => fault.fmt(f),
            Self::Race { timer_first, .. } => {
                write!(f, " timer={}", if *timer_first { "before" } else { "after" })
            }
            Self::Guest(fault) => fault.fmt(f),
        }
    }
}

impl Display for Expect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline(within, _) => write!(f, "expect offline within={}", TIME.show(*within)),
            Self::Quiet(within, _) => write!(f, "expect quiet within={}", TIME.show(*within)),
            Self::Turn { thread, within, .. } => {
                write!(f, "expect turn {thread} within={}", TIME.show(*within))
            }
            Self::NoLeaks(_) => f.write_str("expect no-leaks"),
        }
    }
}

/// An option's value, quoted where it must be.
struct Value<'a>(&'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && !self.0.contains([' ', '\t', '#', '"']) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}
