//! The words for where a machine's console goes, and what it leaves behind.

use crate::console::Place;
use clap::Args;
use std::path::PathBuf;

/// The console, and a collection.
#[derive(Clone, Debug, Default, Args)]
pub struct ConsoleArgs {
    /// All that the guest prints goes there: a file, pty, pty:LINK, unix:PATH, tcp:HOST:PORT or tcp::PORT; what is typed there goes to a guest on KVM (docs/console.md)
    #[arg(long, value_name = "PLACE", conflicts_with = "collect")]
    pub console: Option<Place>,
    /// Leave console, core, result and trace in a new folder in this one, and a line in its index.jsonl: for any number of machines (docs/console.md)
    #[arg(long, value_name = "DIR", conflicts_with = "core")]
    pub collect: Option<PathBuf>,
}
