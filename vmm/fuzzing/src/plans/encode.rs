//! From a plan to the case that is most like it, and from a case to the bytes that mean it.

use super::act::{Act, TRIGGERS, is_for, sites};
use super::case::{
    Case, DEVICES, Device, ERAS, FIREWIRE, FIREWIRE_DEVICES, MICRO, RUN_LEAST, RUN_MOST, USB, USB_DEVICES,
};
use super::tempo::Onset;
use devices::catalogue;
use devices::fault::plan::{Action, DeviceFault, GuestFault, Nanos, Plan, Plug, Scarcity, Trigger, What};
use std::collections::BTreeMap;

impl Case {
    /// The case that is most like `plan`: its first devices and rules, its times scaled down to a case's run.
    pub fn like(plan: &Plan, seed: u64) -> Self {
        let mut case = Self { seed, ..Self::default() };
        case.shape = (plan.cpus.clamp(1, 4) - 1) as u8;
        case.shape |= (ERAS.iter().position(|era| *era == plan.era).unwrap_or(0) as u8) << 2;
        let scale = Scale(plan.run_for.max(1));
        case.run = (RUN_MOST - RUN_LEAST - 1) as u16;
        // Whatever has something behind it comes with that.
        let carries = |plug: &&Plug| plan.behind().any(|other| other.on() == Some(plug.name.as_str()));
        let alone: Vec<&Plug> = plan.plugs.iter().filter(|plug| !carries(plug)).take(DEVICES).collect();
        for (place, plug) in case.devices.iter_mut().zip(&alone) {
            *place = device_like(plan, plug);
        }
        let places = Places::new(plan, &alone, case.plan(Onset::Boot));
        for (place, rule) in case.acts.iter_mut().zip(&plan.rules) {
            *place = act_like(&places, &rule.trigger, &rule.action, &scale);
        }
        case
    }

    /// The bytes that mean this case.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.seed.to_le_bytes().to_vec();
        bytes.push(self.shape);
        bytes.extend(self.run.to_le_bytes());
        for Device { kind, load, pace } in self.devices {
            bytes.extend([kind, load, pace]);
        }
        for Act { trigger, site, count, action, device, measure } in self.acts {
            bytes.extend([trigger, site]);
            bytes.extend(count.to_le_bytes());
            bytes.extend([action, device]);
            bytes.extend(measure.to_le_bytes());
        }
        bytes
    }
}

/// From a plan's times to a case's.
struct Scale(Nanos);

impl Scale {
    /// Microseconds of a case's run.
    fn micros(&self, time: Nanos) -> u16 {
        let scaled = u128::from(time) * u128::from(RUN_MOST) / u128::from(self.0);
        u16::try_from(scaled).unwrap_or(u16::MAX)
    }
}

/// Where the devices of a plan are in the plan of the case that is like it.
struct Places {
    case: Plan,
    /// Numbers in the case's plan, by names of the other; what is not there is the first device.
    numbers: BTreeMap<String, usize>,
}

impl Places {
    /// `alone` are the devices of `plan` that have nothing behind them, as many as `case` has.
    fn new(plan: &Plan, alone: &[&Plug], case: Plan) -> Self {
        let mut numbers = BTreeMap::new();
        for (index, plug) in alone.iter().enumerate() {
            // The names in a case end with the number of the device: the device itself is the last of its own, but for a camera behind a disk.
            let own = |at: &usize| case.plugs[*at].name.ends_with(&index.to_string());
            let mut way: Vec<usize> = (0..case.plugs.len()).filter(own).collect();
            way.retain(|at| !case.plugs[*at].name.starts_with("cam"));
            let above = |plug: &&Plug| plug.on().and_then(|on| plan.plug_named(on));
            for plug in std::iter::successors(Some(*plug), above).take(plan.plugs.len()) {
                let at = if way.len() > 1 { way.pop() } else { way.first().copied() };
                numbers.entry(plug.name.clone()).or_insert(at.unwrap_or(0));
            }
        }
        Self { case, numbers }
    }

    fn number(&self, name: &str) -> usize {
        self.numbers.get(name).copied().unwrap_or(0)
    }

