//! What followed each removal: requests back as Offline, the stack torn down, the order of it.

use crate::names::Names;
use serde::Serialize;
use std::collections::BTreeSet;
use trace::{Event, Kind};

/// Removals whose story is kept; later ones are only counted.
pub const MAX_REMOVALS: usize = 1024;
/// Teardown lines kept for one removal.
const MAX_LINES: usize = 256;

/// Whether the plan's action with this word takes a device away.
pub fn is_removal(word: &str) -> bool {
    matches!(word, "unplug" | "eject" | "link-down")
}

/// One removal of a device, by surprise or in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Slot of the device.
    pub slot: u32,
    /// Plan name of the device.
    pub device: String,
    /// `unplug` or `link-down` (surprise), or `eject` (orderly).
    pub action: String,
    /// Plan time of the removal, ns.
    pub time: u64,
    /// Requests in flight at that moment.
    pub in_flight: usize,
    /// From the removal until the last of those was back, ns. `None`: not all came back.
    pub offline_after: Option<u64>,
    /// From the removal until the stack was torn down and not busy, ns. `None`: never.
    pub quiet_after: Option<u64>,
    /// The teardown's life-cycle calls, in order.
    pub order: Vec<String>,
    #[serde(skip)]
    machine_time: u64,
    /// Requests issued before, to all devices. By number, not by time: the guest stamps its events, the host this one, and
    /// between the stamp and its place in the trace the guest goes on.
    #[serde(skip)]
    issued: u64,
    #[serde(skip)]
    outstanding: usize,
    #[serde(skip)]
    stack: BTreeSet<u32>,
}

impl Removal {
    /// A removal at `event` (a [`Kind::Fault`]), `plan_time` ns into the plan, with `issued` requests behind it, `in_flight` of
    /// them outstanding, and the services of `stack` attached.
    pub fn new(
        event: &Event,
        plan_time: u64,
        device: String,
        (issued, in_flight): (u64, usize),
        stack: BTreeSet<u32>,
    ) -> Self {
        Self {
            slot: event.slot,
            device,
            action: event.text_str().to_owned(),
            time: plan_time,
            machine_time: event.time,
            in_flight,
            offline_after: (in_flight == 0).then_some(0),
            quiet_after: stack.is_empty().then_some(0),
            order: Vec::new(),
            issued,
            outstanding: in_flight,
            stack,
        }
    }

    /// A request to this slot came back: the one with this `number` of all that were issued.
    pub fn returned(&mut self, number: u64, now: u64) {
        if number >= self.issued || self.outstanding == 0 {
            return;
        }
        self.outstanding -= 1;
        if self.outstanding == 0 {
            self.offline_after = Some(now.saturating_sub(self.machine_time));
        }
    }

    /// Notes a life-cycle call of the teardown.
    pub fn note(&mut self, event: &Event, names: &Names) {
        if self.quiet_after.is_none() && is_teardown(event.kind) && self.order.len() < MAX_LINES {
            self.order.push(names.line(event));
        }
    }

    /// Nothing of the slot is being torn down now: quiet, if all of the stack that was there has gone.
    pub fn quiet_if_gone(&mut self, now: u64, is_attached: impl Fn(u32) -> bool) {
        if !self.stack.iter().any(|&id| is_attached(id)) {
            self.quiet_after.get_or_insert(now.saturating_sub(self.machine_time));
        }
    }
}

fn is_teardown(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Terminate
            | Kind::Inactive
            | Kind::RequestTerminate
            | Kind::PortDead
            | Kind::WillTerminate
            | Kind::DidTerminate
            | Kind::Message
            | Kind::Finalize
            | Kind::Stop
            | Kind::Close
            | Kind::Detach
            | Kind::Free
    )
}
