//! Properties over many plans.

use super::faults::{chance, device_fault, guest_fault};
use crate::fault::plan::threads::{Policy, ThreadSpec};
use crate::fault::plan::{
    Action, Era, Expect, Line, Load, Plan, Plug, Preemption, Rule, Span, Trigger, limits, render,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,12}"
}

fn options() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    let size = (1u64..1000).prop_map(|n| format!("{n}M"));
    let text = "[ -~]{1,20}".prop_filter("not empty", |s: &String| !s.is_empty());
    let one = prop_oneof![
        // 1024M would be written 1G; sizes below stay as they are.
        size.prop_map(|v| ("size".to_owned(), v)),
        text.prop_map(|v| ("file".to_owned(), v)),
        Just(("absent".to_owned(), "yes".to_owned())),
        name().prop_map(|v| ("driver".to_owned(), v)),
    ];
    vec(one, 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn trigger(names: Vec<String>) -> impl Strategy<Value = Trigger> {
    let site = "[a-z][a-zA-Z0-9]{0,9}(\\.[a-z][a-zA-Z]{0,9})?";
    prop_oneof![
        limits::TIME.prop_map(Trigger::At),
        limits::PERIOD.prop_map(Trigger::Every),
        (prop::sample::select(names.clone()), site, limits::COUNT)
            .prop_map(|(device, site, count)| { Trigger::Nth { device, site, count } }),
        (prop::sample::select(names), site, chance()).prop_map(|(device, site, chance)| Trigger::Chance {
            device,
            site,
            chance
        }),
    ]
}

fn action(names: Vec<String>) -> impl Strategy<Value = Action> {
    let storm = (limits::RATE, limits::DURATION);
    let simple = (prop::sample::select(names.clone()), 0..6, storm).prop_map(
        |(device, which, (rate_hz, duration))| match which {
            0 => Action::Unplug(device),
            1 => Action::Eject(device),
            2 => Action::Replug(device),
            3 => Action::Kill(device),
            4 => Action::Race { device, timer_first: duration % 2 == 0 },
            _ => Action::Storm { device, rate_hz, duration },
        },
    );
    let fault = (prop::sample::select(names), device_fault());
    // Every machine has the first CPU.
    prop_oneof![
        simple,
        fault.prop_map(|(device, fault)| Action::Fault { device, fault }),
        guest_fault(1).prop_map(Action::Guest),
    ]
}

fn expect() -> impl Strategy<Value = Expect> {
    let span = Span::default();
    prop_oneof![
        limits::DURATION.prop_map(move |t| Expect::Offline(t, span)),
        limits::DURATION.prop_map(move |t| Expect::Quiet(t, span)),
        Just(Expect::NoLeaks(span)),
    ]
}

fn era() -> impl Strategy<Value = Era> + Clone {
    prop::sample::select(vec![Era::E103, Era::E104, Era::E105, Era::Modern])
}

fn preemption() -> impl Strategy<Value = Preemption> + Clone {
    prop::sample::select(vec![Preemption::Tasks, Preemption::Strict, Preemption::Full])
}

/// Devices by name, in slots of their own.
fn plugs() -> impl Strategy<Value = Vec<Plug>> {
    btree_map(name(), (name(), options()), 1..8).prop_map(|devices| {
        let plug = |(slot, (name, (model, options)))| Plug {
            name,
            model,
            slot,
            options,
            span: Span::default(),
            marks: Default::default(),
        };
        (1..).zip(devices).map(plug).collect()
    })
}

fn rules(names: Vec<String>) -> impl Strategy<Value = Vec<Rule>> {
    let rule = (trigger(names.clone()), action(names)).prop_map(|(trigger, action)| Rule {
        trigger,
        action,
        span: Span::default(),
        marks: Default::default(),
    });
    vec(rule, 0..12)
}

fn loads(names: Vec<String>) -> impl Strategy<Value = Vec<Load>> {
    let numbers = (any::<bool>(), limits::CLIENTS, limits::DEPTH, option::of(limits::REQUEST));
    vec(numbers, names.len()).prop_map(move |numbers| {
        let load = |(device, (_, clients, depth, size)): (&String, (bool, u64, u64, Option<u64>))| Load {
            device: device.clone(),
            clients: clients as u32,
            depth: depth as u32,
            size: size.map(|bytes| bytes as u32),
            tasks: (clients + depth) % 3 == 0,
            span: Span::default(),
            marks: Default::default(),
        };
        names.iter().zip(numbers).filter(|(_, (some, ..))| *some).map(load).collect()
    })
}

fn threads(devices: Vec<String>) -> impl Strategy<Value = Vec<ThreadSpec>> {
    let numbers = (0u32..=127, 0usize..4, option::of(limits::DURATION), limits::PERIOD, limits::TIME);
    let gate = option::of(prop::sample::select(devices));
    let one = (numbers, gate).prop_map(|((priority, policy, run, every, start), gate)| ThreadSpec {
        name: String::new(),
        priority,
        policy: Policy::ALL[policy],
        run,
        every,
        start,
        gate,
        span: Span::default(),
        marks: Default::default(),
    });
    vec(one, 0..4).prop_map(|mut threads| {
        threads.iter_mut().enumerate().for_each(|(n, thread)| thread.name = format!("t{n}"));
        threads
    })
}

/// An expectation of each thread.
fn turns(threads: &[ThreadSpec]) -> impl Iterator<Item = Expect> {
    threads.iter().map(|thread| Expect::Turn {
        thread: thread.name.clone(),
        within: thread.every,
        span: Span::default(),
        marks: Default::default(),
    })
}

/// Any plan that could have been read from a text; comments and empty lines are strewn in.
fn plan() -> impl Strategy<Value = Plan> {
    let times = (option::of(limits::TIME), option::of(limits::TIME));
    let switches = (any::<bool>(), option::of(limits::FAIL_SAFE), times, preemption());
    let machine = (limits::CPUS, 16u64..=16384, era(), limits::DURATION, switches);
    let comments = vec(option::of(option::of("[ -~é]{0,20}[!-~]")), 60);
    plugs().prop_flat_map(move |plugs| {
        let names: Vec<String> = plugs.iter().map(|p| p.name.clone()).collect();
        let rest = (loads(names.clone()), threads(names.clone()), rules(names), vec(expect(), 0..4));
        (Just(plugs), rest, machine.clone(), comments.clone()).prop_map(
            |(
                plugs,
                (loads, threads, rules, mut expects),
                (cpus, megabytes, era, run_for, switches),
                comments,
            )| {
                let (cpus, memory) = (cpus as usize, megabytes << 20);
                let name = "any.plan".into();
                expects.extend(turns(&threads));
                let (push, fail_safe, (overstay, debounce), preemption) = switches;
                let mut plan = Plan {
                    name,
                    cpus,
                    memory,
                    era,
                    preemption,
                    push,
                    fail_safe,
                    overstay,
                    debounce,
                    plugs,
                    loads,
                    threads,
                    rules,
                    expects,
                    run_for,
                    lines: Vec::new(),
                };
                plan.lines = strew(plan.layout(), comments);
                plan
            },
        )
    })
}

/// Comments behind statements (`Some(Some)`), and empty or comment lines between them.
fn strew(lines: Vec<Line>, comments: Vec<Option<Option<String>>>) -> Vec<Line> {
    let mut out = Vec::new();
    for (n, mut line) in lines.into_iter().enumerate() {
        match comments.get(n).cloned().flatten() {
            None => {}
            Some(comment) if n % 2 == 0 => line.comment = comment,
            Some(comment) => out.push(Line { item: None, comment }),
        }
        out.push(line);
    }
    out
}

/// Parses whatever it is and shows what is wrong with it: must return.
fn survive(text: &str) {
    match Plan::parse("p", text) {
        Ok(plan) => {
            let printed = plan.to_string();
            let again = Plan::parse("p", &printed).expect("canonical text parses");
            assert_eq!(again, plan);
            assert_eq!(again.to_string(), printed);
        }
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= limits::ERRORS);
            assert!(errors.iter().all(|e| e.line > 0 && e.column > 0));
            assert!(!render(&errors, text, false).is_empty());
        }
    }
}

