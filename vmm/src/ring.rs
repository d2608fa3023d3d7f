//! The host's end of the bench page ([`trace::ring`]): events come out in order, whatever the guest writes.

use crate::lending::Loans;
use std::sync::atomic::{AtomicU32, Ordering};
use trace::ring::{
    ARMED, BENCH_BYTES, COMMAND, Command, HEAD, KILL, RECORDS, RING_EVENTS, SCARCE_AFTER, SCARCE_BELOW,
    SCARCE_STATE, TAIL, ZERO,
};
use trace::{EVENT_WORDS, Event, KINDS, Lending};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, VolatileMemory};

/// The ring in guest memory.
pub struct Ring {
    memory: GuestMemoryMmap,
    base: u64,
    tail: u64,
    /// Records that did not decode.
    pub garbled: u64,
}

impl Ring {
    /// The ring at `base`.
    pub fn new(memory: GuestMemoryMmap, base: u64) -> Self {
        Self { memory, base, tail: 0, garbled: 0 }
    }

    /// The ring at `base`, of which the first `tail` events were taken out before.
    pub fn resume(memory: GuestMemoryMmap, base: u64, tail: u64) -> Self {
        Self { tail, ..Self::new(memory, base) }
    }

    /// Events taken out.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    fn at(&self, offset: usize) -> GuestAddress {
        GuestAddress(self.base + offset as u64)
    }

    /// Sets which kinds ring the doorbell: a byte for each.
    pub fn arm(&self, kinds: &[u8; KINDS]) {
        let _ = self.memory.write_slice(kinds, self.at(ARMED));
    }

    /// Sets the command word.
    pub fn command(&self, command: Command) {
        let _ = self.memory.store(command.word(), self.at(COMMAND), Ordering::Release);
    }

    /// Says what the guest's time-stamp counter was at machine time zero.
    pub fn set_zero(&self, ticks: u64) {
        let _ = self.memory.store(ticks, self.at(ZERO), Ordering::Release);
    }

    /// The guest's time-stamp counter went on by `ticks` while machine time stood still.
    pub fn move_zero(&self, ticks: u64) {
        let zero = self.memory.load::<u64>(self.at(ZERO), Ordering::Acquire).unwrap_or(0);
        self.set_zero(zero.wrapping_add(ticks));
    }

    /// Orders the death of a client of each of these slots' devices (bit n = slot n), beside those that the guest has not looked at yet.
    pub fn kill(&self, slots: u32) {
        if let Ok(word) = self.memory.get_slice(self.at(KILL), size_of::<u32>())
            && let Ok(word) = word.get_atomic_ref::<AtomicU32>(0)
        {
            word.fetch_or(slots, Ordering::AcqRel);
        }
    }

    /// Says which of the guest's allocations fail: the one with this number from now (0 = none), and those for which 32 random bits, drawn from
    /// `seed`, are below a threshold (0 = never).
    pub fn make_scarce(&self, after: u32, below: u32, seed: u64) {
        let _ = self.memory.store(seed, self.at(SCARCE_STATE), Ordering::Release);
        let _ = self.memory.store(after, self.at(SCARCE_AFTER), Ordering::Release);
        let _ = self.memory.store(below, self.at(SCARCE_BELOW), Ordering::Release);
    }

    /// Records that the guest has published so far; 0 if it cannot be told.
    pub fn head(&self) -> u64 {
        self.memory.load::<u64>(self.at(HEAD), Ordering::Acquire).unwrap_or(0)
    }

    /// Takes out what the guest has published, at most one ring full; calls `sink` for each event, and tells `loans` of memory for DMA.
    pub fn drain(&mut self, loans: &mut Loans, mut sink: impl FnMut(Event)) {
        // Looked up once for all records: a turn of the machine may bring many, and each counts in what the trace costs.
        let Ok(page) = self.memory.get_slice(self.at(0), BENCH_BYTES) else { return };
        let Ok(head) = page.load::<u64>(HEAD, Ordering::Acquire) else { return };
        // More than a ring full behind, or ahead of the guest: the guest wrote nonsense. Start again from its head.
        if head.wrapping_sub(self.tail) > RING_EVENTS as u64 {
            self.garbled += 1;
            self.tail = head;
            loans.forget();
        }
        let Ok(words) = page.get_array_ref::<u64>(RECORDS, RING_EVENTS * EVENT_WORDS) else { return };
        let mut number = self.tail;
        while number != head {
            let record = number as usize % RING_EVENTS * EVENT_WORDS;
            let word = |n| words.ref_at(record + n).load();
            match Event::read(word) {
                Some(event) => sink(event),
                None => self.garbled += u64::from(!hear(loans, number, &std::array::from_fn(word))),
            }
            number = number.wrapping_add(1);
        }
        self.tail = head;
        let _ = page.store(head, TAIL, Ordering::Release);
    }
}

