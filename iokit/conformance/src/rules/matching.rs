//! Personalities, categories, scores, notifications, and termination during matching (order (f)).

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    Driver, IOReturn, IoKit, Options, Properties, ServiceRef,
    matching::{NotificationKind, Personality},
};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub},
    world::{Run, shared},
};

static D1: iokit::Class = iokit::Class::new("D1", &iokit::class::IO_SERVICE);
static D2: iokit::Class = iokit::Class::new("D2", &iokit::class::IO_SERVICE);
static D3: iokit::Class = iokit::Class::new("D3", &iokit::class::IO_SERVICE);

fn personality(class: &'static iokit::Class, make: impl Fn() -> Mock + Send + Sync + 'static) -> Personality {
    Personality::new("test", class.name, "MockNub", move |_, _| Some(Box::new(make()) as Box<dyn Driver>))
}

fn publish(kit: &IoKit) -> ServiceRef {
    let (_bus, nub) = bus_and_nub(kit);
    nub.set_property("vendor-id", 0x1234u64);
    nub.register_service(Options::empty());
    nub.wait_quiet(None).unwrap();
    nub
}

fn drivers(nub: &ServiceRef) -> Vec<&'static str> {
    nub.clients().iter().map(|c| c.class().name).collect()
}

fn matching_the_best_score_wins_its_category_and_ties_are_first_come(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let catalogue = kit.catalogue();
        catalogue.add(kit, personality(&D1, || Mock::new(&D1)));
        catalogue.add(kit, personality(&D2, || Mock::new(&D2)).score(10));
        catalogue.add(kit, personality(&D3, || Mock::new(&D3)).category("other"));
        catalogue.add(kit, personality(&DRIVER, || Mock::new(&DRIVER)).score(10));
        let nub = publish(kit);
        assert_eq!(drivers(&nub), ["D2", "D3"]);
        nub.terminate(Options::SYNCHRONOUS);
    });
    for run in runs {
        assert_eq!(
            run.lines(&[Kind::Probe]),
            ["D2.probe(N)", "MockDriver.probe(N)", "D1.probe(N)", "D3.probe(N)"]
        );
        run.assert_all_freed();
    }
}

fn matching_probe_may_change_the_score_or_decline(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        kit.catalogue().add(
            kit,
            personality(&D1, || {
                Mock::new(&D1).probe(|score| {
                    *score = 100;
                    true
                })
            }),
        );
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2)).score(50));
        kit.catalogue().add(kit, personality(&D3, || Mock::new(&D3).probe(|_| false)).score(200));
        assert_eq!(drivers(&publish(kit)), ["D1"]);
    });
}

fn matching_a_failed_start_lets_the_next_try(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1).start(|_, _| false)).score(1));
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2)));
        assert_eq!(drivers(&publish(kit)), ["D2"]);
    });
    assert!(runs.iter().all(|r| r.lines(&[Kind::Stop]).is_empty()));
}

fn matching_properties_and_provider_class_must_fit(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let catalogue = kit.catalogue();
        catalogue.add(kit, personality(&D1, || Mock::new(&D1)).wants("vendor-id", 0x1af4u64));
        catalogue.add(kit, personality(&D2, || Mock::new(&D2)).wants("vendor-id", 0x1234u64));
        let mut bus = personality(&D3, || Mock::new(&D3)).category("c");
        bus.provider_class = "MockBus";
        catalogue.add(kit, bus);
        let mut any = personality(&DRIVER, || Mock::new(&DRIVER)).category("any");
        any.provider_class = "IOService";
        catalogue.add(kit, any);
        assert_eq!(drivers(&publish(kit)), ["D2", "MockDriver"]);
    });
}

fn matching_registering_again_finds_new_personalities_and_keeps_the_old(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1)));
        let nub = publish(kit);
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2)).category("other"));
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        assert_eq!(drivers(&nub), ["D1", "D2"]);
    });
}

fn matching_does_not_begin_without_a_path_to_the_root(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let nub = Mock::new(&crate::mock::NUB).service(kit, "N");
        nub.register_service(Options::empty());
        assert!(nub.state().is_empty());
    });
}

fn o2_a_bundle_does_not_unload_while_its_classes_have_instances(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1)));
        let nub = publish(kit);
        assert_eq!(kit.catalogue().unload(kit, "test"), Err(IOReturn::Busy));
        nub.terminate(Options::SYNCHRONOUS);
        drop(nub);
        assert_eq!(kit.instances("D1"), 0);
        assert_eq!(kit.catalogue().unload(kit, "test"), Ok(()));
        assert!(kit.catalogue().bundles(kit).is_empty());
    });
}

