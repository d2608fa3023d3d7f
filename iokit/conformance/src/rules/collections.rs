//! R4, R5: changing what is immutable; deep copies.

use crate::prelude::*;
use crate::world::Run;
use iokit::{Array, Dictionary, IoKit, ServiceRef, Value};

use crate::mock::bus_and_nub;

/// An entry with a collection that the registry shares.
fn shared_list(kit: &IoKit) -> (ServiceRef, Array, Dictionary) {
    let (bus, nub) = bus_and_nub(kit);
    let (list, table) = (Array::new(kit), Dictionary::new(kit));
    list.push(1u64);
    table.set("a", 1u64);
    table.set("list", list.clone());
    nub.set_property("table", table.clone());
    drop(bus);
    (nub, list, table)
}

/// `change` must make the kernel panic, and name the rule.
fn is_fatal(lab: &Lab<'_>, change: fn(&ServiceRef, &Array, &Dictionary)) {
    let runs = lab.panicking(&["R4"], move |kit| {
        let (nub, list, table) = shared_list(kit);
        change(&nub, &list, &table);
    });
    for run in runs {
        assert_eq!(run.violations(), ["R4"], "{}", run.name());
    }
}

fn r4_strict_pushing_to_a_shared_list_panics(lab: &Lab<'_>) {
    is_fatal(lab, |_, list, _| list.push(2u64));
}

fn r4_strict_setting_in_a_shared_dictionary_panics(lab: &Lab<'_>) {
    is_fatal(lab, |_, _, table| {
        table.set("a", 2u64);
    });
}

fn r4_strict_every_other_change_panics(lab: &Lab<'_>) {
    is_fatal(lab, |_, list, _| list.clear());
    is_fatal(lab, |_, list, _| drop(list.remove(0)));
    is_fatal(lab, |_, _, table| drop(table.remove("a")));
    is_fatal(lab, |_, _, table| table.clear());
}

fn r3_a_property_action_does_not_lift_immutability(lab: &Lab<'_>) {
    is_fatal(lab, |nub, list, _| nub.run_property_action(|| list.push(2u64)));
}

fn r4_lax_logs_with_a_backtrace_and_goes_on(lab: &Lab<'_>) {
    let runs = lab.everywhere_in("io=0x40000", |kit| {
        let (_nub, list, table) = shared_list(kit);
        list.push(2u64);
        assert_eq!(table.set("a", 7u64), Some(1u64.into()));
        assert_eq!(list.items(), [Value::Number(1), Value::Number(2)]);
        assert!(list.is_immutable(), "still");
    });
    for run in runs {
        let console = &run.console;
        let lines = console.iter().filter(|l| l.contains("collection in the registry"));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 2, "{console:?}");
        assert!(lines.iter().all(|l| l.contains("backtrace")), "{console:?}");
    }
}

fn r5_containers_are_copied_leaves_are_shared_and_the_copy_is_mutable(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_nub, list, table) = shared_list(kit);
        let text: Value = String::from("some text").into();
        let outer = Dictionary::new(kit);
        outer.set("text", text.clone());
        outer.set("table", table.clone());
        outer.set("list", list.clone());
        outer.set_immutable();
        let copy = outer.copy_collection();
        assert_eq!(copy, outer);
        assert!(!copy.is(&outer) && !copy.is_immutable());
        let (Some(Value::Text(a)), Value::Text(b)) = (copy.get("text"), &text) else { panic!("not text") };
        assert!(crate::sync::Arc::ptr_eq(&a, b), "a leaf is shared");
        let inner = copy.get("table").unwrap();
        let inner = inner.as_dictionary().unwrap();
        assert!(!inner.is(&table) && !inner.is_immutable());
        inner.set("a", 9u64);
        assert_eq!(table.get("a"), Some(1u64.into()));
        let (x, y) = (copy.get("list").unwrap(), inner.get("list").unwrap());
        assert!(x.as_array().unwrap().is(y.as_array().unwrap()), "what was one list is one list in the copy");
    });
}

fn r5_and_r3_end_in_circles(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (a, b) = (Dictionary::new(kit), Array::new(kit));
        a.set("b", b.clone());
        b.push(a.clone());
        b.push(b.clone());
        let copy = a.copy_collection();
        assert_eq!(copy, a, "equal in shape");
        assert!(!copy.is(&a));
        let inner = copy.get("b").unwrap();
        let inner = inner.as_array().unwrap();
        assert!(inner.get(0).unwrap().as_dictionary().unwrap().is(&copy));
        assert!(inner.get(1).unwrap().as_array().unwrap().is(inner));
        copy.set("more", 1u64);
        assert_ne!(copy, a);
        // Circles keep themselves alive, so they are opened before anything is frozen for good.
        inner.clear();
        let frozen = a.copy_collection();
        let list = frozen.get("b").unwrap();
        list.as_array().unwrap().clear();
        b.clear();
        a.set_immutable();
        assert!(a.is_immutable() && b.is_immutable());
    });
}

fn r5_a_copy_of_what_changes_meanwhile_is_whole(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (outer, list) = (Dictionary::new(kit), Array::new(kit));
        outer.set("list", list.clone());
        let writer = list.clone();
        let body = move |_: &mach::KernelRef| {
            for n in 0..6u64 {
                writer.push(n);
            }
        };
        let thread = kit.kernel().spawn("writer", mach::band::DEFAULT, mach::Policy::Fixed, body).unwrap();
        let copy = outer.copy_collection().get("list").unwrap();
        let items = copy.as_array().unwrap().items();
        assert!(items.iter().enumerate().all(|(n, v)| *v == Value::Number(n as u64)));
        thread.join(kit.kernel());
        assert_eq!((list.len(), list.update_stamp()), (6, 6));
    });
}

fn a_chain_of_collections_is_frozen_copied_compared_and_freed_without_recursion(lab: &Lab<'_>) {
    // More than a thread's stack has room for, on either machine: in the guest it has 32 KiB, and no call takes less than 48 bytes of it.
    let length = if lab.tries_many() { 100_000 } else { 1_000 };
    // One thread alone: on one CPU, two and three.
    let runs = lab.for_long(3, move |kit| {
        let first = Array::new(kit);
        let mut last = first.clone();
        for _ in 0..length {
            let next = Array::new(kit);
            last.push(next.clone());
            last = next;
        }
        drop(last);
        let copy = first.copy_collection();
        assert_eq!(copy, first);
        first.set_immutable();
    });
    runs.iter().for_each(Run::assert_done);
}

table! {
    r4_strict_pushing_to_a_shared_list_panics,
    r4_strict_setting_in_a_shared_dictionary_panics,
    r4_strict_every_other_change_panics,
    r3_a_property_action_does_not_lift_immutability,
    r4_lax_logs_with_a_backtrace_and_goes_on,
    r5_containers_are_copied_leaves_are_shared_and_the_copy_is_mutable,
    r5_and_r3_end_in_circles,
    r5_a_copy_of_what_changes_meanwhile_is_whole,
    a_chain_of_collections_is_frozen_copied_compared_and_freed_without_recursion,
}
