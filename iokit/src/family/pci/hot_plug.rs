//! The state of a hot-plug slot, without hardware: what to do about which event (PCIe 6.7).

use super::regs::express::SlotStatus;

/// From the attention button to the removal, in machine ns: the time in which a second press takes it back. The standard
/// suggests 5 s (6.7.1.5), made for fingers; here buttons are pressed by plans, whose runs last milliseconds.
pub const GRACE_NS: u64 = 2_000_000;
/// From one look at a card that does not answer yet to the next, in machine ns.
const RETRY_NS: u64 = 1_000_000;
/// Looks at a card before it is given up: 1 s (PCIe 6.6.1).
const RETRIES: u32 = 1000;

/// Where the slot is in its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// No card, or one that was given up; power as it was.
    Empty,
    /// A card is there and does not answer yet.
    Settling {
        /// Machine time of the next look, ns.
        at: u64,
        /// Looks left.
        left: u32,
    },
    /// The card's nubs are published.
    Occupied,
    /// The button was pressed; at this machine time (ns) the removal begins.
    Blinking(u64),
    /// The nubs are being torn down.
    Leaving {
        /// Power goes off when they are gone.
        eject: bool,
    },
    /// Power was switched off after an ejection.
    Off,
}

/// What the port sees when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Events since the last look, out of [`SlotStatus::EVENTS`].
    pub events: SlotStatus,
    /// A card is in the slot, with a link where ports report that.
    pub present: bool,
    /// The card whose nubs are published is still the one in the slot.
    pub same_card: bool,
    /// The nubs are gone.
    pub nubs_gone: bool,
    /// Machine time, ns.
    pub now: u64,
}

/// What the port shall do, in this order of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more.
    Rest,
    /// Switch power on, then look for the card; answer with [`Slot::found`].
    PowerOnAndFind,
    /// Look for the card; answer with [`Slot::found`].
    Find,
    /// Blink the power indicator.
    Blink,
    /// The removal was taken back: indicator on.
    Unblink,
    /// The card is gone: mark the nubs and terminate them.
    Lost,
    /// The card goes, while the nubs are being torn down in order: mark them.
    LostInLeaving,
    /// Terminate the nubs in order.
    Terminate,
    /// Forget the nubs, free their resources; power off.
    FreeAndPowerOff,
    /// Forget the nubs, free their resources.
    Free,
}

