//! MA1–MA4, NO1, NO2: the steps of matching, and who hears of them on which thread.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    Class, Driver, IoKit, Options, Probe, Properties, ServiceBuilder, ServiceRef,
    class::IO_SERVICE,
    matching::{NotificationKind, Personality},
};
use trace::Kind;

use crate::{
    mock::{Mock, bus_and_nub},
    world::{Run, shared, thread, until},
};

static D1: Class = Class::new("D1", &IO_SERVICE);
static D2: Class = Class::new("D2", &IO_SERVICE);

fn personality(class: &'static Class, make: impl Fn() -> Mock + Send + Sync + 'static) -> Personality {
    Personality::new("test", class.name, "MockNub", move |_, _| Some(Box::new(make()) as Box<dyn Driver>))
}

fn ma1_registering_returns_while_a_thread_of_its_own_matches(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let go = Arc::new(AtomicBool::new(false));
        let goes = go.clone();
        let make = move || {
            let goes = goes.clone();
            Mock::new(&D1).start(move |me, _| {
                while !goes.load(Ordering::SeqCst) {
                    me.kernel().delay(10_000);
                }
                true
            })
        };
        kit.catalogue().add(kit, personality(&D1, make));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::empty());
        assert!(nub.busy() > 0, "busy until matching is over");
        go.store(true, Ordering::SeqCst);
        nub.wait_quiet(None).unwrap();
        assert_eq!(nub.clients().len(), 1);
    });
    for run in runs {
        let matching: Vec<_> = run.threads_called("IOConfigThread").iter().map(|t| t.0).collect();
        assert_eq!(run.threads(Kind::Start, "D1"), matching, "seed {}", run.seed);
    }
}

fn ma2_a_nub_whose_active_client_holds_the_category_is_left_alone(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1)));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::SYNCHRONOUS);
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2)).score(100));
        nub.register_service(Options::SYNCHRONOUS);
        let holder = nub.clients().pop().unwrap();
        assert_eq!((nub.clients().len(), holder.class().name), (1, "D1"));
        // An inactive client holds nothing any more.
        holder.terminate(Options::SYNCHRONOUS);
        nub.register_service(Options::SYNCHRONOUS);
        assert_eq!(nub.clients()[0].class().name, "D2");
    });
    assert!(runs.iter().all(|r| r.lines(&[Kind::Probe]) == ["D1.probe(N)", "D2.probe(N)", "D1.probe(N)"]));
}

fn ma3_attach_probe_detach_then_attach_and_start_the_best(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        kit.catalogue().add(kit, personality(&D1, || Mock::new(&D1).start(|_, _| false)).score(2));
        kit.catalogue().add(kit, personality(&D2, || Mock::new(&D2)).score(1));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::SYNCHRONOUS);
    });
    let expected = [
        "D1.attach(N)",
        "D1.probe(N)",
        "D1.detach(N)",
        "D2.attach(N)",
        "D2.probe(N)",
        "D2.detach(N)",
        "D1.attach(N)",
        "D1.start(N)",
        "D1.started(N)",
        "D1.detach(N)",
        "D2.attach(N)",
        "D2.start(N)",
        "D2.started(N)",
    ];
    let kinds = [Kind::Attach, Kind::Probe, Kind::Detach, Kind::Start, Kind::Started];
    for run in runs {
        let lines: Vec<_> = run.lines(&kinds).into_iter().filter(|l| l.ends_with("(N)")).collect();
        assert_eq!(lines, expected, "seed {}", run.seed);
    }
}

/// A driver whose probe sends another object.
struct Substitute;

impl Driver for Substitute {
    fn class(&self) -> &'static Class {
        &D1
    }
    fn probe(&self, me: &ServiceRef, nub: &ServiceRef, _: &mut i32) -> Probe {
        assert!(me.is_client_of(nub), "attached while it is probed");
        Probe::Other(ServiceBuilder::under(nub, Box::new(Mock::new(&D2))).named("other").build())
    }
    fn start(&self, _: &ServiceRef, _: &ServiceRef) -> bool {
        panic!("it sent another")
    }
}

fn ma3_a_probe_may_send_another_object(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let make = |_: &ServiceRef, _: &Personality| Some(Box::new(Substitute) as Box<dyn Driver>);
        kit.catalogue().add(kit, Personality::new("test", "D1", "MockNub", make));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::SYNCHRONOUS);
        let driver = nub.clients().pop().unwrap();
        assert_eq!((driver.name(), driver.class().name, kit.instances("D1")), ("other", "D2", 0));
        drop(driver);
        nub.terminate(Options::SYNCHRONOUS);
    });
    runs.iter().for_each(Run::assert_all_freed);
}