fn order_f_terminate_during_start_waits_for_matching(lab: &Lab<'_>) {
    let runs: Vec<Run> = [true, false]
        .into_iter()
        .flat_map(|ok| {
            lab.everywhere(move |kit| {
                let starting = Arc::new(AtomicBool::new(false));
                let seen = starting.clone();
                let make = move || {
                    let starting = starting.clone();
                    Mock::new(&D1).start(move |me, _| {
                        starting.store(true, Ordering::SeqCst);
                        me.kernel().sleep_until(me.kernel().now() + 10_000_000);
                        ok
                    })
                };
                kit.catalogue().add(kit, personality(&D1, make));
                let (_bus, nub) = bus_and_nub(kit);
                nub.register_service(Options::empty());
                while !seen.load(Ordering::SeqCst) {
                    kit.kernel().sleep_until(kit.kernel().now() + 1_000);
                }
                nub.terminate(Options::empty());
                assert!(nub.clients().iter().all(|c| c.is_inactive()));
                kit.root().unwrap().wait_quiet(None).unwrap();
            })
        })
        .collect();
    for run in runs {
        let lines = run.lines(&[Kind::Started, Kind::WillTerminate, Kind::DidTerminate, Kind::Stop]);
        let ok = run.events.iter().any(|e| e.kind == Kind::Started && e.arg == 1);
        let expected: &[&str] = if ok {
            &["D1.started(N)", "D1.willTerminate(N)", "D1.didTerminate(N)", "D1.stop(N)", "N.stop(P)"]
        } else {
            &["D1.started(N)", "N.stop(P)"]
        };
        assert_eq!(lines, expected, "seed {}", run.seed);
        run.assert_all_freed();
    }
}

fn order_f_terminate_at_any_moment_of_matching_leaves_nothing(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1)).score(5));
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2).start(|_, _| false)));
        let (bus, nub) = bus_and_nub(kit);
        let killer = nub.clone();
        let thread = kit.kernel().spawn("killer", band::KERNEL, Policy::Fixed, move |_| {
            killer.terminate(Options::empty()).then_some(()).unwrap()
        });
        nub.register_service(Options::empty());
        thread.unwrap().join(kit.kernel());
        nub.wait_quiet(None).unwrap();
        kit.root().unwrap().wait_quiet(None).unwrap();
        assert!(!bus.has_clients() && !nub.has_clients());
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn notifications_come_by_priority_and_an_added_one_hears_of_what_exists(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let heard = shared(kit, Vec::new());
        let listen = |kind, priority, word: &'static str| {
            let heard = heard.clone();
            kit.notifications().add(kit, kind, ("MockNub", Properties::new()), priority, move |nub| {
                assert_eq!(nub.name(), "N");
                heard.lock().push(word);
            })
        };
        let kept = [
            listen(NotificationKind::Publish, 0, "publish"),
            listen(NotificationKind::FirstPublish, 0, "firstPublish"),
            listen(NotificationKind::Publish, 10, "publish first"),
            listen(NotificationKind::Matched, 0, "matched"),
            listen(NotificationKind::FirstMatch, 0, "firstMatch"),
            listen(NotificationKind::Terminated, 0, "terminated"),
            listen(NotificationKind::WillTerminate, 0, "willTerminate"),
        ];
        let nub = publish(kit);
        listen(NotificationKind::Publish, 0, "late").remove();
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        nub.terminate(Options::SYNCHRONOUS);
        let expected = [
            "firstPublish",
            "publish first",
            "publish",
            "matched",
            "firstMatch",
            "late",
            "publish first",
            "publish",
            "matched",
            "terminated",
            "willTerminate",
        ];
        assert_eq!(*heard.lock(), expected);
        kept.iter().for_each(|n| n.remove());
    });
}

fn notification_remove_waits_for_other_threads_handlers_but_not_its_own(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let inside = Arc::new(AtomicU32::new(0));
        let entered = inside.clone();
        let notifier = kit.notifications().add(
            kit,
            NotificationKind::Publish,
            ("MockNub", Properties::new()),
            0,
            move |nub| {
                entered.store(1, Ordering::SeqCst);
                nub.kernel().sleep_until(nub.kernel().now() + 10_000_000);
                entered.store(2, Ordering::SeqCst);
            },
        );
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::empty());
        while inside.load(Ordering::SeqCst) == 0 {
            kit.kernel().sleep_until(kit.kernel().now() + 1_000);
        }
        notifier.remove();
        assert_eq!(inside.load(Ordering::SeqCst), 2);
        nub.wait_quiet(None).unwrap();
        let own = shared(kit, None::<Arc<iokit::matching::Notifier>>);
        let mine = own.clone();
        *own.lock() = Some(kit.notifications().add(
            kit,
            NotificationKind::Publish,
            ("MockNub", Properties::new()),
            0,
            move |_| {
                if let Some(me) = mine.take() {
                    me.remove();
                }
            },
        ));
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        assert!(own.take().is_none());
    });
}

fn matching_synchronously_is_done_when_register_returns(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1)));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::SYNCHRONOUS);
        assert_eq!((drivers(&nub), nub.busy()), (vec!["D1"], 0));
    });
    assert!(runs.iter().all(|r| r.threads(Kind::Start, "D1") == r.threads(Kind::Register, "N")));
}

table! {
    matching_the_best_score_wins_its_category_and_ties_are_first_come,
    matching_probe_may_change_the_score_or_decline,
    matching_a_failed_start_lets_the_next_try,
    matching_properties_and_provider_class_must_fit,
    matching_registering_again_finds_new_personalities_and_keeps_the_old,
    matching_does_not_begin_without_a_path_to_the_root,
    o2_a_bundle_does_not_unload_while_its_classes_have_instances,
    order_f_terminate_during_start_waits_for_matching,
    order_f_terminate_at_any_moment_of_matching_leaves_nothing,
    notifications_come_by_priority_and_an_added_one_hears_of_what_exists,
    notification_remove_waits_for_other_threads_handlers_but_not_its_own,
    matching_synchronously_is_done_when_register_returns,
}
