//! A lane of the picture: stretches of time, never more than a bound, however long the run.

/// Stretches that a lane keeps at the most.
pub const MAX_SPANS: usize = 2_048;

/// The label of a stretch that stands for several different ones.
pub const SEVERAL: u32 = 0;

/// A stretch of time on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Machine time of its beginning, ns.
    pub start: u64,
    /// Machine time of its end, ns.
    pub end: u64,
    /// What it is, as a number of [`super::labels::Labels`].
    pub label: u32,
    /// How many stretches were joined in it.
    pub count: u64,
    /// Their time together, ns.
    pub busy: u64,
}

impl Span {
    fn join(&mut self, next: &Self) {
        self.end = self.end.max(next.end);
        self.count += next.count;
        self.busy = self.busy.saturating_add(next.busy);
        if self.label != next.label {
            self.label = SEVERAL;
        }
    }
}

/// Stretches in order of time. When there are too many, neighbours are joined, and from then on also those that come.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    spans: Vec<Span>,
    /// What begins within this time of the last one's beginning is joined with it, ns.
    grain: u64,
}

impl Lane {
    /// Adds what lasted from `start` to `end`.
    pub fn push(&mut self, start: u64, end: u64, label: u32) {
        let end = end.max(start);
        self.put(Span { start, end, label, count: 1, busy: end - start });
        while self.spans.len() > MAX_SPANS {
            self.coarsen();
        }
    }

    /// The stretches.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn put(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if span.start.saturating_sub(last.start) < self.grain => last.join(&span),
            _ => self.spans.push(span),
        }
    }

    fn coarsen(&mut self) {
        let reach = match (self.spans.first(), self.spans.last()) {
            (Some(first), Some(last)) => last.end.saturating_sub(first.start),
            _ => 0,
        };
        self.grain = self.grain.saturating_mul(2).max(reach / MAX_SPANS as u64).max(1);
        for span in std::mem::take(&mut self.spans) {
            self.put(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_bounded_and_loses_no_time() {
        let mut lane = Lane::default();
        for n in 0..1_000_000_u64 {
            lane.push(n * 100, n * 100 + 40, 1 + (n % 2) as u32);
        }
        let spans = lane.spans();
        assert!((MAX_SPANS / 8..=MAX_SPANS).contains(&spans.len()), "{}", spans.len());
        assert_eq!(spans.iter().map(|span| span.count).sum::<u64>(), 1_000_000);
        assert_eq!(spans.iter().map(|span| span.busy).sum::<u64>(), 40_000_000);
        assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "no overlap");
    }

    #[test]
    fn few_stretches_stay_as_they_are() {
        let mut lane = Lane::default();
        lane.push(5, 9, 3);
        lane.push(9, 12, 4);
        assert_eq!(lane.spans().len(), 2);
        assert_eq!(lane.spans()[1], Span { start: 9, end: 12, label: 4, count: 1, busy: 3 });
    }

    #[test]
    fn times_that_make_no_sense_are_bounded_too() {
        let mut lane = Lane::default();
        for n in 0..10_000_u64 {
            lane.push(if n % 2 == 0 { 0 } else { u64::MAX }, n, 1);
        }
        assert!(lane.spans().len() <= MAX_SPANS);
    }
}
