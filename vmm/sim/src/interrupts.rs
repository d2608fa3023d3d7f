//! Local APICs and lines, as far as the kernel can tell: pending vectors, one timer a CPU, level-triggered lines, messages.

use mach::seam::TIMER_VECTOR;

use crate::state::MAX_CPUS;

/// Lines (global system interrupts) that can be routed.
const LINES: usize = 64;
/// Base of the address range of message-signalled interrupts (Intel SDM vol. 3, 12.11.1).
const MESSAGE_BASE: u64 = 0xfee0_0000;

/// One CPU's interrupts.
#[derive(Clone, Copy, Debug)]
struct Local {
    pending: [u64; 4],
    deliver_at: u64,
}

/// One line of the interrupt controller.
#[derive(Clone, Copy, Debug)]
struct Line {
    asserted: bool,
    masked: bool,
    /// Taken and not yet ended (remote IRR).
    in_service: bool,
    /// CPU and vector.
    route: Option<(u8, u8)>,
}

/// All of a machine's interrupts.
#[derive(Debug)]
pub(crate) struct Interrupts {
    local: [Local; MAX_CPUS],
    /// The timer of each CPU; `u64::MAX` = disarmed.
    timers: [u64; MAX_CPUS],
    /// The earliest of them.
    next_timer: u64,
    /// As far as they were touched.
    lines: Vec<Line>,
}

impl Interrupts {
    /// Nothing pending, armed or routed.
    pub fn new() -> Self {
        let local = Local { pending: [0; 4], deliver_at: u64::MAX };
        let timers = [u64::MAX; MAX_CPUS];
        Self { local: [local; MAX_CPUS], timers, next_timer: u64::MAX, lines: Vec::new() }
    }

    /// Makes `vector` pending on `cpu`, to be taken at `deliver_at` or with an earlier one. False if it already was.
    pub fn raise(&mut self, cpu: usize, vector: u8, deliver_at: u64) -> bool {
        let local = &mut self.local[cpu];
        let (word, bit) = place(vector);
        if local.pending[word] & bit != 0 {
            return false;
        }
        if local.pending == [0; 4] || deliver_at < local.deliver_at {
            local.deliver_at = deliver_at;
        }
        local.pending[word] |= bit;
        true
    }

    /// Takes `vector` back on `cpu`; true if others are pending.
    pub fn withdraw(&mut self, cpu: usize, vector: u8) -> bool {
        let (word, bit) = place(vector);
        let local = &mut self.local[cpu];
        local.pending[word] &= !bit;
        local.pending != [0; 4]
    }

    /// True if `vector` is pending on `cpu`.
    pub fn is_pending(&self, cpu: usize, vector: u8) -> bool {
        let (word, bit) = place(vector);
        self.local[cpu].pending[word] & bit != 0
    }

    /// When `cpu` takes what is pending.
    pub fn deliver_at(&self, cpu: usize) -> u64 {
        self.local[cpu].deliver_at
    }

    /// Vectors pending on `cpu`.
    pub fn pending(&self, cpu: usize) -> u32 {
        self.local[cpu].pending.iter().map(|word| word.count_ones()).sum()
    }

    /// Takes the `nth` pending vector of `cpu`, counted from the highest. The flag is true if more are pending.
    pub fn take(&mut self, cpu: usize, nth: u32) -> Option<(u8, bool)> {
        let local = &mut self.local[cpu];
        let mut left = nth;
        for word in (0..4).rev() {
            let mut bits = local.pending[word];
            while bits != 0 {
                let top = 63 - bits.leading_zeros();
                if left == 0 {
                    local.pending[word] &= !(1 << top);
                    return Some(((word as u32 * 64 + top) as u8, local.pending != [0; 4]));
                }
                left -= 1;
                bits &= !(1 << top);
            }
        }
        None
    }

    /// Arms or disarms the timer of `cpu`.
    pub fn arm(&mut self, cpu: usize, deadline: Option<u64>) {
        // One at the end of time never comes.
        self.set_timer(cpu, deadline.unwrap_or(u64::MAX));
    }

    /// The earliest armed timer; `u64::MAX` = none.
    #[inline]
    pub fn next_timer(&self) -> u64 {
        self.next_timer
    }

    fn set_timer(&mut self, cpu: usize, time: u64) {
        let before = std::mem::replace(&mut self.timers[cpu], time);
        if time <= self.next_timer {
            self.next_timer = time;
        } else if before == self.next_timer {
            self.next_timer = self.timers.iter().copied().min().unwrap_or(u64::MAX);
        }
    }

    /// Disarms one timer that is due at `now` and names its CPU and vector.
    pub fn expire(&mut self, now: u64) -> Option<(usize, u8)> {
        if now < self.next_timer || self.next_timer == u64::MAX {
            return None;
        }
        let cpu = self.timers.iter().position(|&time| time <= now && time != u64::MAX)?;
        self.set_timer(cpu, u64::MAX);
        Some((cpu, TIMER_VECTOR))
    }

    /// Routes a line and masks it. Lines that do not exist are ignored, here and below.
    pub fn route(&mut self, gsi: u32, cpu: usize, vector: u8) {
        if let Some(line) = self.line(gsi) {
            line.route = Some((cpu as u8, vector));
            line.masked = true;
            line.in_service = false;
        }
    }