    /// The number of the device called `name` among those of the case that an action of this kind can happen to.
    fn among(&self, kind: u8, name: &str) -> u8 {
        let number = self.number(name);
        self.case.plugs[..number].iter().filter(|plug| is_for(kind, plug)).count() as u8
    }
}

fn device_like(plan: &Plan, plug: &Plug) -> Device {
    let irq = plug.options.get("irq").map_or("", String::as_str);
    let behind = plug.on().and_then(|on| plan.plug_named(on)).is_some_and(|above| above.on().is_some());
    let kind = match (plug.model.as_str(), irq) {
        ("virtio-blk", irq) => 1 | u8::from(irq == "intx") << 2,
        ("daq", irq) => 32 | u8::from(irq == "intx") << 2,
        (_, "intx") => 1 << 2,
        (_, "msix") => 2 << 2,
        (model, _) => match catalogue::model(model) {
            Some(model) if model.is_firewire() => {
                let which = FIREWIRE_DEVICES.iter().position(|(word, ..)| *word == model.word);
                FIREWIRE | u8::from(behind) | (which.unwrap_or(0) as u8) << 2
            }
            Some(model) if model.is_usb() => {
                let which = USB_DEVICES.iter().position(|(word, ..)| *word == model.word);
                USB | u8::from(behind) | (which.unwrap_or(0) as u8) << 2
            }
            _ => 0,
        },
    };
    let absent = plug.absent() && plug.on().is_none();
    let load = plan.loads.iter().find(|load| load.device == plug.name);
    let load = load.map_or(0, |load| load.clients.min(3) as u8 | ((load.depth.clamp(1, 8) - 1) as u8) << 2);
    Device { kind: kind | 2 | u8::from(absent) << 4, load, pace: 8 << 4 }
}

fn act_like(places: &Places, trigger: &Trigger, action: &Action, scale: &Scale) -> Act {
    let mut act = Act::default();
    let mut occurrence = |device: &str, site: &str, kind: u8, count: u16| {
        let at = places.number(device);
        act.trigger = kind + TRIGGERS * at as u8;
        act.site = sites(&places.case.plugs[at]).iter().position(|word| *word == site).unwrap_or(0) as u8;
        act.count = count;
    };
    match trigger {
        Trigger::At(time) => (act.trigger, act.count) = (1, scale.micros(*time)),
        Trigger::Every(time) => (act.trigger, act.count) = (2, scale.micros(*time)),
        Trigger::Nth { device, site, count } => {
            occurrence(device, site, 3, u16::try_from(*count).unwrap_or(u16::MAX));
        }
        // About one in a hundred: a run has time for one.
        Trigger::Chance { device, site, .. } => occurrence(device, site, 4, 9_999),
    }
    (act.action, act.measure) = kind_and_measure(action, scale);
    act.device = places.among(act.action, action.device().unwrap_or_default());
    act
}

