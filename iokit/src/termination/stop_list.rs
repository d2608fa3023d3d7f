//! Who is to be stopped: first in first out, except that those who still have clients of their own wait.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::service::ServiceRef;

/// A client and the provider that it is to stop on.
pub(super) type Pair = (ServiceRef, ServiceRef);

/// The pairs by their number, and from where on it is worth looking.
///
/// A scan from the front for each stop would make the termination of a large tree quadratic: its inner services stand in front, and wait.
#[derive(Default)]
pub(super) struct StopList {
    pairs: BTreeMap<u64, Pair>,
    /// The pairs by the identifier of their client.
    by_client: BTreeSet<(u32, u64)>,
    /// The number of the next pair.
    next: u64,
    /// All pairs before this one were found waiting, and nothing has changed for them since.
    from: u64,
}

impl StopList {
    /// Adds a pair at the end.
    pub(super) fn push(&mut self, client: ServiceRef, provider: ServiceRef) {
        self.by_client.insert((client.id(), self.next));
        self.pairs.insert(self.next, (client, provider));
        self.next += 1;
    }

    /// The first pair worth looking at. All before it wait.
    pub(super) fn first(&self) -> Option<(u64, Pair)> {
        self.pairs.range(self.from..).next().map(|(number, pair)| (*number, pair.clone()))
    }

    /// Pair `number`, the [`first`](Self::first), waits.
    pub(super) fn waits(&mut self, number: u64) {
        self.from = number + 1;
    }

    /// The client was finalized: its pairs wait no more.
    pub(super) fn finalized(&mut self, client: u32) {
        if let Some((_, first)) = self.by_client.range((client, 0)..=(client, u64::MAX)).next() {
            self.from = self.from.min(*first);
        }
    }

    /// Looks at all of them again, those before [`first`](Self::first) too.
    pub(super) fn again(&mut self) {
        self.from = 0;
    }

    /// Takes a pair off; to be dropped outside of the lock.
    pub(super) fn remove(&mut self, number: u64) -> Option<Pair> {
        let pair = self.pairs.remove(&number)?;
        self.by_client.remove(&(pair.0.id(), number));
        Some(pair)
    }
}