fn ma4_registering_again_while_matching_runs_repeats_it(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let kit_2 = kit.clone();
        let make = move || {
            let kit = kit_2.clone();
            Mock::new(&D1).start(move |_, nub| {
                kit.catalogue().add(&kit, personality(&D2, || Mock::new(&D2)).category("other"));
                nub.register_service(Options::empty());
                true
            })
        };
        kit.catalogue().add(kit, personality(&D1, make));
        let (_bus, nub) = bus_and_nub(kit);
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        let classes: Vec<_> = nub.clients().iter().map(|c| c.class().name).collect();
        assert_eq!(classes, ["D1", "D2"]);
        assert_eq!(nub.busy(), 0);
        // The closure holds the kit that holds it.
        assert_eq!(kit.catalogue().unload(kit, "test"), Err(iokit::IOReturn::Busy));
        nub.terminate(Options::SYNCHRONOUS);
        kit.catalogue().unload(kit, "test").unwrap();
    });
    for run in runs {
        let starts = run.threads(Kind::Start, "D2");
        assert_eq!(starts, run.threads(Kind::Start, "D1"), "seed {}: the same matching", run.seed);
    }
}

fn no1_terminated_is_told_by_the_caller_and_will_terminate_by_the_termination_thread(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let threads = shared(kit, Vec::new());
        let listen = |kind| {
            let threads = threads.clone();
            kit.notifications().add(kit, kind, ("MockNub", Properties::new()), 0, move |nub| {
                threads.lock().push(nub.kernel().current().name().to_owned());
            })
        };
        let kept = [listen(NotificationKind::WillTerminate), listen(NotificationKind::Terminated)];
        let (_bus, nub) = bus_and_nub(kit);
        let victim = nub.clone();
        thread(kit, move |_| assert!(victim.terminate(Options::empty()))).join(kit.kernel());
        nub.wait_quiet(None).unwrap();
        assert_eq!(*threads.lock(), ["test", "IOServiceTerminateThread"]);
        kept.iter().for_each(|n| n.remove());
    });
    for run in runs {
        assert!(run.position("N.termNotify") < run.position("N.willNotify"));
    }
}

fn no1_a_new_request_and_a_new_service_meet_exactly_once(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        let publisher = nub.clone();
        let publishing = thread(kit, move |_| publisher.register_service(Options::SYNCHRONOUS));
        let heard = Arc::new(AtomicU32::new(0));
        let counted = heard.clone();
        let wanted = ("MockNub", Properties::new());
        let notifier = kit.notifications().add(kit, NotificationKind::FirstPublish, wanted, 0, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        publishing.join(kit.kernel());
        nub.wait_quiet(None).unwrap();
        assert_eq!(heard.load(Ordering::SeqCst), 1);
        notifier.remove();
        nub.terminate(Options::SYNCHRONOUS);
    });
}

fn no2_handlers_run_without_any_lock(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        for kind in [NotificationKind::Publish, NotificationKind::Matched, NotificationKind::Terminated] {
            let (_bus, nub) = bus_and_nub(kit);
            let told = Arc::new(AtomicBool::new(false));
            let heard = told.clone();
            let wanted = ("MockNub", Properties::new());
            let notifier = kit.notifications().add(kit, kind, wanted, 0, move |nub| {
                // Another thread needs the arbitration lock, the catalogue and the list of notifications.
                let (kit, nub) = (nub.kit().clone(), nub.clone());
                let kernel = kit.kernel().clone();
                let needs = thread(&kit.clone(), move |_| use_everything(&kit, &nub));
                needs.join(&kernel);
                heard.store(true, Ordering::SeqCst);
            });
            nub.register_service(Options::empty());
            nub.wait_quiet(None).unwrap();
            nub.terminate(Options::SYNCHRONOUS);
            until(kit, &told);
            notifier.remove();
        }
    });
}

fn use_everything(kit: &IoKit, nub: &ServiceRef) {
    assert!(!nub.is_open(None));
    nub.adjust_busy(1);
    nub.adjust_busy(-1);
    assert!(kit.catalogue().bundles(kit).is_empty());
    let wanted = ("Nobody", Properties::new());
    kit.notifications().add(kit, NotificationKind::Publish, wanted, 0, |_| {}).remove();
}

table! {
    ma1_registering_returns_while_a_thread_of_its_own_matches,
    ma2_a_nub_whose_active_client_holds_the_category_is_left_alone,
    ma3_attach_probe_detach_then_attach_and_start_the_best,
    ma3_a_probe_may_send_another_object,
    ma4_registering_again_while_matching_runs_repeats_it,
    no1_terminated_is_told_by_the_caller_and_will_terminate_by_the_termination_thread,
    no1_a_new_request_and_a_new_service_meet_exactly_once,
    no2_handlers_run_without_any_lock,
}