/// The number of the action in `Act::action`, and how much of it.
fn kind_and_measure(action: &Action, scale: &Scale) -> (u8, u16) {
    let both = |small: u64, time: Nanos| {
        let tens = (u64::from(scale.micros(time)) / 10).clamp(1, 256) - 1;
        u16::from_le_bytes([small.clamp(1, 256).wrapping_sub(1) as u8, tens as u8])
    };
    let forever = |time: Option<Nanos>| time.map_or(0, |time| both(1, time));
    let at_port = |time: Option<Nanos>| time.map_or(1, |time| both(2, time));
    match action {
        Action::Unplug(_) => (0, 0),
        Action::Eject(_) => (1, 0),
        Action::Replug(_) => (2, 0),
        Action::Plug(_) => (3, 0),
        Action::Storm { rate_hz, duration, .. } => (4, both(rate_hz / 1_000, *duration)),
        Action::Fault { fault, .. } => match *fault {
            DeviceFault::Spurious => (5, 0),
            DeviceFault::Drop { count } => (6, both(count, 0)),
            DeviceFault::Delay { what: What::Interrupt, by, .. } => (7, both(by / MICRO, 0)),
            DeviceFault::Delay { what: What::Completion, by, count } => (8, both(count, by)),
            DeviceFault::Duplicate { what: What::Interrupt, after, .. } => (9, both(after / MICRO, 0)),
            DeviceFault::Duplicate { what: What::Completion, after, .. } => {
                (9, both(after / MICRO, 0) | 0x100)
            }
            DeviceFault::Stick { duration } => (10, both(1, duration)),
            DeviceFault::Mute { duration } => (11, both(1, duration)),
            DeviceFault::Freeze { duration } => (12, forever(duration)),
            DeviceFault::Corrupt { count } => (13, both(count, 0)),
            DeviceFault::ShortDma { count } => (14, both(count, 0)),
            DeviceFault::LateDma { by, count } => (15, both(count, by)),
            DeviceFault::LinkDown { duration } => (16, forever(duration)),
            DeviceFault::UsbStall { count } => (25, both(count, 0)),
            DeviceFault::UsbError { count } => (26, both(count, 0)),
            DeviceFault::Babble { count } => (27, both(count, 0)),
            DeviceFault::Nak { duration } => (28, both(1, duration)),
            // The port of a case at which something is: 2 of a controller, 3 of a hub.
            DeviceFault::DisconnectPort { duration, .. } => (29, at_port(duration)),
            DeviceFault::Overcurrent { duration, .. } => (30, at_port(duration)),
            DeviceFault::BusReset => (31, 0),
            DeviceFault::NewRoot => (32, 0),
            DeviceFault::CablePull { duration } => (33, forever(duration)),
            DeviceFault::LostAck { count } => (34, both(count, 0)),
        },
        Action::Race { timer_first, .. } => (17, u16::from(*timer_first)),
        Action::Kill(_) => (18, 0),
        Action::Guest(fault) => match *fault {
            GuestFault::Stall { cpu, duration } => (19, both(u64::from(cpu) + 1, duration)),
            GuestFault::ClockJump { by } => (20, both(1, by)),
            GuestFault::Preempt { cpu } => (21, cpu.map_or(0, |cpu| 8 + (cpu as u16 & 7))),
            GuestFault::FailAlloc(Scarcity::Nth(count)) => (22, u16::try_from(count - 1).unwrap_or(u16::MAX)),
            GuestFault::FailAlloc(Scarcity::Chance { duration, .. }) => {
                (23, both(10, duration.unwrap_or(MICRO)))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::case::RULES;
    use crate::plans::scenarios;

    #[test]
    fn scenarios_become_cases_and_their_bytes_mean_them() {
        for scenario in scenarios::plans() {
            let text = scenario.to_string();
            let case = Case::like(&scenario, 7);
            let bytes = case.to_bytes();
            assert_eq!(Case::from_bytes(&bytes), case);
            let plan = case.plan(Onset::Boot);
            let has = |plan: &Plan| plan.plugs.iter().map(|plug| plug.model.clone()).collect::<Vec<_>>();
            let alone = scenario.behind().next().is_none();
            assert!(!alone || plan.plugs.len() == scenario.plugs.len().min(DEVICES), "{text}");
            assert_eq!(alone, plan.behind().next().is_none(), "{text}\n{:?}", has(&plan));
            assert!(!plan.rules.is_empty() || scenario.rules.is_empty(), "{text}\n{plan}");
            let sort = |plan: &Plan| plan.rules.iter().map(|rule| rule.action.word()).collect::<Vec<_>>();
            let words = sort(&scenario);
            let faults = |plan: &Plan| sort(plan).into_iter().collect::<std::collections::BTreeSet<_>>();
            // A card that is absent at boot comes with a rule more.
            assert!(words.len() > RULES || sort(&plan).len() >= words.len(), "{text}\n{plan}");
            // What a fault needs (a load, a line) may be on a device that a case has no room for.
            let lost: Vec<_> = faults(&scenario).difference(&faults(&plan)).copied().collect();
            assert!(
                lost.is_empty() || scenario.plugs.len() > DEVICES || words.len() > RULES,
                "{lost:?}\n{text}\n{plan}"
            );
            assert_eq!(plan.run_for, (RUN_MOST - 1) * Onset::Boot.tempo(&plan).unit);
        }
    }
}
