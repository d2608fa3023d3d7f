//! A case of the `teardown` target: a few bytes that always mean a small plan that the catalogue accepts.
//!
//! Every field has a fixed size and every value of it means something, so a flipped bit changes one thing of the plan, and a case
//! can be written back as bytes ([`Case::to_bytes`]): that is how scenarios become seeds.

use arbitrary::Arbitrary;
use devices::catalogue;
use devices::fault::plan::{Action, Era, Expect, Load, Plan, Plug, Rule, Span, Trigger};
use std::collections::BTreeMap;

/// Devices of a case.
pub const DEVICES: usize = 3;
/// Rules of a case.
pub const RULES: usize = 8;
/// Eras, as their number in [`Case::shape`].
pub const ERAS: [Era; 4] = [Era::Modern, Era::E103, Era::E104, Era::E105];
/// Slot of each device. The first two share an interrupt line.
const SLOTS: [u32; DEVICES] = [1, 5, 2];
/// Times of a device's work, as their number in [`Device::pace`]; empty = the model's own.
const PACES: [&str; 4] = ["", "1us", "5us", "100us"];
/// Shortest run, in microseconds.
pub const RUN_LEAST: u64 = 300;
/// Runs are shorter than this, in microseconds.
pub const RUN_MOST: u64 = 4_000;
/// Shortest period of `every`, in microseconds: a machine that does nothing but boot cards shows little.
const PERIOD_LEAST: u64 = 100;
/// Nanoseconds of a microsecond.
pub const MICRO: u64 = 1_000;

/// One device and its workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Arbitrary)]
pub struct Device {
    /// Bit 0: virtio-blk, not edu. Bit 1: in the plan (the first always is). Bits 3:2: kind of interrupt. Bit 4: absent at boot.
    pub kind: u8,
    /// Bits 1:0: clients. Bits 4:2: depth, less 1.
    pub load: u8,
    /// Bits 1:0: time of a factorial or request. Bits 3:2: time of a DMA transfer.
    pub pace: u8,
}

/// One rule; it is left out if the catalogue says that it can never act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Arbitrary)]
pub struct Act {
    /// Modulo 4: no rule, `at`, `every`, `on`. The rest, modulo the devices: whose site.
    pub trigger: u8,
    /// Which of the device's sites and the guest's.
    pub site: u8,
    /// Microseconds, or which occurrence.
    pub count: u16,
    /// Modulo 5: unplug, eject, replug, plug, storm. The rest, modulo the devices: of which device.
    pub action: u8,
    /// Of a storm: kHz in the low byte, tens of microseconds in the high byte.
    pub storm: u16,
}

/// One case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Arbitrary)]
pub struct Case {
    /// Seed of the simulator's schedule.
    pub seed: u64,
    /// Bits 1:0: CPUs, less 1. Bits 3:2: era.
    pub shape: u8,
    /// Microseconds of the run, more or less.
    pub run: u16,
    /// The devices.
    pub devices: [Device; DEVICES],
    /// The rules.
    pub acts: [Act; RULES],
}

impl Case {
    /// The plan, with expectations that correct drivers meet under any schedule.
    pub fn plan(&self) -> Plan {
        let span = Span::default();
        let second = 1_000_000_000;
        let mut plan = Plan {
            name: "fuzz.plan".into(),
            cpus: usize::from(self.shape & 3) + 1,
            era: ERAS[usize::from(self.shape >> 2 & 3)],
            memory: 16 << 20,
            run_for: (RUN_LEAST + u64::from(self.run) % (RUN_MOST - RUN_LEAST)) * MICRO,
            expects: vec![
                Expect::Offline(second, span),
                Expect::Quiet(5 * second, span),
                Expect::NoLeaks(span),
            ],
            ..Plan::default()
        };
        for (index, device) in self.devices.iter().enumerate() {
            if index == 0 || device.kind & 2 != 0 {
                device.add_to(&mut plan, index);
            }
        }
        for act in &self.acts {
            act.add_to(&mut plan);
        }
        plan
    }
}

