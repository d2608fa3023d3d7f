//! Address windows of a port, and what is handed out of them.

use super::bars::Bar;
use alloc::vec::Vec;

/// Where 32-bit addresses end.
const LOW_END: u64 = 1 << 32;

/// A range of addresses that a bridge passes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Last address.
    pub limit: u64,
}

impl Window {
    /// The window from `base` to `limit`; `None` if it is closed (base above limit) or starts at 0.
    pub fn open(base: u64, limit: u64) -> Option<Self> {
        (base <= limit && base != 0).then_some(Self { base, limit })
    }

    fn contains(&self, start: u64, size: u64) -> bool {
        start >= self.base && start.checked_add(size - 1).is_some_and(|last| last <= self.limit)
    }
}

/// The windows of one port and the ranges in use.
#[derive(Debug, Default)]
pub struct Windows {
    plain: Option<Window>,
    prefetch: Option<Window>,
    /// First address and bytes, in order.
    used: Vec<(u64, u64)>,
}

impl Windows {
    /// Nothing handed out yet.
    pub fn new(plain: Option<Window>, prefetch: Option<Window>) -> Self {
        Self { plain, prefetch, used: Vec::new() }
    }

    /// Notes that firmware put `bar` where it is. False if that is no place for it: outside of the windows, or in use.
    pub fn reserve(&mut self, bar: &Bar) -> bool {
        let inside =
            [self.plain, self.prefetch].into_iter().flatten().any(|w| w.contains(bar.base, bar.size));
        inside && self.insert(bar.base, bar.size)
    }

    /// A place for `bar`: in the prefetchable window if it may go there, else in the plain one.
    pub fn allocate(&mut self, bar: &Bar) -> Option<u64> {
        let prefetch = self.prefetch.filter(|w| bar.prefetchable && (bar.wide || w.limit < LOW_END));
        let plain = self.plain.filter(|w| bar.wide || w.limit < LOW_END);
        [prefetch, plain].into_iter().flatten().find_map(|window| {
            let base = self.first_fit(window, bar.size)?;
            self.insert(base, bar.size).then_some(base)
        })
    }

    /// Takes the range at `base` back.
    pub fn free(&mut self, base: u64) {
        self.used.retain(|&(start, _)| start != base);
    }

    fn first_fit(&self, window: Window, size: u64) -> Option<u64> {
        let mut start = window.base.checked_next_multiple_of(size)?;
        for &(used, bytes) in &self.used {
            if used + bytes <= start {
                continue;
            }
            if start.checked_add(size)? <= used {
                break;
            }
            start = (used + bytes).checked_next_multiple_of(size)?;
        }
        window.contains(start, size).then_some(start)
    }

    fn insert(&mut self, base: u64, size: u64) -> bool {
        let at = self.used.partition_point(|&(start, _)| start < base);
        let after = self.used.get(at).is_none_or(|&(start, _)| base + size <= start);
        let before = at == 0 || self.used[at - 1].0 + self.used[at - 1].1 <= base;
        if after && before {
            self.used.insert(at, (base, size));
        }
        after && before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(size: u64, wide: bool, prefetchable: bool) -> Bar {
        Bar { index: 0, base: 0, size, wide, prefetchable }
    }

    fn windows() -> Windows {
        Windows::new(Window::open(0xc100_0000, 0xc11f_ffff), Window::open(0x81_0000_0000, 0x81_0fff_ffff))
    }

    #[test]
    fn ranges_are_aligned_disjoint_and_used_again() {
        let mut w = windows();
        assert_eq!(w.allocate(&bar(0x1000, false, false)), Some(0xc100_0000));
        assert_eq!(w.allocate(&bar(0x10_0000, false, false)), Some(0xc110_0000));
        assert_eq!(w.allocate(&bar(0x10_0000, false, false)), None);
        w.free(0xc100_0000);
        assert_eq!(w.allocate(&bar(0x10_0000, false, false)), Some(0xc100_0000));
    }

    #[test]
    fn a_narrow_bar_does_not_go_above_four_gigabytes() {
        let mut w = windows();
        assert_eq!(w.allocate(&bar(0x1000, true, true)), Some(0x81_0000_0000));
        assert_eq!(w.allocate(&bar(0x1000, false, true)), Some(0xc100_0000));
    }

    #[test]
    fn what_firmware_assigned_is_respected() {
        let mut w = windows();
        let placed = Bar { base: 0xc100_0000, ..bar(0x10_0000, false, false) };
        assert!(w.reserve(&placed) && !w.reserve(&placed));
        assert!(!w.reserve(&Bar { base: 0x1000, ..placed }));
        assert_eq!(w.allocate(&bar(0x1000, false, false)), Some(0xc110_0000));
    }

    #[test]
    fn a_bar_of_absurd_size_finds_no_place() {
        assert_eq!(windows().allocate(&bar(1 << 63, true, true)), None);
        assert_eq!(Window::open(0xfff0_0000, 0xf_ffff), None);
    }
}
