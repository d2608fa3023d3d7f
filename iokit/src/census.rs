//! The census: how many of everything there are at a moment, for a host that watches what grows.

use mach::Wired;
use trace::{Counted, Event, Kind};

use crate::IoKit;

/// Figures of a census at the most, its classes included.
const MAX_FIGURES: usize = 1024;

impl IoKit {
    /// Tells instances of every class that ever had one, threads, what tasks are made of where there may be some, and wired memory.
    pub(crate) fn census(&self) {
        let classes = self.class_counts();
        let instances =
            classes.iter().map(|c| (Counted::Instances, c.class().name, u64::from(c.instances())));
        let Wired { dma, heap, threads } = self.kernel().wired();
        let resources = self.ports().are_open().then(|| self.kernel().resources());
        let resources = resources.into_iter().flatten();
        let objects = resources.map(|(name, count)| (Counted::Objects, name, u64::from(count)));
        let heap = heap.map(|bytes| (Counted::Bytes, "heap", bytes));
        let kernel = [(Counted::Objects, "Thread", u64::from(threads)), (Counted::Bytes, "dma", dma)];
        let mut told = 0;
        for (counted, name, number) in instances.chain(objects).chain(kernel).chain(heap).take(MAX_FIGURES) {
            self.kernel().trace(Event::new(Kind::Census).other(counted as u32).arg(number).text(name));
            told += 1;
        }
        self.kernel().trace(Event::new(Kind::CensusEnd).arg(told));
    }
}
