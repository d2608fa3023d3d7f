//! A case: a few bytes that always mean a small plan that the catalogue accepts.
//!
//! Every field has a fixed size and every value of it means something, so a flipped bit changes one thing of the plan, and a case
//! can be written back as bytes ([`Case::to_bytes`]): that is how scenarios become seeds.

use super::act::Act;
use super::tempo::Onset;
use arbitrary::{Arbitrary, Unstructured};
use devices::fault::plan::{Action, Era, Expect, Load, ON, PORT, Plan, Plug, Rule, Span, Trigger};
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
/// Nanoseconds of a microsecond.
pub const MICRO: u64 = 1_000;
/// [`Device::kind`]: behind a USB controller.
pub const USB: u8 = 64;
/// [`Device::kind`]: behind a FireWire controller, unless it is USB's.
pub const FIREWIRE: u8 = 128;
/// USB devices, as their number in [`Device::kind`]: model, stem of the name, options.
pub const USB_DEVICES: [(&str, &str, &str); 4] = [
    ("usb-storage", "stick", "size=1M"),
    ("usb-keyboard", "kb", "period=2ms"),
    ("usb-serial", "tty", ""),
    ("usb-mouse", "mouse", "period=2ms"),
];

/// FireWire nodes, as their number in [`Device::kind`]: model, stem of the name, options. The second disk has a camera behind it.
pub const FIREWIRE_DEVICES: [(&str, &str, &str); 4] = [
    ("firewire-disk", "disk", "size=1M"),
    ("firewire-disk", "disk", "size=1M"),
    ("firewire-node", "leaf", ""),
    ("firewire-camera", "lens", ""),
];

/// One device and its workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Arbitrary)]
pub struct Device {
    /// Bit 0: virtio-blk, not edu. Bit 1: in the plan (the first always is). Bits 3:2: kind of interrupt. Bit 4: absent at boot.
    /// Bit 5: daq, whatever bit 0 says. Bits 6 and 7: what is behind a controller of USB or FireWire instead: bits 3:2: which one; bit 0: behind a hub, or another node.
    pub kind: u8,
    /// Bits 1:0: clients. Bits 4:2: depth, less 1.
    pub load: u8,
    /// Bits 1:0: time of a factorial or request. Bits 3:2: time of a DMA transfer.
    pub pace: u8,
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

/// Bytes of a case.
pub const CASE_BYTES: usize = 11 + 3 * DEVICES + 8 * RULES;

/// What correct drivers meet under any schedule.
fn demands() -> Vec<Expect> {
    let (span, second) = (Span::default(), 1_000_000_000);
    vec![Expect::Offline(second, span), Expect::Quiet(5 * second, span), Expect::NoLeaks(span)]
}

impl Case {
    /// The case that `bytes` mean: any do. Missing ones are zeroes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // Every field has a fixed size, and what is missing is zero: there is nothing to fail.
        Self::arbitrary(&mut Unstructured::new(bytes)).unwrap_or_default()
    }

    /// The plan, with expectations that correct drivers meet under any schedule.
    pub fn plan(&self, onset: Onset) -> Plan {
        let mut plan = Plan {
            name: "fuzz.plan".into(),
            cpus: usize::from(self.shape & 3) + 1,
            era: ERAS[usize::from(self.shape >> 2 & 3)],
            memory: 16 << 20,
            run_for: (RUN_LEAST + u64::from(self.run) % (RUN_MOST - RUN_LEAST)) * MICRO,
            expects: demands(),
            ..Plan::default()
        };
        for (index, device) in self.devices.iter().enumerate() {
            if index == 0 || device.kind & 2 != 0 {
                device.add_to(&mut plan, index);
            }
        }
        plan.number();
        let tempo = onset.tempo(&plan);
        plan.run_for = tempo.start + plan.run_for / MICRO * tempo.unit;
        for act in &self.acts {
            act.add_to(&mut plan, tempo);
        }
        plan
    }

    /// `base` with the case's rules on top of its own; devices, loads and length are those of `base`.
    pub fn plan_on(&self, base: &Plan, onset: Onset) -> Plan {
        let mut plan = Plan { lines: Vec::new(), ..base.clone() };
        if plan.expects.is_empty() {
            plan.expects = demands();
        }
        let tempo = onset.tempo(&plan);
        for act in &self.acts {
            act.add_to(&mut plan, tempo);
        }
        plan
    }
}

impl Device {
    fn add_to(self, plan: &mut Plan, index: usize) {
        match self.kind & (USB | FIREWIRE) {
            0 => self.add_card(plan, index),
            kind => self.add_behind(plan, index, kind & USB != 0),
        }
    }

