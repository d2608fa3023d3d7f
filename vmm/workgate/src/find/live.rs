//! The live display of an exploration: on a terminal only, on the error stream.

use explore::campaign::Summary;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Instant;

/// Shows how an exploration goes.
pub struct Live {
    bar: ProgressBar,
    begin: Instant,
}

impl Live {
    /// A display for `total` runs, if it is known how many there will be; invisible unless the error stream is a terminal.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = match (std::io::stderr().is_terminal() && !quiet, total) {
            (false, _) => ProgressBar::hidden(),
            (true, Some(total)) => ProgressBar::new(total),
            (true, None) => ProgressBar::new_spinner(),
        };
        let template = match total {
            Some(_) => "{spinner} {pos}/{len} {wide_bar} {msg} {eta}",
            None => "{spinner} {pos} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, begin: Instant::now() }
    }

    /// Moves.
    pub fn show(&self, summary: &Summary) {
        self.tell(summary.runs, || {
            let Summary { traces, states, findings, .. } = summary;
            format!("{traces} traces, {states} states, {} findings", findings.len())
        });
    }

    /// Moves to `runs`, and says what they brought.
    pub fn tell(&self, runs: u64, brought: impl FnOnce() -> String) {
        self.bar.set_position(runs);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{:.0}/s, {}", self.rate(runs), brought()));
        }
    }

    /// Does something that prints, with the display out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Runs a second.
    pub fn rate(&self, runs: u64) -> f64 {
        runs as f64 / self.begin.elapsed().as_secs_f64().max(1e-6)
    }

    /// Takes the display away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
