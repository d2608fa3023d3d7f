//! How a device comes to work.
//!
//! With a load it is at work when enough requests have come back in every loaded slot; without one, when something of it has started, and nothing more does.

use super::follow::Follow;
use super::request::Request;
use super::stage::PATIENCE;
use trace::Kind;

/// A device without a load counts as at work when nothing of it has started for so long, ns of machine time.
const STILL: u64 = 1_000_000;

/// How far it is at a moment.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It has been at work since this machine time.
    AtWork(u64),
    /// Not yet. Look again behind the `count`-th event of this kind and slot, or at machine time `until`.
    NotYet { kind: Kind, slot: Option<u32>, count: u64, until: u64 },
    /// It had its time, and this is how far it came.
    Late(String),
}

/// A pass that has begun.
#[derive(Debug, Default)]
pub struct Coming {
    /// Machine time at which it began.
    pub began: u64,
    /// Requests of each loaded slot at its beginning.
    before: Vec<u64>,
    /// Services that have started, and since when there are so many.
    started: u64,
    still_since: u64,
}

impl Coming {
    /// It begins now.
    pub fn new(request: &Request, follow: &Follow, now: u64) -> Self {
        let before = request.loaded.iter().map(|slot| follow.done_in(*slot)).collect();
        Self { began: now, before, started: follow.started, still_since: now }
    }

    /// How far the device is at machine time `now`.
    pub fn look(&mut self, request: &Request, follow: &Follow, now: u64) -> Arrival {
        if follow.started != self.started {
            (self.started, self.still_since) = (follow.started, now);
        }
        let limit = self.began.saturating_add(PATIENCE);
        let missing = self.missing(request, follow);
        let (since, (kind, slot, count), until) = match missing {
            Some((slot, missing)) => {
                ((missing == 0).then_some(now), (Kind::IoDone, Some(slot), missing), limit)
            }
            None => {
                // What is not attached has not come, however still it is.
                let still = if follow.is_gone() { limit } else { self.still_since.saturating_add(STILL) };
                let since = (!follow.is_gone() && now >= still).then_some(self.still_since);
                (since, (Kind::Started, None, 1), still.min(limit))
            }
        };
        match since {
            Some(since) => Arrival::AtWork(since),
            None if now >= limit => Arrival::Late(late(request, missing)),
            None => Arrival::NotYet { kind, slot, count, until },
        }
    }

    /// The loaded slot that has most to do before it has been at work, and how many requests that is; `None`: nothing has a load.
    fn missing(&self, request: &Request, follow: &Follow) -> Option<(u32, u64)> {
        let loaded = request.loaded.iter().zip(&self.before);
        let missing = loaded.map(|(slot, before)| {
            (*slot, request.requests.saturating_sub(follow.done_in(*slot).saturating_sub(*before)))
        });
        missing.max_by_key(|(_, missing)| *missing)
    }
}

/// What is said of a device that did not come to work in time.
fn late(request: &Request, missing: Option<(u32, u64)>) -> String {
    let (patience, wanted) = (verdict::time(PATIENCE), request.requests);
    let Some((slot, missing)) = missing else {
        return format!("nothing is attached for {} {patience} after its coming", request.device);
    };
    let plug = request.plan.plugs.iter().find(|plug| plug.slot == slot);
    let device = plug.map_or_else(|| format!("slot {slot}"), |plug| plug.name.clone());
    let done = wanted.saturating_sub(missing);
    format!("{device} did not work within {patience} of its coming: {done} of {wanted} requests came back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::request::Move;
    use devices::fault::plan::{Action, Plan};
    use trace::Event;

    /// A cycle of edu0 in slot 1 that wants two requests, with a load or without.
    fn request(load: bool) -> Request {
        let text = "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\n";
        let plan = Plan::parse("test.plan", text).expect("a good plan");
        Request {
            plan,
            device: "edu0".to_owned(),
            group: vec![1],
            loaded: if load { vec![1] } else { vec![] },
            come: Move::Act(Action::Replug("edu0".to_owned())),
            first: None,
            go: Move::Act(Action::Unplug("edu0".to_owned())),
            passes: 1,
            period: None,
            requests: 2,
            left_out: 0,
        }
    }

    fn done(follow: &mut Follow) {
        follow.event(&Event::new(Kind::IoDone).slot(1));
    }

    #[test]
    fn with_a_load_it_is_at_work_when_enough_requests_came_back_in_this_pass() {
        let (request, mut follow) = (request(true), Follow::new(&[1]));
        done(&mut follow);
        let mut coming = Coming::new(&request, &follow, 100);
        let until = 100 + PATIENCE;
        for missing in [2, 1] {
            let not_yet = Arrival::NotYet { kind: Kind::IoDone, slot: Some(1), count: missing, until };
            assert_eq!(coming.look(&request, &follow, 200), not_yet);
            if missing == 1 {
                let Arrival::Late(why) = coming.look(&request, &follow, until) else { panic!("in time") };
                assert_eq!(why, "edu0 did not work within 2s of its coming: 1 of 2 requests came back");
            }
            done(&mut follow);
        }
        assert_eq!(coming.look(&request, &follow, 300), Arrival::AtWork(300));
    }

    #[test]
    fn without_a_load_it_is_at_work_when_something_has_started_and_nothing_more_does() {
        let (request, mut follow) = (request(false), Follow::new(&[1]));
        let mut coming = Coming::new(&request, &follow, 100);
        let not_yet = |until| Arrival::NotYet { kind: Kind::Started, slot: None, count: 1, until };
        let limit = 100 + PATIENCE;
        assert_eq!(coming.look(&request, &follow, 100 + 2 * STILL), not_yet(limit), "nothing is attached");
        let Arrival::Late(why) = coming.look(&request, &follow, limit) else { panic!("in time") };
        assert_eq!(why, "nothing is attached for edu0 2s after its coming");
        follow.event(&Event::new(Kind::Attach).object(7).slot(1));
        follow.event(&Event::new(Kind::Started).object(7).slot(1).arg(1));
        assert_eq!(coming.look(&request, &follow, 5_000), not_yet(5_000 + STILL));
        follow.event(&Event::new(Kind::Started).object(8).slot(1).arg(1));
        assert_eq!(coming.look(&request, &follow, 6_000), not_yet(6_000 + STILL));
        assert_eq!(coming.look(&request, &follow, 6_000 + STILL), Arrival::AtWork(6_000));
    }
}
