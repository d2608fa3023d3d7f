//! R2, R3: the property lock, what it protects, what becomes immutable.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{Array, Dictionary, IoKit, ServiceBuilder, ServiceRef, Value, registry::POWER_PLANE};
use mach::{Policy, Thread, band};

use crate::{
    mock::{Mock, NUB, bus_and_nub},
    world::shared,
};

fn elsewhere(kit: &IoKit, f: impl FnOnce(&mach::KernelRef) + Send + 'static) -> Arc<Thread> {
    kit.kernel().spawn("elsewhere", band::DEFAULT, Policy::Fixed, f).unwrap()
}

fn r2_a_property_action_is_one_step_and_recursive(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        nub.set_property("count", 0u64);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let nub = nub.clone();
                elsewhere(kit, move |kernel| {
                    for _ in 0..3 {
                        nub.run_property_action(|| {
                            nub.run_property_action(|| {
                                let before = nub.number("count").unwrap();
                                kernel.delay(1_000);
                                nub.set_property("count", before + 1);
                            });
                        });
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join(kit.kernel());
        }
        assert_eq!(nub.number("count"), Some(9));
    });
}

/// Whether a property of one entry can be read while another thread holds the lock of `held`, which may be the same.
fn readable_meanwhile(kit: &IoKit, held: &ServiceRef, read: &ServiceRef) -> bool {
    let answer = shared(kit, None);
    let (place, entry) = (answer.clone(), read.clone());
    let inside = shared(kit, false);
    let flag = inside.clone();
    let (holder, watched) = (held.clone(), answer.clone());
    let seen = shared(kit, false);
    let result = seen.clone();
    let holding = elsewhere(kit, move |kernel| {
        holder.run_property_action(|| {
            *flag.lock() = true;
            kernel.sleep_until(kernel.now() + 2_000_000);
            *result.lock() = watched.lock().is_some();
        });
    });
    while !*inside.lock() {
        kit.kernel().sleep_until(kit.kernel().now() + 1_000);
    }
    let reading = elsewhere(kit, move |_| {
        let value = entry.copy_property("x");
        *place.lock() = Some(value);
    });
    holding.join(kit.kernel());
    reading.join(kit.kernel());
    assert_eq!(*answer.lock(), Some(Some(Value::Number(1))));
    *seen.lock()
}

fn r2(kit: &IoKit, one_lock_for_all: bool) {
    let (bus, nub) = bus_and_nub(kit);
    bus.set_property("x", 1u64);
    nub.set_property("x", 1u64);
    assert!(!readable_meanwhile(kit, &nub, &nub));
    assert_eq!(readable_meanwhile(kit, &nub, &bus), !one_lock_for_all);
}

fn r2_each_entry_has_its_own_property_lock(lab: &Lab<'_>) {
    lab.everywhere(|kit| r2(kit, false));
    lab.everywhere_in("era=10.5", |kit| r2(kit, false));
}

fn r2_up_to_10_4_one_property_lock_is_for_all(lab: &Lab<'_>) {
    lab.everywhere_in("era=10.4", |kit| r2(kit, true));
    lab.everywhere_in("era=10.3", |kit| r2(kit, true));
}

fn r2_what_copy_property_gave_outlives_the_property(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let list = Array::new(kit);
        list.push(5u64);
        nub.set_property("list", list);
        let stop = shared(kit, false);
        let (writer, done) = (nub.clone(), stop.clone());
        let thread = elsewhere(kit, move |_| {
            let kit = writer.kit().clone();
            while !*done.lock() {
                let list = Array::new(&kit);
                list.push(5u64);
                writer.set_property("list", list);
                writer.remove_property("list");
            }
        });
        for _ in 0..8 {
            let value = nub.copy_property("list");
            kit.kernel().delay(1_000);
            if let Some(list) = value.as_ref().and_then(Value::as_array) {
                assert_eq!(list.items(), [Value::Number(5)]);
            }
        }
        *stop.lock() = true;
        thread.join(kit.kernel());
    });
}

/// A dictionary with an array with a dictionary.
fn nested(kit: &IoKit) -> (Dictionary, Array, Dictionary) {
    let (outer, list, inner) = (Dictionary::new(kit), Array::new(kit), Dictionary::new(kit));
    inner.set("number", 1u64);
    list.push(inner.clone());
    outer.set("list", list.clone());
    (outer, list, inner)
}

fn r3_a_collection_of_an_attached_entry_is_immutable_and_so_is_all_in_it(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let (outer, list, inner) = nested(kit);
        assert!(!outer.is_immutable() && !list.is_immutable() && !inner.is_immutable());
        nub.set_property("outer", outer.clone());
        assert!(outer.is_immutable() && list.is_immutable() && inner.is_immutable());
        assert!(nub.property("outer").unwrap().as_dictionary().unwrap().is(&outer), "shared, not copied");
    });
}

fn r3_a_collection_becomes_immutable_when_its_entry_attaches_in_any_plane(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, _) = bus_and_nub(kit);
        for plane in [&iokit::registry::SERVICE_PLANE, &POWER_PLANE] {
            let (outer, list, inner) = nested(kit);
            let (early, ..) = nested(kit);
            let properties = iokit::Properties::new().with("early", early.clone());
            let loose = ServiceBuilder::new(kit, Box::new(Mock::new(&NUB))).properties(properties).build();
            loose.set_property("outer", outer.clone());
            outer.set("more", 2u64);
            assert!(!outer.is_immutable() && !early.is_immutable());
            assert!(loose.attach_in(&bus, plane));
            assert!(
                outer.is_immutable() && list.is_immutable() && inner.is_immutable() && early.is_immutable()
            );
            loose.detach_in(&bus, plane);
            assert!(inner.is_immutable(), "for good");
        }
    });
}

fn r3_setting_while_the_entry_attaches_leaves_nothing_mutable(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, _) = bus_and_nub(kit);
        let loose = Mock::new(&NUB).service(kit, "loose");
        let list = Array::new(kit);
        let (entry, value) = (loose.clone(), list.clone());
        let thread = elsewhere(kit, move |_| entry.set_property("list", value));
        assert!(loose.attach(&bus));
        thread.join(kit.kernel());
        assert!(list.is_immutable());
    });
}

fn r3_to_change_a_shared_collection_set_a_changed_copy(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let (outer, ..) = nested(kit);
        nub.set_property("outer", outer.clone());
        nub.run_property_action(|| {
            let copy = nub.property("outer").unwrap().as_dictionary().unwrap().copy_collection();
            copy.set("more", 3u64);
            nub.set_property("outer", copy);
        });
        let now = nub.property("outer").unwrap();
        assert_eq!(now.as_dictionary().unwrap().get("more"), Some(3u64.into()));
        assert_eq!((outer.get("more"), now.as_dictionary().unwrap().is_immutable()), (None, true));
        let own = nub.dictionary_with_properties();
        own.set("mine", true);
        assert!(!own.get("outer").unwrap().as_dictionary().unwrap().is_immutable());
        assert_eq!(nub.property("mine"), None);
    });
}

table! {
    r2_a_property_action_is_one_step_and_recursive,
    r2_each_entry_has_its_own_property_lock,
    r2_up_to_10_4_one_property_lock_is_for_all,
    r2_what_copy_property_gave_outlives_the_property,
    r3_a_collection_of_an_attached_entry_is_immutable_and_so_is_all_in_it,
    r3_a_collection_becomes_immutable_when_its_entry_attaches_in_any_plane,
    r3_setting_while_the_entry_attaches_leaves_nothing_mutable,
    r3_to_change_a_shared_collection_set_a_changed_copy,
}
