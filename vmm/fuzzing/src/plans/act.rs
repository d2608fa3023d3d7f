//! One rule of a case.

use super::case::{MICRO, RUN_MOST};
use super::tempo::Tempo;
use arbitrary::Arbitrary;
use devices::catalogue;
use devices::fault::plan::{
    Action, Chance, DeviceFault, GuestFault, Plan, Plug, Rule, Scarcity, Span, Trigger, What,
};

/// Shortest period of `every`, in microseconds: a machine that does nothing but boot cards shows little.
const PERIOD_LEAST: u64 = 100;
/// Kinds of trigger, none included.
pub const TRIGGERS: u8 = 5;
/// Kinds of action.
pub const ACTIONS: u8 = 35;

/// One rule; it is left out if the catalogue says that it can never act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Arbitrary)]
pub struct Act {
    /// Modulo [`TRIGGERS`]: no rule, `at`, `every`, `on … #N`, `on … p=P`. The rest, modulo the devices: whose site.
    pub trigger: u8,
    /// Which of the device's sites and the guest's.
    pub site: u8,
    /// Microseconds, which occurrence, or how probable.
    pub count: u16,
    /// Modulo [`ACTIONS`]: what happens, in the order of the function of that name.
    pub action: u8,
    /// Modulo the devices to which it can happen: to which.
    pub device: u8,
    /// How much of it: a small number in the low byte, a time in tens of microseconds in the high byte; longer where drivers wait longer ([`Tempo`]).
    pub measure: u16,
}

/// The words of the sites at which rules about `plug` can wait, in a fixed order.
pub fn sites(plug: &Plug) -> Vec<&'static str> {
    let own = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
    own.iter().map(|site| site.word()).chain(catalogue::guest_sites()).collect()
}

impl Act {
    /// Adds the rule to `plan`, if it means anything there.
    pub fn add_to(self, plan: &mut Plan, tempo: Tempo) {
        if plan.plugs.is_empty() {
            return;
        }
        let Some(trigger) = self.trigger(plan, tempo) else { return };
        let action = self.action(plan, tempo);
        plan.rules.push(Rule { trigger, action, span: Span::default(), marks: Default::default() });
        if !catalogue::check(plan).is_empty() {
            plan.rules.pop();
        }
    }

    fn trigger(self, plan: &Plan, tempo: Tempo) -> Option<Trigger> {
        let count = u64::from(self.count);
        let site = || {
            let plug = pick(plan, self.trigger / TRIGGERS);
            let sites = sites(plug);
            (plug.name.clone(), sites[usize::from(self.site) % sites.len()].to_owned())
        };
        Some(match self.trigger % TRIGGERS {
            1 => Trigger::At(tempo.moment(count, plan.run_for)),
            2 => Trigger::Every((PERIOD_LEAST + count % RUN_MOST) * tempo.unit),
            3 => {
                let (device, site) = site();
                Trigger::Nth { device, site, count: count.max(1) }
            }
            4 => {
                let (device, site) = site();
                let chance = Chance::from_parts((u32::from(self.count) + 1) * 1_000)?;
                Trigger::Chance { device, site, chance }
            }
            _ => return None,
        })
    }

