//! The order in which gates are taken: seen without a deadlock, told by the owners' classes (section 3, order g: holding A's gate while taking
//! B's invites ABBA).

use crate::prelude::*;
use crate::sync::Arc;
use iokit::{IoKit, work_loop::WorkLoop};
use trace::Kind;

use crate::mock::{DRIVER, Mock, NUB};

/// A loop, with its owner.
fn work_loop(kit: &IoKit, class: &'static iokit::Class, name: &str) -> (iokit::ServiceRef, Arc<WorkLoop>) {
    let owner = Mock::new(class).service(kit, name);
    let work_loop = WorkLoop::new(&owner);
    (owner, work_loop)
}

fn g_gates_taken_in_opposite_orders_are_reported_by_their_classes(lab: &Lab<'_>) {
    for run in lab.few(20, |kit| {
        let (_a, a) = work_loop(kit, &DRIVER, "A");
        let (_b, b) = work_loop(kit, &NUB, "B");
        a.run_action(|| b.run_action(|| ()));
        b.run_action(|| a.run_action(|| ()));
    }) {
        run.assert_done();
        assert_eq!(run.violations(), ["lock-order"]);
        let event = run.events.iter().find(|event| event.kind == Kind::Violation).unwrap();
        let name = |object| {
            let named = run.events.iter().find(|event| event.kind == Kind::Name && event.object == object);
            named.unwrap().text_str().to_owned()
        };
        assert_eq!(
            (name(event.object), name(event.other)),
            ("MockDriver gate".into(), "MockNub gate".into())
        );
    }
}

/// A property action is held inside of no gate, and no gate inside of it.
fn r2_a_gate_taken_in_a_property_action_is_reported_if_properties_are_used_in_the_gate(lab: &Lab<'_>) {
    lab.violating(&["lock-order"], |kit| {
        let (owner, work_loop) = work_loop(kit, &DRIVER, "D");
        work_loop.run_action(|| owner.set_property("key", 1_u64));
        owner.run_property_action(|| work_loop.run_action(|| ()));
    });
}

/// Two cards of one kind, a gate taken again, and gates one after the other have nothing to be ordered.
fn right_uses_of_gates_raise_no_alarm(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_a, a) = work_loop(kit, &DRIVER, "A");
        let (_b, b) = work_loop(kit, &DRIVER, "B");
        let (nub, n) = work_loop(kit, &NUB, "N");
        for _ in 0..2 {
            a.run_action(|| b.run_action(|| a.run_action(|| nub.set_property("key", 1_u64))));
            b.run_action(|| a.run_action(|| n.run_action(|| b.run_action(|| ()))));
            n.run_action(|| nub.property("key"));
        }
    });
}

table! {
    g_gates_taken_in_opposite_orders_are_reported_by_their_classes,
    r2_a_gate_taken_in_a_property_action_is_reported_if_properties_are_used_in_the_gate,
    right_uses_of_gates_raise_no_alarm,
}
