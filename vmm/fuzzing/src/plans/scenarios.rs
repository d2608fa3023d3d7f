//! The plans that fuzzing begins with.

use devices::fault::plan::Plan;

/// Every plan of tests/scenarios: its file name and its text, in order of names.
pub const SCENARIOS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// Short plans in which much happens at once; schedules of them are fuzzed. A run of one with cards only takes a millisecond of the host.
const BUSY: &[(&str, &str)] = &[
    (
        "busy-edu.plan",
        "machine cpus=2 memory=16M\nplug edu0 edu slot=1\nload edu0 clients=2 depth=2\n\
         on edu0.mmio.write #40 unplug edu0\nat 300us replug edu0\nat 600us unplug edu0\n\
         expect no-leaks\nrun for=800us\n",
    ),
    (
        "busy-disk.plan",
        "machine cpus=2 memory=16M\nplug disk0 virtio-blk slot=2 size=1M latency=5us\nload disk0 clients=2 depth=2\n\
         on disk0.dma.write #20 unplug disk0\nat 400us replug disk0\nat 600us eject disk0\n\
         expect no-leaks\nrun for=900us\n",
    ),
    (
        "busy-daq.plan",
        "machine cpus=2 memory=16M\nplug daq0 daq slot=3 period=5us\nload daq0 clients=2 depth=1\n\
         on daq0.irq.raise #9 unplug daq0\nat 400us replug daq0\nat 700us storm daq0 rate=500kHz for=50us\n\
         expect no-leaks\nrun for=900us\n",
    ),
    (
        "busy-line.plan",
        "machine cpus=3 memory=16M\nplug edu0 edu slot=1 irq=intx\nplug edu1 edu slot=5 irq=intx\n\
         load edu0 clients=1 depth=2\nload edu1 clients=1 depth=2\n\
         on edu0.gate.close #15 unplug edu0\nat 200us storm edu1 rate=500kHz for=60us\nat 400us replug edu0\n\
         expect no-leaks\nrun for=700us\n",
    ),
    (
        "busy-stick.plan",
        "machine cpus=2 memory=16M\nplug usb0 xhci slot=3\nplug stick0 usb-storage on=usb0 port=1 size=1M latency=5us\n\
         load stick0 clients=2 depth=2\non stick0.usb.in #60 usb-stall stick0\non stick0.usb.out #120 unplug stick0\n\
         at 24ms unplug usb0\nexpect no-leaks\nrun for=25ms\n",
    ),
    (
        "busy-fire.plan",
        "machine cpus=2 memory=16M\nplug fw0 ohci slot=4\nplug disk1 firewire-disk on=fw0 port=1 size=1M latency=5us\n\
         load disk1 clients=2 depth=2\non disk1.fire.send #40 bus-reset disk1\non disk1.fire.send #80 cable-pull disk1 for=1ms\n\
         at 9ms eject fw0\nexpect no-leaks\nrun for=10ms\n",
    ),
    (
        "busy-camera.plan",
        "machine cpus=2 memory=16M\nplug fw0 ohci slot=4\nplug cam0 firewire-camera on=fw0 port=1\n\
         plug node0 firewire-node on=cam0 port=1 latency=20us\nload cam0 clients=2 depth=1\nload node0 clients=1 depth=2\n\
         on node0.fire.receive #60 bus-reset cam0\non node0.fire.receive #120 cable-pull node0 for=1ms\non cam0.fire.receive #40 unplug cam0\n\
         at 9ms eject fw0\nexpect no-leaks\nrun for=10ms\n",
    ),
];

/// The scenarios as plans.
pub fn plans() -> Vec<Plan> {
    parsed(SCENARIOS)
}

/// The busy plans.
pub fn busy() -> Vec<Plan> {
    parsed(BUSY)
}

/// What does not parse is left out; a test holds that nothing is.
fn parsed(texts: &[(&str, &str)]) -> Vec<Plan> {
    texts.iter().filter_map(|(name, text)| Plan::parse(name, text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_a_good_one() {
        assert!(SCENARIOS.len() > 20, "{}", SCENARIOS.len());
        assert_eq!((plans().len(), busy().len()), (SCENARIOS.len(), BUSY.len()));
        for plan in busy() {
            assert_eq!(devices::catalogue::check(&plan), [], "{}", plan.name);
        }
    }
}
