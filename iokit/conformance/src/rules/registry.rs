//! Names, classes, slots, ids, counts.

use crate::prelude::*;
use iokit::{Options, ServiceBuilder};
use trace::Kind;

use crate::mock::{DRIVER, Mock, NUB, bus_and_nub, user};

fn r1_ids_begin_at_one_and_are_not_reused(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        assert_eq!(kit.root().unwrap().id(), 1);
        let mut last = 1;
        for _ in 0..4 {
            let (_bus, nub) = bus_and_nub(kit);
            assert!(nub.id() > last);
            last = nub.id();
            nub.terminate(Options::SYNCHRONOUS);
        }
    });
    for run in runs {
        let mut ids: Vec<_> = run.events.iter().filter(|e| e.kind == Kind::Name).map(|e| e.object).collect();
        let all = ids.len();
        ids.dedup();
        assert_eq!((ids.len(), ids[0]), (all, 1));
    }
}

fn every_service_inherits_the_slot_and_is_announced_first(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, _) = bus_and_nub(kit);
        let nub = ServiceBuilder::new(kit, Box::new(Mock::new(&NUB))).nub(3, "edu0").build();
        assert!(nub.attach(&bus));
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        let client = user().under(&driver, "U");
        assert_eq!((client.slot(), &**client.device(), nub.name()), (3, "edu0", "edu0"));
        nub.terminate(Options::SYNCHRONOUS);
    });
    for run in runs {
        let about = |name: &str| {
            let id = run.events.iter().find(|e| e.kind == Kind::Name && e.text_str() == name).unwrap().object;
            run.events
                .iter()
                .filter(move |e| e.object == id && !(16..32).contains(&(e.kind as u16)))
                .collect::<Vec<_>>()
        };
        for name in ["edu0", "D", "U"] {
            let events = about(name);
            assert_eq!([events[0].kind, events[1].kind], [Kind::Name, Kind::Class]);
            assert!(events.iter().all(|e| e.slot == 3), "{name}");
        }
    }
}

fn o2_instances_are_counted_by_class(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        assert_eq!((kit.instances("MockNub"), kit.instances("MockDriver"), kit.instances("U")), (1, 1, 0));
        nub.terminate(Options::SYNCHRONOUS);
        assert_eq!(kit.instances("MockDriver"), 1, "still referenced here");
        drop((driver, nub));
        assert_eq!((kit.instances("MockNub"), kit.instances("MockDriver")), (0, 0));
    });
}

fn finish_stops_the_workload_terminates_everything_and_reports_the_classes(lab: &Lab<'_>) {
    let runs = lab.each("", |kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let driver = Mock::new(&DRIVER).under(&nub, "D");
        user().under(&driver, "U");
        kit.on_finish(|kit| assert_eq!(kit.instances("MockDriver"), 1));
        drop((_bus, nub, driver));
        kit.finish();
    });
    for run in runs {
        run.assert_done();
        let counts: Vec<_> =
            run.events.iter().filter(|e| e.kind == Kind::ClassCount).map(|e| (e.text_str(), e.arg)).collect();
        assert_eq!(counts, [("MockBus", 0), ("MockNub", 0), ("MockDriver", 0), ("U", 0)]);
        let last = run.events.iter().rfind(|e| matches!(e.kind, Kind::Done | Kind::ClassCount)).unwrap();
        assert_eq!(last.kind, Kind::Done);
    }
}

table! {
    r1_ids_begin_at_one_and_are_not_reused,
    every_service_inherits_the_slot_and_is_announced_first,
    o2_instances_are_counted_by_class,
    finish_stops_the_workload_terminates_everything_and_reports_the_classes,
}