/// Record `number` is no event: whether it is one of memory for DMA, of which `loans` hears. Out of line, as most are events.
#[inline(never)]
fn hear(loans: &mut Loans, number: u64, record: &[u64; EVENT_WORDS]) -> bool {
    let lending = Lending::from_words(record);
    lending.into_iter().for_each(|lending| loans.hear(number, lending));
    lending.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace::{EVENT_BYTES, Kind};

    fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0x1000), BENCH_BYTES)]).expect("memory")
    }

    fn publish(memory: &GuestMemoryMmap, number: u64, event: Event) {
        let at = 0x1000 + (RECORDS + (number as usize % RING_EVENTS) * EVENT_BYTES) as u64;
        memory.write_slice(&event.encode(), GuestAddress(at)).expect("in the ring");
        memory.write_obj(number + 1, GuestAddress(0x1000 + HEAD as u64)).expect("in the page");
    }

    fn drained(ring: &mut Ring) -> Vec<u64> {
        let mut args = Vec::new();
        ring.drain(&mut Loans::default(), |event| args.push(event.arg));
        args
    }

    #[test]
    fn events_come_out_once_and_in_order_around_the_ring() {
        let memory = memory();
        let mut ring = Ring::new(memory.clone(), 0x1000);
        for round in 0..3u64 {
            let numbers: Vec<u64> = (round * 10_000..(round + 1) * 10_000).collect();
            for &n in &numbers {
                publish(&memory, n, Event::new(Kind::IoIssue).arg(n));
            }
            assert_eq!(drained(&mut ring), numbers);
            assert!(drained(&mut ring).is_empty());
        }
    }

    #[test]
    fn a_record_that_is_stored_but_not_published_is_not_read() {
        let memory = memory();
        let mut ring = Ring::new(memory.clone(), 0x1000);
        publish(&memory, 1, Event::new(Kind::IoIssue).arg(1));
        publish(&memory, 0, Event::new(Kind::IoIssue).arg(0));
        assert_eq!(drained(&mut ring), [0]);
        memory.write_obj(2u64, GuestAddress(0x1000)).expect("in the page");
        assert_eq!(drained(&mut ring), [1]);
    }

    #[test]
    fn orders_of_death_add_up_until_the_guest_takes_them() {
        let memory = memory();
        let ring = Ring::new(memory.clone(), 0x1000);
        ring.kill(1 << 3);
        ring.kill(1 << 31);
        let word: u32 = memory.read_obj(GuestAddress(0x1000 + KILL as u64)).expect("in the page");
        assert_eq!(word, 1 << 31 | 1 << 3);
        ring.make_scarce(7, 9, 11);
        let words: [u32; 2] = [SCARCE_AFTER, SCARCE_BELOW]
            .map(|at| memory.read_obj(GuestAddress(0x1000 + at as u64)).expect("in the page"));
        assert_eq!(words, [7, 9]);
    }

    #[test]
    fn a_hostile_head_or_record_is_survived() {
        let memory = memory();
        let mut ring = Ring::new(memory.clone(), 0x1000);
        for head in [u64::MAX, 1 << 40, 0, 5] {
            memory.write_obj(head, GuestAddress(0x1000)).expect("in the page");
            drained(&mut ring);
        }
        memory.write_slice(&vec![0xff; BENCH_BYTES], GuestAddress(0x1000)).expect("in the page");
        drained(&mut ring);
        assert!(ring.garbled > 0);
    }
}
