//! From a plan to the case that is most like it, and from a case to the bytes that mean it.

use super::act::{ACTIONS, Act, TRIGGERS, sites};
use super::case::{Case, DEVICES, Device, ERAS, MICRO, RUN_LEAST, RUN_MOST};
use devices::fault::plan::{Action, DeviceFault, GuestFault, Nanos, Plan, Plug, Scarcity, Trigger, What};

impl Case {
    /// The case that is most like `plan`: its first devices and rules, its times scaled down to a case's run.
    pub fn like(plan: &Plan, seed: u64) -> Self {
        let mut case = Self { seed, ..Self::default() };
        case.shape = (plan.cpus.clamp(1, 4) - 1) as u8;
        case.shape |= (ERAS.iter().position(|era| *era == plan.era).unwrap_or(0) as u8) << 2;
        let scale = Scale(plan.run_for.max(1));
        case.run = (RUN_MOST - RUN_LEAST - 1) as u16;
        for (place, plug) in case.devices.iter_mut().zip(&plan.plugs) {
            *place = device_like(plan, plug);
        }
        for (place, rule) in case.acts.iter_mut().zip(&plan.rules) {
            *place = act_like(plan, &rule.trigger, &rule.action, &scale);
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
        for Act { trigger, site, count, action, measure } in self.acts {
            bytes.extend([trigger, site]);
            bytes.extend(count.to_le_bytes());
            bytes.push(action);
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

fn device_like(plan: &Plan, plug: &Plug) -> Device {
    let irq = plug.options.get("irq").map_or("", String::as_str);
    let model = match plug.model.as_str() {
        "virtio-blk" => 1,
        "daq" => 32,
        _ => 0,
    };
    let irq = match (model, irq) {
        (_, "intx") => 1,
        (0, "msix") => 2,
        _ => 0,
    };
    let load = plan.loads.iter().find(|load| load.device == plug.name);
    let load = load.map_or(0, |load| load.clients.min(3) as u8 | ((load.depth.clamp(1, 8) - 1) as u8) << 2);
    Device { kind: model | 2 | irq << 2 | u8::from(plug.absent()) << 4, load, pace: 8 << 4 }
}

fn act_like(plan: &Plan, trigger: &Trigger, action: &Action, scale: &Scale) -> Act {
    let number = |name: &str| {
        let at = plan.plugs.iter().position(|plug| plug.name == name);
        at.filter(|at| *at < DEVICES).unwrap_or(0)
    };
    let mut act = Act::default();
    let mut occurrence = |device: &str, site: &str, kind: u8, count: u16| {
        let at = number(device);
        act.trigger = kind + TRIGGERS * at as u8;
        act.site = sites(&plan.plugs[at]).iter().position(|word| *word == site).unwrap_or(0) as u8;
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
    let (kind, measure) = kind_and_measure(action, scale);
    act.action = kind + ACTIONS * number(action.device().unwrap_or_default()) as u8;
    act.measure = measure;
    act
}

/// The number of the action in `Act::action`, and how much of it.
fn kind_and_measure(action: &Action, scale: &Scale) -> (u8, u16) {
    let both = |small: u64, time: Nanos| {
        let tens = (u64::from(scale.micros(time)) / 10).clamp(1, 256) - 1;
        u16::from_le_bytes([small.clamp(1, 256).wrapping_sub(1) as u8, tens as u8])
    };
    let forever = |time: Option<Nanos>| time.map_or(0, |time| both(1, time));
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
            DeviceFault::Duplicate { after, .. } => (9, both(after / MICRO, 0)),
            DeviceFault::Stick { duration } => (10, both(1, duration)),
            DeviceFault::Mute { duration } => (11, both(1, duration)),
            DeviceFault::Freeze { duration } => (12, forever(duration)),
            DeviceFault::Corrupt { count } => (13, both(count, 0)),
            DeviceFault::ShortDma { count } => (14, both(count, 0)),
            DeviceFault::LateDma { by, count } => (15, both(count, by)),
            DeviceFault::LinkDown { duration } => (16, forever(duration)),
            // Cases have cards only: what comes nearest is a card that makes an error, is late, or goes.
            DeviceFault::UsbStall { count }
            | DeviceFault::UsbError { count }
            | DeviceFault::Babble { count } => (14, both(count, 0)),
            DeviceFault::Nak { duration } => (8, both(1, duration)),
            DeviceFault::DisconnectPort { duration, .. } | DeviceFault::Overcurrent { duration, .. } => {
                (16, forever(duration))
            }
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
            let plan = case.plan();
            assert_eq!(plan.plugs.len(), scenario.plugs.len().min(DEVICES), "{text}");
            assert!(!plan.rules.is_empty() || scenario.rules.is_empty(), "{text}\n{plan}");
            let sort = |plan: &Plan| plan.rules.iter().map(|rule| rule.action.word()).collect::<Vec<_>>();
            let words = sort(&scenario);
            let faults = |plan: &Plan| sort(plan).into_iter().collect::<std::collections::BTreeSet<_>>();
            // A card that is absent at boot comes with a rule more.
            assert!(words.len() > RULES || sort(&plan).len() >= words.len(), "{text}\n{plan}");
            // What a fault needs (a load, a line) may be on a device that a case has no room for.
            let lost: Vec<_> = faults(&scenario).difference(&faults(&plan)).copied().collect();
            assert!(
                lost.is_empty()
                    || scenario.plugs.len() > DEVICES
                    || words.len() > RULES
                    || scenario.behind().next().is_some(),
                "{lost:?}\n{text}\n{plan}"
            );
            assert_eq!(plan.run_for, (RUN_MOST - 1) * MICRO);
        }
    }
}
