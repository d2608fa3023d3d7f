//! The progress display: on a terminal only, on the error stream.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use trace::{Event, Kind};

/// Follows the plan's clock.
pub struct Progress {
    bar: ProgressBar,
    zero: Option<u64>,
    shown: u64,
}

impl Progress {
    /// A display for a plan that runs for `run_for` ns; invisible unless the error stream is a terminal.
    pub fn new(run_for: u64, quiet: bool) -> Self {
        let bar = match std::io::stderr().is_terminal() && !quiet {
            true => ProgressBar::new(run_for),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{spinner} plan time {msg:>9} {wide_bar} {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message("booting");
        Self { bar, zero: None, shown: 0 }
    }

    /// Moves with the trace.
    pub fn event(&mut self, event: &Event) {
        if event.kind == Kind::Ready {
            self.zero = Some(event.time);
        }
        let Some(zero) = self.zero else { return };
        let now = event.time.saturating_sub(zero);
        // A redraw a millisecond of plan time is plenty; the display must not cost the run anything.
        if now >= self.shown + 1_000_000 {
            self.shown = now;
            self.bar.set_position(now.min(self.bar.length().unwrap_or(now)));
            self.bar.set_message(format!("{} ms", now / 1_000_000));
        }
    }

    /// Takes the display away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
