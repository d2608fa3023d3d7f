//! Mistakes are found, placed and explained.

use crate::fault::plan::{Plan, PlanError, limits, words};

/// The only error of `text`.
fn error(text: &str) -> PlanError {
    let mut errors = Plan::parse("p.plan", text).expect_err("the plan is wrong");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

fn shown(text: &str) -> String {
    error(text).to_string()
}

#[test]
fn messages_say_what_where_and_what_was_expected() {
    let cases = [
        (
            "machin cpus=2\n",
            "p.plan:1:1: unknown statement `machin`; expected `machine`, `plug`, `load`, `thread`, `at`, `every`, `on`, `expect` or `run`; did you mean `machine`?",
        ),
        ("machine cpus=9\n", "p.plan:1:9: `9` is out of range; expected from 1 to 8"),
        (
            "machine cpu=2\n",
            "p.plan:1:9: unknown option `cpu`; expected `cpus`, `memory`, `era`, `preemption`, `push`, `fail-safe`, `overstay` or `debounce`; did you mean `cpus`?",
        ),
        ("machine cpus=2 cpus=2", "p.plan:1:16: `cpus=` is given twice"),
        ("machine memory=64Q", "p.plan:1:9: unknown unit `Q`; expected a number with K, M or G"),
        (
            "machine memory=16385K",
            "p.plan:1:9: the memory is not a whole number of megabytes; expected a multiple of 1M",
        ),
        (
            "\n\nplug é edu slot=1",
            "p.plan:3:6: `é` is not a name; expected a small letter, then small letters, digits or `-`; at most 16 characters",
        ),
        ("plug a edu", "p.plan:1:11: `slot=` is missing; expected `slot=` and a number"),
        (
            "plug a edu slt=1",
            "p.plan:1:12: unknown option `slt`; expected `slot=` and a number; did you mean `slot`?",
        ),
        ("plug a edu slot=32", "p.plan:1:12: `32` is out of range; expected from 1 to 31"),
        ("plug a edu slot=1 size=1T", "p.plan:1:19: unknown unit `T`; expected a number with K, M or G"),
        (
            "plug a edu slot=1 absent=maybe",
            "p.plan:1:19: `maybe` is not a value of `absent`; expected `yes` or `no`",
        ),
        ("run for=5", "p.plan:1:5: `5` has no unit; expected a number with ns, us, ms or s"),
        ("run for=5ms now", "p.plan:1:13: `now` stands behind the options; expected KEY=VALUE"),
        ("run", "p.plan:1:4: `for=` is missing; expected `for=` and a time in ns, us, ms or s"),
        (
            "run for=1ms\nrun for=2ms",
            "p.plan:2:1: `run` stands here for the second time; the first is in line 1; expected one `run`",
        ),
        (
            "machine\nmachine",
            "p.plan:2:1: `machine` stands here for the second time; the first is in line 1; expected one `machine`",
        ),
        (
            "expect no-leak",
            "p.plan:1:8: unknown expectation `no-leak`; expected `offline`, `quiet`, `turn` or `no-leaks`; did you mean `no-leaks`?",
        ),
        (
            "unplug a",
            "p.plan:1:1: unknown statement `unplug`; expected a trigger before it, such as `at 5ms unplug …`",
        ),
        ("every 10ns unplug a", "p.plan:1:7: `10ns` is out of range; expected from 1us to 3600s"),
        (
            "on a unplug a",
            "p.plan:1:4: `a` is not a site; expected a device name, `.` and a site, such as `edu0.mmio.write`",
        ),
        ("on a.start #0 unplug a", "p.plan:1:12: `0` is out of range; expected from 1 to 1000000000000"),
        (
            "at 5ms",
            "p.plan:1:7: the statement ends too early; expected an action that `workgate devices` lists, such as `unplug` or `delay`",
        ),
        ("plug a edu slot=1 file=\"x", "p.plan:1:24: the quote is not closed; expected a closing `\"`"),
        (
            "at 5ms\u{7} unplug a",
            "p.plan:1:7: control character \\u{7} in the text; expected printable characters",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(shown(text), message, "in {text:?}");
    }
}

#[test]
fn statements_must_fit_together() {
    let plug = "plug edu0 edu slot=1\n";
    let cases = [
        (
            "plug edu0 edu slot=2",
            "p.plan:2:6: there is a device `edu0` already, in line 1; expected another name",
        ),
        (
            "plug b edu slot=1",
            "p.plan:2:12: slot 1 is taken by `edu0`; expected a slot of its own for each device",
        ),
        (
            "at 1ms unplug edu1",
            "p.plan:2:15: there is no device `edu1`; expected a device of this plan: edu0; did you mean `edu0`?",
        ),
        (
            "on ed.start eject edu0",
            "p.plan:2:4: there is no device `ed`; expected a device of this plan: edu0",
        ),
        (
            "load x clients=1 depth=1",
            "p.plan:2:6: there is no device `x`; expected a device of this plan: edu0",
        ),
        (
            "at 1ms plug edu0",
            "p.plan:2:8: `edu0` is plugged in from the start; expected `replug edu0`, or `absent=yes` in its declaration",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(shown(&format!("{plug}{text}")), message, "in {text:?}");
    }
}

#[test]
fn words_of_later_versions_are_refused_plainly() {
    for word in words::LATER_ACTIONS {
        let error = error(&format!("at 5ms {word} edu0 timer=before"));
        assert_eq!(error.message, format!("`{word}` is not available in this version"));
        assert_eq!(error.column, 8);
    }
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let errors = Plan::parse("p.plan", "machin\nrun for=5\nplug a edu slot=0\n").expect_err("three mistakes");
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn limits_hold() {
    let text = "\n".repeat(limits::TEXT_BYTES + 1);
    assert_eq!(error(&text).message, format!("the plan has {} bytes", text.len()));
    assert_eq!(error(&"\n".repeat(limits::LINES + 1)).message, "the plan has too many lines");
    assert_eq!(error(&format!("#{}", "x".repeat(limits::LINE_BYTES))).message, "the line is too long");
    let rules = "at 1ms unplug a\n".repeat(limits::RULES + 1);
    assert_eq!(error(&format!("plug a edu slot=1\n{rules}")).message, "too many rules");
    let expects = "expect no-leaks\n".repeat(limits::EXPECTS + 1);
    assert_eq!(error(&expects).message, "too many expectations");
    let errors = Plan::parse("p", &"x\n".repeat(1000)).expect_err("wrong lines");
    assert_eq!(errors.len(), limits::ERRORS);
}

#[test]
fn a_rendered_error_shows_the_line_and_marks_the_word() {
    let text = "machine cpus=2\nat 5ms unpulg edu0\n";
    let shown = error(text).render(text, false);
    let expected = "\
error: unknown action `unpulg`
 --> p.plan:2:8
  |
2 | at 5ms unpulg edu0
  |        ^^^^^^ expected an action that `workgate devices` lists, such as `unplug` or `delay`
  |
help: did you mean `unplug`?";
    assert_eq!(shown, expected);
    assert!(error(text).render(text, true).contains("\u{1b}["));
}

#[test]
fn places_that_cannot_be() {
    for (text, part) in [
        ("plug a usb-hub on=b port=1\n", "there is no device `b`"),
        ("plug a usb-hub on=a port=1\n", "no end, or too many hubs"),
        ("plug a usb-hub on=Ä port=1\n", "expected the name of a controller or hub"),
        ("plug a usb-hub on=a\n", "`port=` is missing"),
        ("plug a usb-hub on=a port=16\n", "`16` is out of range"),
        ("plug u xhci slot=1\nplug a usb-hub on=u port=1 slot=2\n", "slot"),
        (
            "plug u xhci slot=1\nplug a usb-hub on=u port=1\nplug b usb-hub on=u port=1\n",
            "port 1 of `u` is taken by `a`",
        ),
    ] {
        let errors = Plan::parse("p.plan", text).map(|plan| crate::catalogue::check(&plan));
        let errors = errors.unwrap_or_else(|errors| errors);
        assert!(errors.iter().any(|error| error.to_string().contains(part)), "{text}: {errors:?}");
    }
    let chain = |hubs: usize| {
        let mut text = "plug h0 xhci slot=1\n".to_owned();
        (1..=hubs).for_each(|n| text.push_str(&format!("plug h{n} usb-hub on=h{} port=1\n", n - 1)));
        Plan::parse("p.plan", &text)
    };
    assert!(chain(6).is_ok(), "five hubs, and a device that is one");
    assert!(chain(7).is_err());
    let two = Plan::parse("p.plan", "plug a usb-hub on=b port=1\nplug b usb-hub on=a port=1\n");
    assert!(two.is_err(), "a circle");
    let many: String = (0..31).map(|n| format!("plug d{n} edu slot={}\n", n + 1)).collect();
    assert!(shown(&format!("{many}plug u usb-hub on=d0 port=1\n")).contains("too many devices"));
}