    fn action(self, plan: &Plan, tempo: Tempo) -> Action {
        let kind = self.action % ACTIONS;
        let plug = pick_of(plan, self.device, |plug| is_for(kind, plug));
        let (device, absent) = (plug.name.clone(), plug.absent());
        let [small, large] = self.measure.to_le_bytes().map(u64::from);
        let time = (large + 1) * 10 * MICRO;
        let short = (small + 1) * tempo.short;
        let count = 1 + small % 4;
        let cpu = (small % plan.cpus.max(1) as u64) as u32;
        // What drivers wait out, or give up, must last longer behind controllers than their watchdogs' time.
        let long = time / MICRO * tempo.unit;
        let duration = (large != 0).then_some(long);
        let port = 1 + (small % 4) as u8;
        let fault = |fault| Action::Fault { device: device.clone(), fault };
        match kind {
            0 => Action::Unplug(device),
            1 => Action::Eject(device),
            2 => Action::Replug(device),
            3 if absent => Action::Plug(device),
            // The parser refuses to plug in what was there from the start.
            3 => Action::Replug(device),
            4 => Action::Storm { device, rate_hz: (small + 1) * 1_000, duration: time },
            5 => fault(DeviceFault::Spurious),
            6 => fault(DeviceFault::Drop { count }),
            7 => fault(DeviceFault::Delay { what: What::Interrupt, by: short, count }),
            8 => fault(DeviceFault::Delay { what: What::Completion, by: long, count }),
            9 => {
                let what = if large & 1 == 0 { What::Interrupt } else { What::Completion };
                fault(DeviceFault::Duplicate { what, after: short, count })
            }
            10 => fault(DeviceFault::Stick { duration: time }),
            11 => fault(DeviceFault::Mute { duration: long }),
            12 => fault(DeviceFault::Freeze { duration }),
            13 => fault(DeviceFault::Corrupt { count }),
            14 => fault(DeviceFault::ShortDma { count }),
            15 => fault(DeviceFault::LateDma { by: long, count }),
            16 => fault(DeviceFault::LinkDown { duration }),
            17 => Action::Race { device, timer_first: small & 1 != 0 },
            18 => Action::Kill(device),
            19 => Action::Guest(GuestFault::Stall { cpu, duration: long }),
            20 => Action::Guest(GuestFault::ClockJump { by: long }),
            21 => Action::Guest(GuestFault::Preempt { cpu: (small & 8 != 0).then_some(cpu) }),
            22 => Action::Guest(GuestFault::FailAlloc(Scarcity::Nth(u64::from(self.measure) + 1))),
            23 => Action::Guest(GuestFault::FailAlloc(scarcity(small, time))),
            25 => fault(DeviceFault::UsbStall { count }),
            26 => fault(DeviceFault::UsbError { count }),
            27 => fault(DeviceFault::Babble { count }),
            28 => fault(DeviceFault::Nak { duration: long }),
            29 => fault(DeviceFault::DisconnectPort { port, duration }),
            30 => fault(DeviceFault::Overcurrent { port, duration }),
            31 => fault(DeviceFault::BusReset),
            32 => fault(DeviceFault::NewRoot),
            33 => fault(DeviceFault::CablePull { duration }),
            34 => fault(DeviceFault::LostAck { count }),
            _ => Action::Unplug(device),
        }
    }
}

/// The device with this number, of those that there are.
fn pick(plan: &Plan, number: u8) -> &Plug {
    &plan.plugs[usize::from(number) % plan.plugs.len()]
}

/// The device with this number, of those that are meant; of all, if none is.
fn pick_of(plan: &Plan, number: u8, meant: impl Fn(&Plug) -> bool) -> &Plug {
    let some: Vec<&Plug> = plan.plugs.iter().filter(|plug| meant(plug)).collect();
    match some.len() {
        0 => pick(plan, number),
        count => some[usize::from(number) % count],
    }
}

/// Whether an action of this kind can happen to `plug`: what happens on a wire needs the wire.
pub fn is_for(kind: u8, plug: &Plug) -> bool {
    let model = catalogue::model(&plug.model);
    match kind {
        25..=28 => model.is_some_and(|model| model.is_usb()),
        29 | 30 => model.is_some_and(|model| model.ports().is_some() && !model.has_firewire()),
        31..=34 => model.is_some_and(|model| model.is_firewire()),
        _ => true,
    }
}

/// Up to a quarter of the allocations, for a time.
fn scarcity(parts: u64, time: u64) -> Scarcity {
    match Chance::from_parts((parts as u32 + 1) * 1_000_000) {
        Some(chance) => Scarcity::Chance { chance, duration: Some(time) },
        None => Scarcity::Nth(1),
    }
}