    /// A controller, perhaps a hub or a node, and a device behind it.
    fn add_behind(self, plan: &mut Plan, index: usize, usb: bool) {
        let mut place = format!("slot={}", SLOTS[index]);
        let mut add = |model: &str, stem: &str, port: u8, options: &str| {
            let name = format!("{stem}{index}");
            plan.plugs.push(plug(&name, model, SLOTS[index], &format!("{place} {options}")));
            place = format!("{ON}={name} {PORT}={port}");
            name
        };
        let which = usize::from(self.kind >> 2 & 3);
        let (controller, stem) = if usb { ("xhci", "usb") } else { ("ohci", "fw") };
        add(controller, stem, 2, "");
        match (usb, self.kind & 1 != 0) {
            (true, true) => _ = add("usb-hub", "hub", 3, ""),
            (false, true) => _ = add("firewire-node", "node", 1, ""),
            _ => {}
        }
        let (model, stem, options) = if usb { USB_DEVICES[which] } else { FIREWIRE_DEVICES[which] };
        let name = add(model, stem, 1, options);
        if !usb && which == 1 {
            add("firewire-camera", "cam", 1, "");
        }
        // A serial port has one client at a time.
        let most = if model == "usb-serial" { 1 } else { 3 };
        self.add_load(plan, name, most);
    }

    fn add_load(self, plan: &mut Plan, device: String, most: u32) {
        let clients = u32::from(self.load & 3).min(most);
        if clients > 0 {
            let depth = u32::from(self.load >> 2 & 7) + 1;
            let (span, marks) = (Span::default(), Default::default());
            plan.loads.push(Load { device, clients, depth, size: None, tasks: false, span, marks });
        }
    }

    fn add_card(self, plan: &mut Plan, index: usize) {
        let (daq, disk) = (self.kind & 32 != 0, self.kind & 1 != 0);
        let (model, stem, kinds): (_, _, &[&str]) = match (daq, disk) {
            (true, _) => ("daq", "daq", &["msix", "intx"]),
            (false, true) => ("virtio-blk", "disk", &["msix", "intx"]),
            (false, false) => ("edu", "edu", &["msi", "intx", "msix"]),
        };
        let name = format!("{stem}{index}");
        let pace = |bits: u8| PACES[usize::from(bits & 3)].to_owned();
        let mut options = BTreeMap::from([(
            "irq".to_owned(),
            kinds[usize::from(self.kind >> 2 & 3) % kinds.len()].to_owned(),
        )]);
        if daq {
            options.insert("period".into(), pace(self.pace));
        } else if disk {
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
        self.add_load(plan, name.clone(), 3);
        plan.plugs.push(Plug { name, model: model.into(), slot: SLOTS[index], options, span, marks });
    }
}

/// A declaration with these options, `slot=N` among them or not.
fn plug(name: &str, model: &str, slot: u32, options: &str) -> Plug {
    let words = options.split_whitespace().filter_map(|word| word.split_once('='));
    let options =
        words.filter(|(key, _)| *key != "slot").map(|(key, value)| (key.to_owned(), value.to_owned()));
    Plug {
        name: name.to_owned(),
        model: model.to_owned(),
        slot,
        options: options.collect(),
        span: Span::default(),
        marks: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::catalogue;

    #[test]
    fn any_bytes_are_a_plan_that_the_catalogue_accepts() {
        let mut rng = sim::Rng::new(1);
        let base = Plan::parse("b", "plug edu0 edu slot=3\nload edu0 clients=1 depth=1\nrun for=1ms\n");
        let base = base.expect("a good plan");
        let mut words = std::collections::BTreeSet::new();
        for _ in 0..4_000 {
            let bytes: Vec<u8> = (0..rng.below(120)).map(|_| rng.next_u64() as u8).collect();
            let case = Case::from_bytes(&bytes);
            for plan in [case.plan(Onset::Boot), case.plan(Onset::AtWork), case.plan_on(&base, Onset::Boot)] {
                let errors = catalogue::check(&plan);
                assert!(errors.is_empty(), "{plan}\n{errors:?}");
                assert_eq!(
                    Plan::parse("p", &plan.to_string()).map(|p| p.rules),
                    Ok(plan.rules.clone()),
                    "{plan}"
                );
                assert!((1..=4 * DEVICES).contains(&plan.plugs.len()));
                words.extend(plan.rules.iter().map(|rule| rule.action.word()));
            }
        }
        use devices::fault::plan::words::ACTIONS;
        assert_eq!(words, ACTIONS.iter().copied().collect(), "every action comes up");
    }

    #[test]
    fn a_case_has_a_fixed_size() {
        assert_eq!(Case::default().to_bytes().len(), CASE_BYTES);
    }
}
