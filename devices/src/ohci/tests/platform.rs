//! The controller in a slot, with a plan that does things to its bus.

use crate::catalogue;
use crate::fault::plan::Plan;
use crate::platform::testing::Bench;
use crate::spec::ohci::{self as spec, event};

fn plan(rules: &str) -> Plan {
    let text = format!(
        "plug fw0 ohci slot=4 debounce=100us\n\
         plug node0 firewire-node on=fw0 port=1 ports=2\n\
         plug disk1 firewire-disk on=node0 port=2 size=1M\n\
         plug cam0 firewire-camera on=fw0 port=3\n\
         plug late0 firewire-node on=fw0 port=2 absent=yes\n\
         {rules}\
         run for=100ms\n"
    );
    let plan = Plan::parse("t", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(catalogue::check(&plan), []);
    plan
}

struct Driver {
    bench: Bench,
    bar: u64,
}

impl Driver {
    fn new(rules: &str) -> Self {
        let mut bench = Bench::new(&plan(rules));
        bench.master(4);
        let bar = Bench::bar0(4);
        let mut driver = Self { bench, bar };
        driver.write(spec::HC_CONTROL, spec::HC_LPS);
        driver.write(spec::SELF_ID_BUFFER, 0x1000);
        driver.write(spec::LINK_CONTROL, spec::LINK_SELF_ID);
        driver.write(spec::HC_CONTROL, spec::HC_LINK_ENABLE);
        let machine = &mut driver.bench.machine;
        let now = machine.now;
        driver.bench.platform.start_plan(now);
        driver
    }
    fn write(&mut self, offset: u64, value: u32) {
        self.bench.write32(self.bar + offset, value);
    }
    fn read(&mut self, offset: u64) -> u32 {
        self.bench.read32(self.bar + offset)
    }
    fn run(&mut self, ms: u64) {
        let until = self.bench.machine.now + ms * 1_000_000;
        self.bench.run_until(until);
    }
    /// Self-ID packets since the last bus reset; none came since.
    fn nodes(&mut self) -> Option<u32> {
        let events = self.read(spec::INT_EVENT);
        self.write(spec::INT_EVENT + 4, u32::MAX);
        (events & event::SELF_ID_COMPLETE != 0).then(|| (self.read(spec::SELF_ID_COUNT) & 0x7fc) / 8)
    }
}

#[test]
fn cables_follow_the_plan() {
    let mut driver = Driver::new(
        "at 1ms plug late0\nat 5ms cable-pull node0 for=4ms\nat 20ms unplug disk1\nat 30ms replug disk1\n",
    );
    driver.run(3);
    assert_eq!(driver.nodes(), Some(5));
    driver.run(3);
    assert_eq!(driver.nodes(), Some(3), "node and disk behind it are gone");
    driver.run(6);
    assert_eq!(driver.nodes(), Some(5));
    driver.run(10);
    assert_eq!(driver.nodes(), Some(4));
    driver.run(10);
    assert_eq!(driver.nodes(), Some(5));
}

#[test]
fn resets_and_roots_follow_the_plan() {
    let mut driver = Driver::new("at 1ms bus-reset cam0\nat 5ms new-root disk1\nat 10ms new-root fw0\n");
    driver.run(3);
    assert_eq!(driver.nodes(), Some(4));
    driver.run(4);
    assert_eq!(driver.nodes(), Some(4));
    assert_eq!(driver.read(spec::NODE_ID) & spec::NODE_ROOT, 0);
    driver.run(5);
    assert_eq!(driver.nodes(), Some(4));
    assert_ne!(driver.read(spec::NODE_ID) & spec::NODE_ROOT, 0);
}

#[test]
fn a_node_can_go_when_it_sees_a_reset() {
    let mut driver = Driver::new("at 1ms bus-reset fw0\non disk1.fire.reset #1 unplug disk1\n");
    driver.run(3);
    assert_eq!(driver.nodes(), Some(3), "the last of two resets");
}

#[test]
fn a_card_that_comes_back_finds_its_bus() {
    let mut driver = Driver::new("at 1ms unplug cam0\nat 5ms unplug fw0\nat 10ms replug fw0\n");
    driver.run(30);
    assert_eq!(driver.read(spec::VERSION), u32::MAX, "not configured again");
    assert!(driver.bench.machine.faults.contains(&(4, "replug")));
}

#[test]
fn what_does_not_fit_is_told() {
    for (line, part) in [
        ("plug x edu slot=1\nat 1ms bus-reset x\n", "has no FireWire"),
        ("plug x edu slot=1\nat 1ms lost-ack x\n", "is no FireWire node"),
        ("plug x firewire-node slot=1\n", "goes into no slot"),
        ("plug u xhci slot=1\nplug x firewire-node on=u port=1\n", "has no FireWire ports"),
        ("plug f ohci slot=1\nplug x usb-mouse on=f port=1\n", "has no USB ports"),
        ("plug f ohci slot=1\nplug x firewire-node on=f port=4\n", "has no port 4"),
        (
            "plug f ohci slot=1\nplug x firewire-node on=f port=1 ports=0\nplug y firewire-node on=x port=1\n",
            "has no port 1",
        ),
        (
            "plug f ohci slot=1\nplug x firewire-node on=f port=1\nat 1ms storm x rate=1kHz for=1ms\n",
            "no interrupt of its own",
        ),
        ("plug f ohci slot=1\nplug x firewire-node on=f port=1\nat 1ms nak x for=1ms\n", "is no USB device"),
    ] {
        let plan = Plan::parse("t", line).unwrap_or_else(|errors| panic!("{line}: {errors:?}"));
        let errors: Vec<String> = catalogue::check(&plan).iter().map(ToString::to_string).collect();
        assert!(errors.len() == 1 && errors[0].contains(part), "{line}: {errors:?}");
    }
}
