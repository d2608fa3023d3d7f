//! What the language says, and how it is printed.

use crate::fault::plan::{Action, Era, Expect, Item, Plan, Span, Trigger};

const CARD: &str = "\
# surprise-removal.plan: the card goes while requests are in flight
machine cpus=2 memory=64M
plug edu0 edu slot=1
plug disk0 virtio-blk slot=2 size=16M
load edu0 clients=4 depth=8

at 5ms storm edu0 rate=200kHz for=10ms
on edu0.mmio.write #40 unplug edu0  # in the middle of a doorbell
at 30ms replug edu0
expect offline within=5ms
expect quiet within=1s
expect no-leaks
run for=100ms
";

fn parse(text: &str) -> Plan {
    Plan::parse("card.plan", text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn every_statement_means_what_it_says() {
    let plan = parse(CARD);
    assert_eq!(
        (plan.name.as_str(), plan.cpus, plan.memory, plan.era),
        ("card.plan", 2, 64 << 20, Era::Modern)
    );
    assert_eq!(plan.plugs[1].options["size"], "16M");
    assert_eq!((plan.loads[0].clients, plan.loads[0].depth), (4, 8));
    let storm = Action::Storm { device: "edu0".into(), rate_hz: 200_000, duration: 10_000_000 };
    assert_eq!((&plan.rules[0].trigger, &plan.rules[0].action), (&Trigger::At(5_000_000), &storm));
    let site = Trigger::Nth { device: "edu0".into(), site: "mmio.write".into(), count: 40 };
    assert_eq!((&plan.rules[1].trigger, &plan.rules[1].action), (&site, &Action::Unplug("edu0".into())));
    assert_eq!(plan.expects[1], Expect::Quiet(1_000_000_000, Span::default()));
    assert_eq!(plan.run_for, 100_000_000);
    assert_eq!(plan.lines[7].item, Some(Item::Rule(1)));
    assert_eq!(plan.lines[7].comment.as_deref(), Some(" in the middle of a doorbell"));
}

#[test]
fn canonical_text_prints_as_it_was() {
    assert_eq!(parse(CARD).to_string(), CARD);
}

#[test]
fn other_spellings_become_canonical() {
    let plan =
        parse("machine\tmemory=65536K   cpus=0x2#two\r\nplug a edu absent=yes slot=1\non a.start plug a\n\n");
    let canonical = "machine cpus=2 memory=64M  #two\nplug a edu slot=1 absent=yes\non a.start #1 plug a\n\n";
    assert_eq!(plan.to_string(), canonical);
}

#[test]
fn an_empty_text_is_a_plan_of_defaults() {
    let plan = parse("");
    assert_eq!(plan, Plan { name: "card.plan".into(), ..Plan::default() });
    assert_eq!((plan.cpus, plan.memory, plan.run_for), (2, 64 << 20, 100_000_000));
    assert_eq!(plan.to_string(), "");
}

#[test]
fn a_quoted_value_keeps_space_and_hash() {
    let text = "plug d virtio-blk slot=1 file=\"a \\\"b\\\" #c\\\\\"\n";
    let plan = parse(text);
    assert_eq!(plan.plugs[0].options["file"], "a \"b\" #c\\");
    assert_eq!(plan.to_string(), text);
}

#[test]
fn spans_point_at_words() {
    let plan = parse(CARD);
    let model = plan.plugs[1].span_of("model");
    assert_eq!((&CARD[model.start..model.end], model.line, model.column), ("virtio-blk", 4, 12));
    let rule = &plan.rules[1];
    let site = rule.span_of("site");
    assert_eq!(&CARD[site.start..site.end], "edu0.mmio.write");
    let whole = rule.span_of("no such role");
    assert_eq!(&CARD[whole.start..whole.end], "on edu0.mmio.write #40 unplug edu0");
    let rate = plan.rules[0].span_of("rate");
    assert_eq!(&CARD[rate.start..rate.end], "rate=200kHz");
}

#[test]
fn the_guest_is_told_names_drivers_and_loads() {
    let text = "machine era=10.4\nplug edu0 edu slot=3 irq=intx driver=close-early size=1M\nload edu0 clients=2 depth=4\nplug b edu slot=4 absent=yes\n";
    let words =
        "slot.3=name:edu0,driver:close-early,irq:intx slot.4=name:b load.3=clients:2,depth:4 era=10.4";
    assert_eq!(parse(text).guest_command_line(), words);
    assert_eq!(parse("").guest_command_line(), "");
}

#[test]
fn the_guest_is_told_of_preemption_and_limits_that_are_not_the_usual() {
    for (text, words) in [
        ("machine cpus=2 memory=64M preemption=strict\n", "preemption=strict"),
        ("machine cpus=2 memory=64M preemption=full\n", "preemption=full"),
        ("machine preemption=tasks", ""),
        ("machine overstay=50us", "overstay=50000"),
        ("machine overstay=0ns", "overstay=0"),
        ("machine debounce=1ms", "debounce=1000000"),
    ] {
        assert_eq!(parse(text).guest_command_line(), words);
        assert_eq!(parse(&parse(text).to_string()), parse(text));
    }
}

#[test]
fn a_plan_made_by_a_program_prints_whole() {
    let mut plan = parse(CARD);
    plan.lines.clear();
    plan.cpus = 4;
    let text = plan.to_string();
    assert!(text.starts_with("machine cpus=4 memory=64M\nplug edu0 edu slot=1\n"), "{text}");
    let again = Plan::parse("card.plan", &text).expect("a printed plan parses");
    assert_eq!(again, Plan { lines: plan.layout(), ..plan });
}

#[test]
fn clients_can_be_tasks() {
    let text = "plug disk0 virtio-blk slot=2\nload disk0 clients=2 depth=2 as=tasks\n";
    let plan = parse(text);
    assert!(plan.loads[0].tasks);
    assert_eq!(plan.guest_command_line(), "slot.2=name:disk0 load.2=clients:2,depth:2,as:tasks");
    assert_eq!(parse(&plan.to_string()), plan);
    assert!(plan.to_string().contains("load disk0 clients=2 depth=2 as=tasks\n"));
    assert!(!parse(&text.replace("=tasks", "=threads")).loads[0].tasks);
}

const USB: &str = "plug stick0 usb-storage on=hub1 port=2 size=16M\nplug hub1 usb-hub on=hub0 port=3\n\
                   plug usb0 xhci slot=31 ports=6\nplug hub0 usb-hub on=usb0 port=4 absent=yes\n\
                   load stick0 clients=1 depth=2\nat 1ms plug hub0\n\
                   at 2ms disconnect-port hub0 port=3 for=5ms\nat 9ms nak stick0 for=1ms\n";

#[test]
fn usb_devices_have_numbers_that_no_card_has_and_a_way() {
    let plan = parse(USB);
    let numbers: Vec<u32> = plan.plugs.iter().map(|plug| plug.slot).collect();
    assert_eq!(numbers, [30, 29, 31, 28]);
    assert_eq!(plan.path(&plan.plugs[0]), Some((31, vec![4, 3, 2])));
    let words = "slot.30=name:stick0,at:31.4.3.2 slot.29=name:hub1,at:31.4.3 slot.31=name:usb0 \
                 slot.28=name:hub0,at:31.4 load.30=clients:1,depth:2";
    assert_eq!(plan.guest_command_line(), words);
}

#[test]
fn usb_plans_print_as_they_are() {
    let plan = parse(USB);
    assert_eq!(plan.to_string(), USB);
    assert_eq!(parse(&plan.to_string()), plan);
}
