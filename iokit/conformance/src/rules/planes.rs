//! R1: planes.

use crate::prelude::*;
use iokit::registry::{DEVICE_TREE_PLANE, POWER_PLANE, Plane, SERVICE_PLANE};

use crate::{
    mock::{DRIVER, Mock, NUB, bus_and_nub},
    world::{Run, shared},
};

fn names(entries: &[iokit::ServiceRef]) -> Vec<String> {
    entries.iter().map(|e| e.name().to_owned()).collect()
}

fn r1_each_plane_has_parents_and_children_of_its_own(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let root = kit.root().unwrap();
        let [a, b] = ["A", "B"].map(|name| Mock::new(&DRIVER).under(&nub, name));
        assert!(bus.attach_in(&root, &POWER_PLANE));
        assert!(a.attach_in(&bus, &POWER_PLANE) && b.attach_in(&bus, &POWER_PLANE));
        assert!(b.attach_in(&a, &POWER_PLANE), "two parents");
        assert!(a.attach_in(&bus, &POWER_PLANE), "a second time: it is a child already");
        assert!(!a.attach_in(&a, &POWER_PLANE));
        assert_eq!(names(&bus.children_in(&POWER_PLANE)), ["A", "B"]);
        assert_eq!(names(&b.parents_in(&POWER_PLANE)), ["P", "A"]);
        assert_eq!(names(&b.parents_in(&SERVICE_PLANE)), ["N"]);
        assert_eq!(names(&nub.children_in(&SERVICE_PLANE)), ["A", "B"]);
        assert!(!nub.in_plane(&POWER_PLANE) && nub.in_plane(&SERVICE_PLANE));
        assert!(!b.in_plane(&DEVICE_TREE_PLANE) && b.in_any_plane());
        assert_eq!(names(&bus.below_in(&POWER_PLANE)), ["A", "B"], "each once, though B has two parents");
        assert_eq!(names(&b.above_in(&POWER_PLANE)), ["P", "A", "Root"]);
        b.detach_in(&bus, &POWER_PLANE);
        assert_eq!(names(&bus.children_in(&POWER_PLANE)), ["A"]);
        assert_eq!(names(&b.parents_in(&POWER_PLANE)), ["A"]);
        a.detach_all_in(&POWER_PLANE);
        assert!(!a.in_plane(&POWER_PLANE) && !b.in_plane(&POWER_PLANE));
        assert!(bus.children_in(&POWER_PLANE).is_empty());
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn r1_each_direction_retains(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let parent = Mock::new(&NUB).service(kit, "A");
        let child = Mock::new(&DRIVER).service(kit, "B");
        assert!(parent.attach_in(&root, &POWER_PLANE) && child.attach_in(&parent, &POWER_PLANE));
        drop((parent, child));
        assert_eq!((kit.instances("MockNub"), kit.instances("MockDriver")), (1, 1), "held by the plane");
        let parent = root.children_in(&POWER_PLANE).remove(0);
        parent.detach_in(&root, &POWER_PLANE);
        let child = parent.children_in(&POWER_PLANE).remove(0);
        drop(parent);
        assert_eq!(kit.instances("MockNub"), 1, "the child holds its parent");
        let parent = child.parent_in(&POWER_PLANE).unwrap();
        child.detach_in(&parent, &POWER_PLANE);
        drop(parent);
        assert_eq!((kit.instances("MockNub"), kit.instances("MockDriver")), (0, 1));
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn r1_links_that_nobody_takes_away_go_with_the_registry(lab: &Lab<'_>) {
    static MINE: Plane = Plane { name: "Mine" };
    let runs = lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let ring: Vec<_> = ["A", "B", "C"].map(|name| Mock::new(&NUB).service(kit, name)).into();
        assert!(ring[0].attach_in(&root, &MINE));
        for n in 0..3 {
            assert!(ring[(n + 1) % 3].attach_in(&ring[n], &MINE));
        }
        assert_eq!(names(&root.below_in(&MINE)), ["A", "B", "C"], "a circle is gone round once");
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn r1_both_directions_change_together(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let root = kit.root().unwrap();
        let child = Mock::new(&DRIVER).service(kit, "B");
        let parent = Mock::new(&NUB).service(kit, "A");
        assert!(parent.attach_in(&root, &POWER_PLANE));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (child, parent) = (child.clone(), parent.clone());
                let body = move |_: &mach::KernelRef| {
                    for _ in 0..4 {
                        assert!(child.attach_in(&parent, &POWER_PLANE));
                        child.detach_in(&parent, &POWER_PLANE);
                    }
                };
                kit.kernel().spawn("linker", mach::band::DEFAULT, mach::Policy::Fixed, body).unwrap()
            })
            .collect();
        for thread in threads {
            thread.join(kit.kernel());
        }
        assert!(!child.in_plane(&POWER_PLANE) && parent.children_in(&POWER_PLANE).is_empty());
    });
}