/// One slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    state: SlotState,
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self { state: SlotState::Empty }
    }

    /// The state.
    pub fn state(&self) -> SlotState {
        self.state
    }

    /// Machine time (ns) at which the slot wants to be looked at, whatever happens.
    pub fn deadline(&self) -> Option<u64> {
        match self.state {
            SlotState::Settling { at, .. } | SlotState::Blinking(at) => Some(at),
            _ => None,
        }
    }

    /// The next thing to do. Call it again, with `events` empty, until it says [`Step::Rest`].
    pub fn step(&mut self, seen: &Seen) -> Step {
        let changed = seen.events.intersects(SlotStatus::PRESENCE_CHANGED | SlotStatus::LINK_CHANGED);
        let pressed = seen.events.contains(SlotStatus::BUTTON) && !changed;
        match self.state {
            SlotState::Empty if seen.present => Step::PowerOnAndFind,
            // A card that stays after its power was switched off waits for a hand: taken out and put in, or the button.
            SlotState::Off
                if seen.present && (seen.events.contains(SlotStatus::PRESENCE_CHANGED) || pressed) =>
            {
                Step::PowerOnAndFind
            }
            SlotState::Off if !seen.present => {
                self.state = SlotState::Empty;
                Step::Rest
            }
            SlotState::Empty | SlotState::Off => Step::Rest,
            SlotState::Settling { .. } if !seen.present => {
                self.state = SlotState::Empty;
                Step::Rest
            }
            SlotState::Settling { at, .. } if changed || seen.now >= at => Step::Find,
            SlotState::Settling { .. } => Step::Rest,
            SlotState::Occupied | SlotState::Blinking(_) => self.step_occupied(seen, pressed),
            SlotState::Leaving { eject } => self.step_leaving(seen, eject),
        }
    }

    fn step_occupied(&mut self, seen: &Seen, pressed: bool) -> Step {
        if seen.nubs_gone {
            // Terminated by somebody else: the card may stay, nobody drives it.
            self.state = SlotState::Off;
            return Step::Free;
        }
        if !seen.present || !seen.same_card {
            self.state = SlotState::Leaving { eject: false };
            return Step::Lost;
        }
        match self.state {
            SlotState::Blinking(_) if pressed => {
                self.state = SlotState::Occupied;
                Step::Unblink
            }
            SlotState::Blinking(at) if seen.now >= at => {
                self.state = SlotState::Leaving { eject: true };
                Step::Terminate
            }
            SlotState::Occupied if pressed => {
                self.state = SlotState::Blinking(seen.now.saturating_add(GRACE_NS));
                Step::Blink
            }
            _ => Step::Rest,
        }
    }

    fn step_leaving(&mut self, seen: &Seen, eject: bool) -> Step {
        let lost = !seen.present || !seen.same_card;
        if seen.nubs_gone {
            self.state = if eject && !lost { SlotState::Off } else { SlotState::Empty };
            return if eject && !lost { Step::FreeAndPowerOff } else { Step::Free };
        }
        if eject && lost {
            self.state = SlotState::Leaving { eject: false };
            return Step::LostInLeaving;
        }
        Step::Rest
    }

    /// The port itself goes: nothing is waited for any more, so that nothing wants to be looked at in a time that passes.
    pub fn abandon(&mut self) {
        self.state = SlotState::Empty;
    }

    /// The answer to [`Step::Find`]: whether the card answered and its nubs are published.
    pub fn found(&mut self, found: bool, now: u64) {
        let left = match self.state {
            SlotState::Settling { left, .. } => left,
            _ => RETRIES,
        };
        self.state = match (found, left) {
            (true, _) => SlotState::Occupied,
            (false, 0) => SlotState::Off,
            (false, left) => SlotState::Settling { at: now.saturating_add(RETRY_NS), left: left - 1 },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SlotStatus = SlotStatus::empty();

    fn seen(events: SlotStatus, present: bool) -> Seen {
        Seen { events, present, same_card: present, nubs_gone: false, now: 0 }
    }

    fn occupied() -> Slot {
        let mut slot = Slot::new();
        assert_eq!(slot.step(&seen(SlotStatus::PRESENCE_CHANGED, true)), Step::PowerOnAndFind);
        slot.found(true, 0);
        slot
    }

    #[test]
    fn insertion_with_a_button_press_beside_it_does_not_eject() {
        let mut slot = Slot::new();
        let both = SlotStatus::PRESENCE_CHANGED | SlotStatus::BUTTON;
        assert_eq!(slot.step(&seen(both, true)), Step::PowerOnAndFind);
        slot.found(true, 0);
        assert_eq!(slot.step(&seen(NONE, true)), Step::Rest);
        assert_eq!(slot.state(), SlotState::Occupied);
    }

    #[test]
    fn a_late_link_event_of_the_same_card_is_nothing() {
        assert_eq!(occupied().step(&seen(SlotStatus::LINK_CHANGED, true)), Step::Rest);
    }

    #[test]
    fn a_card_that_was_exchanged_is_lost_first_and_then_found() {
        let mut slot = occupied();
        let exchanged = Seen { same_card: false, ..seen(SlotStatus::PRESENCE_CHANGED, true) };
        assert_eq!(slot.step(&exchanged), Step::Lost);
        assert_eq!(slot.step(&exchanged), Step::Rest);
        let gone = Seen { nubs_gone: true, ..exchanged };
        assert_eq!(slot.step(&gone), Step::Free);
        assert_eq!(slot.step(&seen(NONE, true)), Step::PowerOnAndFind);
    }

    #[test]
    fn the_button_blinks_waits_and_powers_off() {
        let mut slot = occupied();
        assert_eq!(slot.step(&seen(SlotStatus::BUTTON, true)), Step::Blink);
        assert_eq!(slot.deadline(), Some(GRACE_NS));
        assert_eq!(slot.step(&seen(NONE, true)), Step::Rest);
        let due = Seen { now: GRACE_NS, ..seen(NONE, true) };
        assert_eq!(slot.step(&due), Step::Terminate);
        assert_eq!(slot.step(&due), Step::Rest);
        assert_eq!(slot.step(&Seen { nubs_gone: true, ..due }), Step::FreeAndPowerOff);
        assert_eq!(slot.step(&due), Step::Rest);
        assert_eq!(slot.step(&seen(SlotStatus::PRESENCE_CHANGED, false)), Step::Rest);
        assert_eq!(slot.state(), SlotState::Empty);
    }

    #[test]
    fn a_second_press_takes_it_back() {
        let mut slot = occupied();
        slot.step(&seen(SlotStatus::BUTTON, true));
        assert_eq!(slot.step(&seen(SlotStatus::BUTTON, true)), Step::Unblink);
        assert_eq!(slot.state(), SlotState::Occupied);
    }

    #[test]
    fn a_port_that_goes_while_it_blinks_waits_for_nothing() {
        let mut slot = occupied();
        slot.step(&seen(SlotStatus::BUTTON, true));
        assert_eq!(slot.deadline(), Some(GRACE_NS));
        slot.abandon();
        assert_eq!(slot.deadline(), None);
    }

    #[test]
    fn torn_out_while_it_is_ejected() {
        let mut slot = occupied();
        slot.step(&seen(SlotStatus::BUTTON, true));
        slot.step(&Seen { now: GRACE_NS, ..seen(NONE, true) });
        assert_eq!(slot.step(&seen(SlotStatus::PRESENCE_CHANGED, false)), Step::LostInLeaving);
        assert_eq!(slot.step(&seen(NONE, false)), Step::Rest);
        assert_eq!(slot.step(&Seen { nubs_gone: true, ..seen(NONE, false) }), Step::Free);
        assert_eq!(slot.state(), SlotState::Empty);
    }

    #[test]
    fn a_silent_card_is_looked_at_for_a_second() {
        let mut slot = Slot::new();
        let mut now = 0;
        for _ in 0..=RETRIES {
            assert_ne!(slot.step(&Seen { now, ..seen(NONE, true) }), Step::Rest);
            slot.found(false, now);
            now = slot.deadline().unwrap_or(now);
        }
        assert_eq!(slot.state(), SlotState::Off);
    }
}