    /// Masks or unmasks a line; the answer is what to raise.
    pub fn mask_line(&mut self, gsi: u32, masked: bool) -> Option<(usize, u8)> {
        let line = self.line(gsi)?;
        line.masked = masked;
        line.fire()
    }

    /// Sets the level of a line; the answer is what to raise.
    pub fn set_line(&mut self, gsi: u32, asserted: bool) -> Option<(usize, u8)> {
        let line = self.line(gsi)?;
        line.asserted = asserted;
        line.fire()
    }

    fn line(&mut self, gsi: u32) -> Option<&mut Line> {
        let number = Some(gsi as usize).filter(|&number| number < LINES)?;
        if self.lines.len() <= number {
            self.lines.resize(number + 1, Line::NEW);
        }
        self.lines.get_mut(number)
    }

    /// The handler of `vector` on `cpu` returned. The answer is what to raise again: a line that is still asserted.
    pub fn end_of_interrupt(&mut self, cpu: usize, vector: u8) -> Option<(usize, u8)> {
        let mut again = None;
        for line in
            self.lines.iter_mut().filter(|line| line.in_service && line.route == Some((cpu as u8, vector)))
        {
            line.in_service = false;
            again = line.fire().or(again);
        }
        again
    }
}

impl Line {
    const NEW: Self = Self { asserted: false, masked: true, in_service: false, route: None };

    fn fire(&mut self) -> Option<(usize, u8)> {
        if !self.asserted || self.masked || self.in_service {
            return None;
        }
        self.in_service = self.route.is_some();
        self.route.map(|(cpu, vector)| (usize::from(cpu), vector))
    }
}

fn place(vector: u8) -> (usize, u64) {
    (usize::from(vector >> 6), 1 << (vector & 63))
}

/// The message that raises `vector` on `cpu`: physical destination, fixed delivery, edge.
pub(crate) fn message(cpu: usize, vector: u8) -> (u64, u32) {
    (MESSAGE_BASE | (cpu as u64 & 0xff) << 12, u32::from(vector))
}

/// The CPUs (a bit each) and the vector that a message raises (Intel SDM vol. 3, 12.11). `None` for what is not a fixed or
/// lowest-priority interrupt, names no CPU, or has a vector below 16.
pub(crate) fn decode(address: u64, data: u32, cpus: usize) -> Option<(u8, u8)> {
    let vector = data as u8;
    let delivery = data >> 8 & 7;
    if address & !0xf_fffc != MESSAGE_BASE || delivery > 1 || vector < 16 {
        return None;
    }
    let destination = (address >> 12) as u8;
    let all = crate::state::mask_of(cpus);
    let logical = address & 1 << 2 != 0;
    let targets = match (logical, destination) {
        (false, 0xff) => all,
        (false, id) => 1_u8.checked_shl(u32::from(id)).unwrap_or(0) & all,
        (true, mask) => mask & all,
    };
    let one = delivery == 1 || address & 1 << 3 != 0;
    let targets = if one { targets & targets.wrapping_neg() } else { targets };
    (targets != 0).then_some((targets, vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_vector_comes_first() {
        let mut irq = Interrupts::new();
        assert!(irq.raise(1, 0x31, 7) && irq.raise(1, 0xef, 3) && !irq.raise(1, 0x31, 1));
        assert_eq!((irq.pending(1), irq.deliver_at(1), irq.pending(0)), (2, 3, 0));
        assert_eq!(irq.take(1, 0), Some((0xef, true)));
        assert_eq!(irq.take(1, 0), Some((0x31, false)));
        assert_eq!(irq.take(1, 0), None);
    }

    #[test]
    fn a_level_line_comes_again_until_it_drops() {
        let mut irq = Interrupts::new();
        assert_eq!(irq.set_line(17, true), None);
        irq.route(17, 1, 0x40);
        assert_eq!(irq.mask_line(17, false), Some((1, 0x40)));
        assert_eq!(irq.set_line(17, true), None, "in service");
        assert_eq!(irq.end_of_interrupt(1, 0x40), Some((1, 0x40)));
        assert_eq!(irq.mask_line(17, true), None);
        assert_eq!(irq.end_of_interrupt(1, 0x40), None, "masked");
        assert_eq!(irq.mask_line(17, false), Some((1, 0x40)));
        assert_eq!(irq.set_line(17, false), None);
        assert_eq!(irq.end_of_interrupt(1, 0x40), None, "dropped");
        assert_eq!(irq.set_line(1000, true), None, "no such line");
    }

    #[test]
    fn messages_decode_to_what_was_encoded() {
        for cpu in 0..8 {
            let (address, data) = message(cpu, 0x55);
            assert_eq!(decode(address, data, 8), Some((1 << cpu, 0x55)));
        }
        assert_eq!(decode(0xfeef_f000, 0x30, 4), Some((0b1111, 0x30)), "broadcast");
        assert_eq!(decode(0xfee0_6004, 0x30, 4), Some((0b0110, 0x30)), "logical");
        assert_eq!(decode(0xfee0_600c, 0x130, 4), Some((0b0010, 0x30)), "lowest priority");
        assert_eq!(decode(0xfee0_5000, 0x30, 4), None, "no such CPU");
        assert_eq!(decode(0xfee0_0000, 0x430, 4), None, "NMI");
        assert_eq!(decode(0xfed0_0000, 0x30, 4), None);
    }
}
