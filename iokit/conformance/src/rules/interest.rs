//! Interest in a service: messages for who is no client of it.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IOReturn, Message,
    service::{InterestKind, Options},
};

use crate::{
    mock::{DRIVER, Mock, bus_and_nub},
    world::{pause, shared, thread, until},
};

fn im1_general_interest_hears_what_clients_are_told_and_before_them(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let heard = shared(kit, Vec::new());
        let (first, then) = (heard.clone(), heard.clone());
        let client = Mock::new(&DRIVER).message(move |_, message, _| {
            then.lock().push(("client", message));
            Ok(())
        });
        let client = client.under(&nub, "D");
        let interest = nub.register_interest(InterestKind::General, move |_, message, _| {
            first.lock().push(("interest", message));
        });
        let interest = interest.unwrap();
        nub.message_clients(Message::Family(7), 0, None);
        nub.remove_interest(&interest);
        nub.message_clients(Message::Family(8), 0, None);
        let expected = [
            ("interest", Message::Family(7)),
            ("client", Message::Family(7)),
            ("client", Message::Family(8)),
        ];
        assert_eq!(*heard.lock(), expected);
        nub.terminate(Options::empty());
        drop((client, nub, bus));
        pause(kit, 20_000_000);
    });
    runs.iter().for_each(|run| run.assert_all_freed());
}

fn im2_busy_interest_hears_of_each_change_between_0_and_1_up_the_provider_chain(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let heard = shared(kit, Vec::new());
        let listen = |name: &'static str| {
            let heard = heard.clone();
            move |_: &iokit::Service, message, arg| heard.lock().push((name, message, arg))
        };
        let on_nub = nub.register_interest(InterestKind::Busy, listen("N")).unwrap();
        let on_bus = bus.register_interest(InterestKind::Busy, listen("P")).unwrap();
        for delta in [1, 1, -1, -1] {
            nub.adjust_busy(delta);
        }
        let change = Message::BusyStateChange;
        let expected = [("N", change, 1), ("P", change, 1), ("N", change, 0), ("P", change, 0)];
        assert_eq!(*heard.lock(), expected);
        nub.remove_interest(&on_nub);
        bus.remove_interest(&on_bus);
        nub.terminate(Options::empty());
        drop((nub, bus));
        pause(kit, 20_000_000);
    });
    runs.iter().for_each(|run| run.assert_all_freed());
}

fn im3_removal_waits_for_the_handler_and_an_inactive_service_takes_no_interest(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        let (inside, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (enters, leaves) = (inside.clone(), over.clone());
        let interest = nub.register_interest(InterestKind::General, move |service, _, _| {
            enters.store(true, Ordering::SeqCst);
            service.kernel().delay(1_000_000);
            leaves.fetch_add(1, Ordering::SeqCst);
        });
        let interest = interest.unwrap();
        let sender = nub.clone();
        let sending = thread(kit, move |_| sender.message_clients(Message::Family(1), 0, None));
        until(kit, &inside);
        nub.remove_interest(&interest);
        assert_eq!(over.load(Ordering::SeqCst), 1, "the handler was still running");
        sending.join(kit.kernel());
        nub.terminate(Options::empty());
        let refused = nub.register_interest(InterestKind::General, |_, _, _| {});
        assert!(matches!(refused, Err(IOReturn::Offline)));
        drop((nub, bus));
        pause(kit, 20_000_000);
    });
    runs.iter().for_each(|run| run.assert_all_freed());
}

table! {
    im1_general_interest_hears_what_clients_are_told_and_before_them,
    im2_busy_interest_hears_of_each_change_between_0_and_1_up_the_provider_chain,
    im3_removal_waits_for_the_handler_and_an_inactive_service_takes_no_interest,
}