/// Text that is made of the language's own pieces.
fn nearly() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "machine",
        "plug",
        "load",
        "thread",
        "at",
        "every",
        "on",
        "expect",
        "run",
        "unplug",
        "storm",
        "race",
        "freeze",
        "delay",
        "fail-alloc",
        "preempt",
        "stall",
        "by=1ms",
        "priority=9",
        "run=always",
        "turn",
        "count=3",
        "edu0",
        "edu",
        "edu0.start",
        "#1",
        "# c",
        "#",
        "cpus=2",
        "slot=1",
        "for=5ms",
        "5ms",
        "=",
        "\"",
        "a=\"",
        "\\",
        "\n",
        "\r",
        " ",
        "\t",
        "é",
        "\u{0}",
        "0x",
        "_",
        "99999999999999999999s",
        "within=1s",
        "no-leaks",
        "memory=64M",
        "p=0.1",
    ];
    vec((prop::sample::select(PIECES), prop::sample::select(vec![" ", "", "\n"])), 0..60)
        .prop_map(|all| all.into_iter().flat_map(|(piece, space)| [piece, space]).collect())
}

proptest! {
    #[test]
    fn printed_plans_read_back_the_same(plan in plan()) {
        let text = plan.to_string();
        let again = Plan::parse("any.plan", &text);
        prop_assert_eq!(again.as_ref(), Ok(&plan), "{}", text);
        prop_assert_eq!(again.map(|p| p.to_string()), Ok(text));
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}|(.|\\n){0,200}") {
        survive(&text);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..400)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_the_language_are_survived(text in nearly()) {
        survive(&text);
    }

    #[test]
    fn mutated_plans_are_survived(plan in plan(), changes in vec((any::<prop::sample::Index>(), any::<char>(), 0..4), 1..6)) {
        let mut chars: Vec<char> = plan.to_string().chars().collect();
        for (at, c, how) in changes {
            let at = at.index(chars.len());
            match how {
                0 => chars[at] = c,
                1 => chars.insert(at, c),
                2 => { chars.remove(at); }
                _ => chars.truncate(at + 1),
            }
            if chars.is_empty() {
                break;
            }
        }
        survive(&chars.into_iter().collect::<String>());
    }
}
