//! The actions that a rule can name, for people who look them up.

/// An action.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// The word in plans.
    pub word: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// One line about it.
    pub description: &'static str,
}

const fn action(word: &'static str, form: &'static str, description: &'static str) -> ActionSpec {
    ActionSpec { word, form, description }
}

/// Every action, in the order of the language's documentation.
pub const ACTIONS: &[ActionSpec] = &[
    action("unplug", "unplug NAME", "surprise removal"),
    action("eject", "eject NAME", "orderly removal, by the attention button"),
    action("replug", "replug NAME", "the card comes back into its slot"),
    action("plug", "plug NAME", "a card that was absent is plugged in"),
    action("storm", "storm NAME rate=RATE for=TIME", "interrupts with nothing to say, at a rate"),
    action("spurious", "spurious NAME", "one interrupt that nobody asked for"),
    action("drop", "drop NAME [count=N]", "the next interrupt is lost"),
    action(
        "delay",
        "delay NAME by=TIME [what=interrupt|completion] [count=N]",
        "the next interrupt or completion is late",
    ),
    action(
        "duplicate",
        "duplicate NAME [what=interrupt|completion] [after=TIME] [count=N]",
        "the next interrupt comes twice, or the next completion is delivered twice",
    ),
    action("stick", "stick NAME for=TIME", "the interrupt line stays asserted"),
    action("mute", "mute NAME for=TIME", "no interrupt reaches the bus"),
    action("freeze", "freeze NAME [for=TIME]", "the device does nothing: reads give all ones, writes wait"),
    action("corrupt", "corrupt NAME [count=N]", "the next DMA write has altered bytes"),
    action("short-dma", "short-dma NAME [count=N]", "the next DMA write stops half-way"),
    action("late-dma", "late-dma NAME by=TIME [count=N]", "the next DMA write arrives later"),
    action("link-down", "link-down NAME [for=TIME]", "the link to the slot goes down"),
    action("usb-stall", "usb-stall NAME [count=N]", "the USB device answers the next packet with a halt"),
    action("usb-error", "usb-error NAME [count=N]", "the USB device's next packet is spoilt on the way"),
    action("babble", "babble NAME [count=N]", "the USB device sends more than it was asked for"),
    action("nak", "nak NAME for=TIME", "the USB device is not ready"),
    action("disconnect-port", "disconnect-port NAME port=N [for=TIME]", "a USB port loses contact"),
    action("overcurrent", "overcurrent NAME port=N [for=TIME]", "a USB port takes too much current"),
    action("bus-reset", "bus-reset NAME", "a FireWire node or controller resets the bus"),
    action("cable-pull", "cable-pull NAME [for=TIME]", "the cable to a FireWire node comes out"),
    action("lost-ack", "lost-ack NAME [count=N]", "a FireWire packet arrives, but its acknowledge does not"),
    action("new-root", "new-root NAME", "a FireWire node or controller makes itself root of the bus"),
    action(
        "race",
        "race NAME timer=before|after",
        "the next interrupt meets the driver's next timer, which comes before or after it",
    ),
    action("kill", "kill NAME", "a client of the device dies, inside a call if one is"),
    action("stall", "stall cpu=N for=TIME", "a processor executes nothing"),
    action("clock-jump", "clock-jump by=TIME", "machine time goes forward at once"),
    action("preempt", "preempt [cpu=N]", "the running thread has used up its quantum"),
    action("fail-alloc", "fail-alloc #N, or p=P [for=TIME]", "allocations of the guest's kernel fail"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::plan::words;

    #[test]
    fn every_word_of_the_language_is_told_and_no_other() {
        let told: Vec<_> = ACTIONS.iter().map(|action| action.word).collect();
        assert_eq!(told, words::ACTIONS);
        assert!(ACTIONS.iter().all(|action| action.form.starts_with(action.word)));
    }
}
