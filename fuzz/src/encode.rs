//! From a plan to the case that is most like it, and from a case to the bytes that mean it.

use crate::case::{Act, Case, DEVICES, Device, ERAS, RUN_LEAST, RUN_MOST, sites};
use devices::fault::plan::{Action, Nanos, Plan, Plug, Trigger};

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
        for Act { trigger, site, count, action, storm } in self.acts {
            bytes.extend([trigger, site]);
            bytes.extend(count.to_le_bytes());
            bytes.push(action);
            bytes.extend(storm.to_le_bytes());
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
    let disk = plug.model == "virtio-blk";
    let irq = match (disk, irq) {
        (_, "intx") => 1,
        (false, "msix") => 2,
        _ => 0,
    };
    let load = plan.loads.iter().find(|load| load.device == plug.name);
    let load = load.map_or(0, |load| load.clients.min(3) as u8 | ((load.depth.clamp(1, 8) - 1) as u8) << 2);
    Device { kind: u8::from(disk) | 2 | irq << 2 | u8::from(plug.absent()) << 4, load, pace: 8 << 4 }
}

fn act_like(plan: &Plan, trigger: &Trigger, action: &Action, scale: &Scale) -> Act {
    let number = |name: &str| {
        let at = plan.plugs.iter().position(|plug| plug.name == name);
        at.filter(|at| *at < DEVICES).unwrap_or(0)
    };
    let mut act = Act::default();
    let mut occurrence = |device: &str, site: &str, count: u64| {
        let at = number(device);
        act.trigger = 3 + 4 * at as u8;
        act.site = sites(&plan.plugs[at]).iter().position(|word| *word == site).unwrap_or(0) as u8;
        act.count = u16::try_from(count).unwrap_or(u16::MAX);
    };
    match trigger {
        Trigger::At(time) => (act.trigger, act.count) = (1, scale.micros(*time)),
        Trigger::Every(time) => (act.trigger, act.count) = (2, scale.micros(*time)),
        Trigger::Nth { device, site, count } => occurrence(device, site, *count),
        // A case knows no probability: the first time is likely enough.
        Trigger::Chance { device, site, .. } => occurrence(device, site, 1),
    }
    act.action = 5 * number(action.device().unwrap_or_default()) as u8;
    match action {
        Action::Unplug(_) => {}
        Action::Eject(_) => act.action += 1,
        Action::Replug(_) => act.action += 2,
        Action::Plug(_) => act.action += 3,
        Action::Storm { rate_hz, duration, .. } => {
            act.action += 4;
            let rate = (rate_hz / 1_000).clamp(1, 256) - 1;
            let tens = (u64::from(scale.micros(*duration)) / 10).clamp(1, 256) - 1;
            act.storm = u16::from_le_bytes([rate as u8, tens as u8]);
        }
        // A case knows no finer faults: a removal is the one that is most like all of them.
        Action::Fault { .. } | Action::Race { .. } | Action::Kill(_) | Action::Guest(_) => {}
    }
    act
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{MICRO, RULES};
    use arbitrary::{Arbitrary, Unstructured};

    #[test]
    fn scenarios_become_cases_and_their_bytes_mean_them() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/scenarios");
        let entries = std::fs::read_dir(folder).expect("the scenarios");
        for entry in entries.filter(|e| e.as_ref().is_ok_and(|e| e.path().is_file())) {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a plan");
            let scenario = Plan::parse("t", &text).expect("it parses");
            let case = Case::like(&scenario, 7);
            let bytes = case.to_bytes();
            assert_eq!(Case::arbitrary(&mut Unstructured::new(&bytes)), Ok(case));
            let plan = case.plan();
            assert_eq!(plan.plugs.len(), scenario.plugs.len().min(DEVICES), "{text}");
            assert!(!plan.rules.is_empty() || scenario.rules.is_empty(), "{text}\n{plan}");
            let sort = |plan: &Plan| plan.rules.iter().map(|rule| rule.action.word()).collect::<Vec<_>>();
            let words = sort(&scenario);
            // A card that is absent at boot comes with a rule more.
            assert!(words.len() > RULES || sort(&plan).len() >= words.len(), "{text}\n{plan}");
            assert_eq!(plan.run_for, (RUN_MOST - 1) * MICRO);
        }
    }
}