fn r1_paths_lead_from_the_root_by_name_and_location(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let twin = Mock::new(&NUB).under(&bus, "N");
        assert_eq!(nub.path_in(&SERVICE_PLANE).as_deref(), Some("IOService:/P/N"));
        nub.set_location_in(&SERVICE_PLANE, "1");
        twin.set_location_in(&SERVICE_PLANE, "2");
        assert_eq!(twin.path_in(&SERVICE_PLANE).as_deref(), Some("IOService:/P/N@2"));
        assert_eq!(kit.entry_at(&SERVICE_PLANE, "IOService:/P/N@2"), Some(twin.clone()));
        assert_eq!(kit.entry_at(&SERVICE_PLANE, "IOService:/P/N"), Some(nub.clone()));
        assert_eq!(kit.entry_at(&SERVICE_PLANE, "IOPower:/P"), None);
        assert_eq!(kit.entry_at(&POWER_PLANE, "IOPower:/P"), None);
        assert_eq!((twin.depth_in(&SERVICE_PLANE), twin.path_in(&POWER_PLANE)), (2, None));
        assert!(nub.attach_in(&kit.root().unwrap(), &DEVICE_TREE_PLANE));
        nub.set_name_in(&DEVICE_TREE_PLANE, "pci1af4");
        assert_eq!(nub.path_in(&DEVICE_TREE_PLANE).as_deref(), Some("IODeviceTree:/pci1af4"));
        assert_eq!(nub.name_in(&SERVICE_PLANE), "N");
        bus.set_property("inherited", 7u64);
        assert_eq!(nub.copy_property_above("inherited", &SERVICE_PLANE), Some(7u64.into()));
        assert_eq!(nub.copy_property_above("inherited", &DEVICE_TREE_PLANE), None);
    });
}

fn r1_concurrent_walks_see_whole_entries(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (bus, _) = bus_and_nub(kit);
        let stop = shared(kit, false);
        let (walker, done) = (bus.clone(), stop.clone());
        let body = move |_: &mach::KernelRef| {
            while !*done.lock() {
                assert!(walker.below_in(&SERVICE_PLANE).iter().all(|e| e.name() == "N" || e.name() == "D"));
            }
        };
        let thread = kit.kernel().spawn("walker", mach::band::DEFAULT, mach::Policy::Fixed, body).unwrap();
        for _ in 0..3 {
            let driver = Mock::new(&DRIVER).under(&bus, "D");
            kit.kernel().delay(2_000);
            driver.terminate(iokit::Options::SYNCHRONOUS);
        }
        *stop.lock() = true;
        thread.join(kit.kernel());
    });
}

table! {
    r1_each_plane_has_parents_and_children_of_its_own,
    r1_each_direction_retains,
    r1_links_that_nobody_takes_away_go_with_the_registry,
    r1_both_directions_change_together,
    r1_paths_lead_from_the_root_by_name_and_location,
    r1_concurrent_walks_see_whole_entries,
}