impl Device {
    fn add_to(self, plan: &mut Plan, index: usize) {
        let disk = self.kind & 1 != 0;
        let (model, stem, kinds): (_, _, &[&str]) = if disk {
            ("virtio-blk", "disk", &["msix", "intx"])
        } else {
            ("edu", "edu", &["msi", "intx", "msix"])
        };
        let name = format!("{stem}{index}");
        let pace = |bits: u8| PACES[usize::from(bits & 3)].to_owned();
        let mut options = BTreeMap::from([(
            "irq".to_owned(),
            kinds[usize::from(self.kind >> 2 & 3) % kinds.len()].to_owned(),
        )]);
        if disk {
            options.insert("size".into(), "1M".into());
            options.insert("latency".into(), pace(self.pace));
        } else {
            options.insert("factorial".into(), pace(self.pace));
            options.insert("dma".into(), pace(self.pace >> 2));
        }
        options.retain(|_, value| !value.is_empty());
        let (span, marks) = (Span::default(), Default::default());
        if self.kind & 16 != 0 {
            options.insert("absent".into(), "yes".into());
            // Without a rule that plugs it in, nothing about it would be accepted.
            let trigger = Trigger::At(u64::from(self.pace >> 4) * 50 * MICRO % plan.run_for);
            plan.rules.push(Rule {
                trigger,
                action: Action::Plug(name.clone()),
                span,
                marks: Default::default(),
            });
        }
        let clients = u32::from(self.load & 3);
        if clients > 0 {
            let depth = u32::from(self.load >> 2 & 7) + 1;
            plan.loads.push(Load { device: name.clone(), clients, depth, tasks: false, span, marks: Default::default() });
        }
        plan.plugs.push(Plug { name, model: model.into(), slot: SLOTS[index], options, span, marks });
    }
}

/// The words of the sites at which rules about `plug` can wait, in a fixed order.
pub fn sites(plug: &Plug) -> Vec<&'static str> {
    let own = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
    own.iter().map(|site| site.word()).chain(catalogue::guest_sites()).collect()
}

impl Act {
    fn add_to(self, plan: &mut Plan) {
        let pick = |number: u8| &plan.plugs[usize::from(number) % plan.plugs.len()];
        let count = u64::from(self.count);
        let trigger = match self.trigger % 4 {
            0 => return,
            1 => Trigger::At(count * MICRO % plan.run_for),
            2 => Trigger::Every((PERIOD_LEAST + count % RUN_MOST) * MICRO),
            _ => {
                let plug = pick(self.trigger / 4);
                let sites = sites(plug);
                let site = sites[usize::from(self.site) % sites.len()].to_owned();
                Trigger::Nth { device: plug.name.clone(), site, count: count.max(1) }
            }
        };
        let plug = pick(self.action / 5);
        let (device, absent) = (plug.name.clone(), plug.absent());
        let action = match self.action % 5 {
            0 => Action::Unplug(device),
            1 => Action::Eject(device),
            2 => Action::Replug(device),
            3 if absent => Action::Plug(device),
            // The parser refuses to plug in what was there from the start.
            3 => Action::Replug(device),
            _ => {
                let [rate, duration] = self.storm.to_le_bytes().map(|byte| u64::from(byte) + 1);
                Action::Storm { device, rate_hz: rate * 1_000, duration: duration * 10 * MICRO }
            }
        };
        plan.rules.push(Rule { trigger, action, span: Span::default(), marks: Default::default() });
        if !catalogue::check(plan).is_empty() {
            plan.rules.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbitrary::Unstructured;

    #[test]
    fn any_bytes_are_a_plan_that_the_catalogue_accepts() {
        let mut rng = sim::Rng::new(1);
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..rng.below(120)).map(|_| rng.next_u64() as u8).collect();
            let case = Case::arbitrary(&mut Unstructured::new(&bytes)).expect("missing bytes are zeroes");
            let plan = case.plan();
            let errors = catalogue::check(&plan);
            assert!(errors.is_empty(), "{plan}\n{errors:?}");
            assert_eq!(Plan::parse("fuzz.plan", &plan.to_string()).map(|p| p.rules), Ok(plan.rules.clone()));
            assert!((1..=DEVICES).contains(&plan.plugs.len()));
        }
    }
}
