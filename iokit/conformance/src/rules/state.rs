//! ST1, AL1: the state bits over a life, and the arbitration lock.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{Options, State};
use mach::{Policy, band};

use crate::{
    mock::{BUS, DRIVER, Mock, bus_and_nub},
    world::{pause, shared, thread, until},
};

fn st1_the_state_tells_what_a_service_went_through(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_bus, nub) = bus_and_nub(kit);
        assert_eq!(nub.state(), State::empty());
        nub.register_service(Options::SYNCHRONOUS);
        let published = State::REGISTERED | State::MATCHED | State::FIRST_PUBLISH | State::FIRST_MATCH;
        assert_eq!(nub.state(), published);
        let seen = shared(kit, Vec::new());
        let (will, did, stop) = (seen.clone(), seen.clone(), seen.clone());
        Mock::new(&DRIVER)
            .will(move |_, nub| will.lock().push(nub.state()))
            .did(move |_, nub, _| did.lock().push(nub.state()))
            .stop(move |me, _| stop.lock().push(me.state()))
            .under(&nub, "D");
        nub.terminate(Options::SYNCHRONOUS);
        let phase_2 = State::INACTIVE | State::TERM_PHASE_2;
        let phase_3 = phase_2 | State::TERM_PHASE_3;
        assert_eq!(*seen.lock(), [phase_2, phase_3, phase_3 | State::FINALIZED]);
        assert_eq!(nub.state(), phase_3 | State::FINALIZED);
        nub.register_service(Options::empty());
        assert_eq!(nub.state(), phase_3 | State::FINALIZED, "what is terminated does not come back");
    });
}

fn al1_waiters_get_the_lock_in_the_order_in_which_they_came(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let order = shared(kit, Vec::new());
        let (holds, until_then, came) = (held.clone(), release.clone(), order.clone());
        // `handleOpen` is called with the lock held.
        let bus = Mock::new(&BUS).open(move |me, client| {
            if client.name() == "first" {
                holds.store(true, Ordering::SeqCst);
                while !until_then.load(Ordering::SeqCst) {
                    me.kernel().delay(100_000);
                }
            }
            came.lock().push(client.name().to_owned());
            false
        });
        let bus = bus.service(kit, "P");
        assert!(bus.attach(&kit.root().unwrap()));
        // Attaching takes the lock too, so the clients come first.
        let [first, low, high, middle] =
            ["first", "low", "high", "middle"].map(|name| Mock::new(&DRIVER).under(&bus, name));
        let open = |client, priority| {
            let bus = bus.clone();
            let body = move |_: &mach::KernelRef| {
                bus.open(&client, Options::empty());
            };
            kit.kernel().spawn("opener", priority, Policy::Fixed, body).unwrap()
        };
        let mut threads = vec![open(first, band::DEFAULT)];
        until(kit, &held);
        for (client, priority) in [(low, band::DEFAULT), (high, band::KERNEL), (middle, 40)] {
            threads.push(open(client, priority));
            pause(kit, 5_000_000);
        }
        release.store(true, Ordering::SeqCst);
        threads.iter().for_each(|t| t.join(kit.kernel()));
        assert_eq!(*order.lock(), ["first", "low", "high", "middle"]);
    });
}

fn al1_locks_of_two_services_are_apart(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (holds, until_then) = (held.clone(), release.clone());
        let (_bus, nub) = bus_and_nub(kit);
        let busy = Mock::new(&BUS).open(move |me, _| {
            holds.store(true, Ordering::SeqCst);
            while !until_then.load(Ordering::SeqCst) {
                me.kernel().delay(100_000);
            }
            true
        });
        let busy = busy.service(kit, "busy");
        assert!(busy.attach(&kit.root().unwrap()));
        let client = Mock::new(&DRIVER).under(&busy, "D");
        let opened = Arc::new(AtomicU32::new(0));
        let (its, counted) = (busy.clone(), opened.clone());
        let opener = thread(kit, move |_| {
            assert!(its.open(&client, Options::empty()));
            counted.fetch_add(1, Ordering::SeqCst);
            its.close(&client, Options::empty());
        });
        until(kit, &held);
        let other = Mock::new(&DRIVER).under(&nub, "other");
        assert!(nub.open(&other, Options::empty()));
        assert_eq!(opened.load(Ordering::SeqCst), 0);
        nub.close(&other, Options::empty());
        release.store(true, Ordering::SeqCst);
        opener.join(kit.kernel());
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        nub.terminate(Options::SYNCHRONOUS);
    });
}

table! {
    st1_the_state_tells_what_a_service_went_through,
    al1_waiters_get_the_lock_in_the_order_in_which_they_came,
    al1_locks_of_two_services_are_apart,
}
