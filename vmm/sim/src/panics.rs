//! Rust panics in kernel and driver code end the run, not the process.

use std::{any::Any, panic, sync::Once};

use crate::{
    outcome::Ended,
    state::{Mode, hot},
};

/// The text of a panic's payload.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic without a message".to_owned(),
    }
}

/// Puts a panic hook in front of the process's own, once: a panic on a fibre is recorded as the end of its run, with its place,
/// and not printed. All others go to the hook that was there. (The hook is process-wide because Rust has no other.)
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A second panic, while the first one or the end of the run unwinds, may abort the process: that one is printed.
            if hot(|h| h.links.get().on_fibre() && h.mode.get() == Mode::Running) {
                record(info);
            } else {
                previous(info);
            }
        }));
    });
}

fn record(info: &panic::PanicHookInfo<'_>) {
    let message = message_of(info.payload());
    let message = match info.location() {
        Some(at) => format!("{message} ({}:{}:{})", at.file(), at.line(), at.column()),
        None => message,
    };
    crate::ending::record(Ended::Fatal { message });
}
