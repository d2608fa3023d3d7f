//! Registering and matching one nub.

use alloc::{sync::Arc, vec::Vec};

use trace::Kind;

use super::{NotificationKind, Personality};
use crate::{
    service::{Options, Probe, Service, ServiceBuilder, ServiceRef, State},
    value::Value,
};

/// The property that tells the match category of a driver.
const CATEGORY: &str = "IOMatchCategory";

/// A driver that wants the nub.
struct Candidate {
    service: ServiceRef,
    score: i32,
    category: &'static str,
}

impl Service {
    /// Publishes this service: notifies, and matches drivers on a matching thread (with SYNCHRONOUS on this one).
    /// Registering again while matching runs repeats it. Nothing happens without a path to the root.
    pub fn register_service(self: &ServiceRef, options: Options) {
        if !self.reaches_root() {
            self.kernel().log(format_args!("{self:?}: register without a path to the root"));
            return;
        }
        self.trace(Kind::Register, None, 0);
        {
            let _held = self.arbitrate();
            let idle = !self.state().intersects(State::NEED_CONFIG | State::CONFIG_RUNNING | State::INACTIVE);
            if self.is_inactive() {
                return;
            }
            self.change(State::NEED_CONFIG, State::empty());
            if !idle {
                return;
            }
            self.adjust_busy_held(1);
        }
        if options.contains(Options::SYNCHRONOUS) || !self.kit().matcher().start(self.kit(), self.clone()) {
            self.match_service();
        }
    }

    fn reaches_root(self: &ServiceRef) -> bool {
        let Some(root) = self.kit().root() else { return false };
        let mut at = self.clone();
        while at != root {
            match at.provider() {
                Some(up) => at = up,
                None => return false,
            }
        }
        true
    }

    /// Matches until there is nothing new, then tells so, and lets a termination that waited go on.
    pub(super) fn match_service(self: &ServiceRef) {
        loop {
            let active = {
                let _held = self.arbitrate();
                self.change(State::CONFIG | State::CONFIG_RUNNING, State::NEED_CONFIG);
                !self.is_inactive()
            };
            let (found, generation) = self.kit().catalogue().find(self.kit(), self);
            if active {
                self.kit()
                    .notifications()
                    .advance(self, &[NotificationKind::FirstPublish, NotificationKind::Publish]);
                self.match_drivers(&found);
            }
            let _held = self.arbitrate();
            let again = self.state().contains(State::NEED_CONFIG)
                || generation != self.kit().catalogue().generation();
            if self.is_inactive() || !again {
                self.change(State::empty(), State::CONFIG_RUNNING | State::NEED_CONFIG);
                break;
            }
        }
        self.kit().notifications().advance(self, &[NotificationKind::Matched, NotificationKind::FirstMatch]);
        self.end_matching();
    }

    fn end_matching(self: &ServiceRef) {
        let held = self.arbitrate();
        if !self.state().intersects(State::CONFIG_RUNNING | State::NEED_CONFIG) {
            self.change(State::empty(), State::CONFIG);
        }
        self.resume_phase_2();
        self.adjust_busy_held(-1);
        drop(held);
    }

    /// Probes what was found, then starts the best of each category.
    fn match_drivers(self: &ServiceRef, found: &[Arc<Personality>]) {
        let mut candidates: Vec<Candidate> = Vec::new();
        for personality in found {
            if !self.is_inactive() && !self.category_held(personality.category) {
                candidates.extend(self.probe_driver(personality));
            }
        }
        // Stable: ties stay in order of probing.
        candidates.sort_by_key(|c| core::cmp::Reverse(c.score));
        let mut settled: Vec<&'static str> = Vec::new();
        for candidate in candidates {
            if settled.contains(&candidate.category) || self.category_held(candidate.category) {
                continue;
            }
            if candidate.service.attach(self) && self.start_client(&candidate.service) {
                settled.push(candidate.category);
            }
        }
    }

    /// Whether an active client holds the match category.
    fn category_held(&self, category: &str) -> bool {
        self.clients().iter().any(|c| {
            !c.is_inactive() && c.property(CATEGORY).as_ref().and_then(Value::as_text) == Some(category)
        })
    }

    /// Makes a driver, attaches it, lets it look, detaches it.
    fn probe_driver(self: &ServiceRef, personality: &Arc<Personality>) -> Option<Candidate> {
        // Until the service counts as an instance of its class.
        let making = personality.begin_making()?;
        let driver = (personality.make)(self, personality)?;
        let mut properties = personality.properties.clone();
        properties.set(CATEGORY, personality.category);
        let service = ServiceBuilder::under(self, driver).properties(properties).build();
        drop(making);
        if !service.attach(self) {
            return None;
        }
        let mut score = personality.score;
        let answer = service.driver().probe(&service, self, &mut score);
        service.trace(Kind::Probe, Some(self), u64::from(score.cast_unsigned()));
        service.detach(self);
        let service = match answer {
            Probe::No => return None,
            Probe::Yes => service,
            Probe::Other(other) => {
                other.set_property(CATEGORY, personality.category);
                other
            }
        };
        Some(Candidate { service, score, category: personality.category })
    }
}
