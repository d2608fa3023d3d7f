//! Requests that wait for their answers, by transaction label (IEEE 1394-1995, 6.2.4.3). Tested alone.
//!
//! ```text
//! begin ─► sent: complete ─────────────────────────► finished
//!              └ pending ─► answered, or too late ──► finished          a bus reset finishes everything
//! ```

use crate::ioreturn::{IOResult, IOReturn};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Labels, and so requests that can be in flight.
pub const LABELS: usize = 64;

/// What becomes of a request: the data of a read or a lock, or why not. Offline: the node is gone; BusReset: it may have been carried out, or not;
/// NotResponding: nobody acknowledged; Timeout: no answer came; else what the node says. Called exactly once, in the gate.
pub type Done = Box<dyn FnOnce(IOResult<Vec<u8>>) + Send>;

/// One request, and no other that has had the same label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Transaction label.
    pub label: u8,
    serial: u32,
}

/// What became of sending a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is done with that.
    Complete,
    /// An answer will follow.
    Pending,
    /// It failed like this.
    Failed(IOReturn),
}

/// A request that has come back, and nobody has been told yet.
pub struct Finished {
    done: Done,
    result: IOResult<Vec<u8>>,
}

impl Finished {
    /// Tells whoever waits. Gated, and never from within the table.
    pub fn tell(self) {
        (self.done)(self.result);
    }
}

struct Flight {
    serial: u32,
    node: u8,
    deadline: u64,
    done: Done,
}

/// The table.
pub struct Transactions {
    flights: [Option<Flight>; LABELS],
    count: usize,
    serial: u32,
}

impl Default for Transactions {
    fn default() -> Self {
        Self { flights: [const { None }; LABELS], count: 0, serial: 0 }
    }
}

impl Transactions {
    /// Requests in flight.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A request to `node`, which must be answered by machine time `deadline`. NoResources: all labels are taken.
    pub fn begin(&mut self, node: u8, deadline: u64, done: Done) -> IOResult<Tag> {
        self.serial = self.serial.wrapping_add(1);
        // Each label rests for as long as possible: an answer that comes late finds nobody.
        let first = self.serial as usize % LABELS;
        let label = (0..LABELS).map(|n| (first + n) % LABELS).find(|&n| self.flights[n].is_none());
        let label = label.ok_or(IOReturn::NoResources)?;
        self.flights[label] = Some(Flight { serial: self.serial, node, deadline, done });
        self.count += 1;
        Ok(Tag { label: label as u8, serial: self.serial })
    }

    fn take(&mut self, label: u8, wanted: impl Fn(&Flight) -> bool) -> Option<Done> {
        let place = self.flights.get_mut(usize::from(label))?;
        let flight = place.take_if(|flight| wanted(flight))?;
        self.count -= 1;
        Some(flight.done)
    }

    /// It was not sent after all: who was to be told, and is not.
    pub fn cancel(&mut self, tag: Tag) -> Option<Done> {
        self.take(tag.label, |flight| flight.serial == tag.serial)
    }

    /// What became of sending it.
    pub fn sent(&mut self, tag: Tag, sent: Sent) -> Option<Finished> {
        let result = match sent {
            Sent::Pending => return None,
            Sent::Complete => Ok(Vec::new()),
            Sent::Failed(why) => Err(why),
        };
        Some(Finished { done: self.cancel(tag)?, result })
    }

    /// An answer with this label came from `node`. `None`: nobody waits for it.
    pub fn answered(&mut self, node: u8, label: u8, result: IOResult<Vec<u8>>) -> Option<Finished> {
        Some(Finished { done: self.take(label, |flight| flight.node == node)?, result })
    }

    /// Whose answer has not come by machine time `now`.
    pub fn expire(&mut self, now: u64) -> Vec<Finished> {
        self.end(IOReturn::Timeout, |flight| flight.deadline <= now)
    }

    /// Everything comes back as `why`.
    pub fn fail_all(&mut self, why: IOReturn) -> Vec<Finished> {
        self.end(why, |_| true)
    }

    fn end(&mut self, why: IOReturn, wanted: impl Fn(&Flight) -> bool) -> Vec<Finished> {
        let done = (0..LABELS as u8).filter_map(|label| self.take(label, &wanted)).collect::<Vec<_>>();
        done.into_iter().map(|done| Finished { done, result: Err(why) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use spin::Mutex;

    type Told = Arc<Mutex<Vec<(u32, IOResult<Vec<u8>>)>>>;

    fn done(told: &Told, number: u32) -> Done {
        let told = told.clone();
        Box::new(move |result| told.lock().push((number, result)))
    }

    #[test]
    fn each_comes_back_once_and_only_by_its_own_answer() {
        let (mut table, told) = (Transactions::default(), Told::default());
        let first = table.begin(2, 100, done(&told, 1)).expect("a label");
        let second = table.begin(3, 100, done(&told, 2)).expect("a label");
        assert!(table.sent(first, Sent::Pending).is_none());
        assert!(table.answered(3, first.label, Ok(Vec::new())).is_none(), "somebody else");
        table.answered(2, first.label, Ok(alloc::vec![7])).expect("its answer").tell();
        assert!(table.answered(2, first.label, Ok(Vec::new())).is_none(), "twice");
        table.sent(second, Sent::Failed(IOReturn::NotResponding)).expect("it failed").tell();
        assert!(table.sent(second, Sent::Complete).is_none());
        assert_eq!(*told.lock(), [(1, Ok(alloc::vec![7])), (2, Err(IOReturn::NotResponding))]);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn a_label_that_is_used_again_is_another_request() {
        let (mut table, told) = (Transactions::default(), Told::default());
        let old = table.begin(0, 100, done(&told, 0)).expect("a label");
        table.cancel(old).expect("in flight");
        for number in 1..=LABELS as u32 {
            table.begin(0, 100, done(&told, number)).expect("a label");
        }
        assert_eq!(table.begin(0, 100, done(&told, 99)).err(), Some(IOReturn::NoResources));
        assert!(table.sent(old, Sent::Complete).is_none(), "the label is another's by now");
        assert_eq!(table.fail_all(IOReturn::BusReset).len(), LABELS);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn what_is_late_is_a_timeout() {
        let (mut table, told) = (Transactions::default(), Told::default());
        table.begin(0, 100, done(&told, 1)).expect("a label");
        table.begin(0, 200, done(&told, 2)).expect("a label");
        assert!(table.expire(99).is_empty());
        table.expire(150).into_iter().for_each(Finished::tell);
        assert_eq!(*told.lock(), [(1, Err(IOReturn::Timeout))]);
        assert_eq!(table.count(), 1);
    }
}
