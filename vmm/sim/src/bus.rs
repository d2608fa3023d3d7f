//! Memory and what answers on the bus.

use std::cell::Cell;

use devices::{
    fault::plan::Plan,
    fault::plane::SITES,
    memory,
    platform::{Ask, Host, Lent, Platform},
};
use mach::seam::{Bdf, Width};
use trace::{Event, Kind};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::{
    interrupts::decode,
    start::StartError,
    state::{Cold, Hot},
};

/// Where DMA memory begins: above what firmware keeps on a PC.
const DMA_BASE: u64 = 0x10_0000;

/// What the platform asked of the machine during one call.
enum Signal {
    Message(u64, u32),
    Line(u32, bool),
    Fault(u32, &'static str),
    Ask(Ask),
    /// A card went by DMA where it may not: slot and address.
    Stray(u32, u64),
}

thread_local! {
    /// Memory of an earlier machine, and its size. Nobody has written to it, so it is as good as new; and cheaper.
    static SPARE: Cell<Option<(u64, GuestMemoryMmap)>> = const { Cell::new(None) };
}

/// The machine's memory and devices.
pub(crate) struct Bus {
    memory: GuestMemoryMmap,
    bytes: u64,
    /// No device and no kernel can have written to the memory.
    untouched: bool,
    /// Boxed: most of it by size, and a machine of kernel code alone has none.
    platform: Option<Box<Platform>>,
    armed: [u8; 32],
    signals: Vec<Signal>,
    lent: Lent,
}

/// The machine as the platform sees it during a call.
struct World<'a> {
    now: u64,
    memory: &'a GuestMemoryMmap,
    lent: &'a Lent,
    signals: &'a mut Vec<Signal>,
}

impl Host for World<'_> {
    fn now(&self) -> u64 {
        self.now
    }

    fn memory(&self) -> &GuestMemoryMmap {
        self.memory
    }

    fn message(&mut self, address: u64, data: u32) {
        self.signals.push(Signal::Message(address, data));
    }

    fn line(&mut self, gsi: u32, asserted: bool) {
        self.signals.push(Signal::Line(gsi, asserted));
    }

    fn dma_done(&mut self, slot: u32, address: u64, bytes: usize) {
        if !self.lent.allows(slot, address, bytes) {
            self.signals.push(Signal::Stray(slot, address));
        }
    }

    fn fault(&mut self, slot: u32, word: &'static str) {
        self.signals.push(Signal::Fault(slot, word));
    }

    fn ask(&mut self, ask: Ask) {
        self.signals.push(Signal::Ask(ask));
    }
}

impl Bus {
    /// How often each site of each card was passed.
    pub fn site_counts(&self) -> Vec<(u32, [u64; SITES])> {
        self.platform.as_deref().map(Platform::site_counts).unwrap_or_default()
    }

    /// `bytes` of memory for DMA, committed page by page as it is touched, and the devices of `plan`, as firmware leaves them; `seed` is
    /// what the plan's faults are drawn from.
    pub fn new(bytes: u64, plan: Option<&Plan>, seed: u64) -> Result<Self, StartError> {
        let memory = match SPARE.take() {
            Some((size, memory)) if size == bytes => memory,
            _ => new_memory(bytes)?,
        };
        let mut platform = plan.map(Platform::new).transpose()?.map(Box::new);
        let mut armed = [0; 32];
        if let Some(platform) = &mut platform {
            platform.seed(seed);
            platform.firmware();
            armed = platform.armed_kinds();
        }
        let untouched = platform.is_none();
        Ok(Self { memory, bytes, untouched, platform, armed, signals: Vec::new(), lent: Lent::default() })
    }

    /// Base and size of the memory for DMA.
    pub fn dma_region(&self) -> (u64, u64) {
        (DMA_BASE, self.bytes)
    }

    /// Reads memory. False, with `into` all ones, where there is none.
    pub fn dma_read(&self, address: u64, into: &mut [u8]) -> bool {
        let found = memory::read(&self.memory, address, into);
        if !found {
            into.fill(0xff);
        }
        found
    }

    /// Writes memory. False where there is none.
    pub fn dma_write(&mut self, address: u64, from: &[u8]) -> bool {
        self.untouched = false;
        memory::write(&self.memory, address, from)
    }

    /// What devices may reach.
    pub fn lent(&mut self) -> &mut Lent {
        &mut self.lent
    }

    /// When the platform wants to run; `u64::MAX` = never.
    pub fn next_deadline(&self) -> u64 {
        self.platform.as_deref().and_then(Platform::next_deadline).unwrap_or(u64::MAX)
    }

    /// True if the plan waits for events of this kind.
    #[inline]
    pub fn waits_for(&self, kind: Kind) -> bool {
        let number = kind as usize;
        self.armed.get(number / 8).is_some_and(|byte| byte >> (number % 8) & 1 != 0)
    }

    /// The devices that are in their places, a bit each.
    pub fn present(&self) -> u32 {
        self.platform.as_deref().map_or(0, Platform::present)
    }

    /// Machine time of plan time zero, at machine time `now`; `None` before `boot.ready`.
    pub fn plan_zero(&self, now: u64) -> Option<u64> {
        let time = self.platform.as_ref()?.plan_time(now)?;
        Some(now - time)
    }

    /// The plan waits for other events than before.
    pub fn arm(&mut self) {
        self.armed = self.platform.as_deref().map_or([0; 32], Platform::armed_kinds);
    }

    /// Plan time 0 is `zero`.
    pub fn start_plan(&mut self, zero: u64) {
        if let Some(platform) = &mut self.platform {
            platform.start_plan(zero);
        }
    }

    fn call<R>(&mut self, now: u64, f: impl FnOnce(&mut Platform, &mut World<'_>) -> R) -> Option<R> {
        let platform = self.platform.as_deref_mut()?;
        let mut world = World { now, memory: &self.memory, lent: &self.lent, signals: &mut self.signals };
        Some(f(platform, &mut world))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if self.untouched {
            SPARE.set(Some((self.bytes, std::mem::take(&mut self.memory))));
        }
    }
}

fn new_memory(bytes: u64) -> Result<GuestMemoryMmap, StartError> {
    let length = usize::try_from(bytes).map_err(|e| StartError::Memory(e.to_string()))?;
    GuestMemoryMmap::from_ranges(&[(GuestAddress(DMA_BASE), length)])
        .map_err(|e| StartError::Memory(e.to_string()))
}

impl Cold {
    /// Runs what is due in the platform.
    pub fn advance_platform(&mut self, h: &Hot) {
        self.with_platform(h, |platform, world| platform.advance(world));
    }

    /// Takes an event of the guest: for the trace, and for a plan that waits for it. True = the hub should hand the batch over.
    #[inline]
    pub fn record(&mut self, h: &Hot, event: &Event) -> bool {
        let full = self.recorder.push(event, || h.total_points());
        if event.kind == Kind::Ready || self.bus.waits_for(event.kind) || self.attention.is_some() {
            self.recorded(h, event);
        }
        full
    }

    /// Somebody waits for `event`, or may do so.
    #[cold]
    #[inline(never)]
    fn recorded(&mut self, h: &Hot, event: &Event) {
        if event.kind == Kind::Ready && self.plan.ready(event.time) {
            self.limits.time = self.plan.finish_at.saturating_add(self.plan.grace);
            self.bus.start_plan(event.time);
            self.refresh_due();
            h.hurry(self.due);
        }
        if self.bus.waits_for(event.kind) {
            self.with_platform(h, |platform, world| platform.guest_event(event, world));
        }
        if self.attention.is_some() {
            self.notice_event(h, event);
        }
    }

    /// Reads a device register.
    pub fn reg_read(&mut self, h: &Hot, address: u64, width: Width) -> u64 {
        let mut bytes = [0xff; 8];
        let part = &mut bytes[..width as usize];
        self.with_platform(h, |platform, world| platform.mmio_read(address, part, world));
        u64::from_le_bytes(bytes) & all_ones(width)
    }

    /// Writes a device register.
    pub fn reg_write(&mut self, h: &Hot, address: u64, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        let part = &bytes[..width as usize];
        self.with_platform(h, |platform, world| platform.mmio_write(address, part, world));
    }

    /// Reads configuration space.
    pub fn config_read(&mut self, h: &Hot, at: Bdf, offset: u16, width: Width) -> u32 {
        let mut bytes = [0xff; 8];
        let part = &mut bytes[..width as usize];
        self.with_platform(h, |platform, world| {
            platform.config_read(at.bus, at.device, at.function, offset.into(), part, world);
        });
        (u64::from_le_bytes(bytes) & all_ones(width)) as u32
    }

    /// Writes configuration space.
    pub fn config_write(&mut self, h: &Hot, at: Bdf, offset: u16, width: Width, value: u32) {
        let bytes = u64::from(value).to_le_bytes();
        let part = &bytes[..width as usize];
        self.with_platform(h, |platform, world| {
            platform.config_write(at.bus, at.device, at.function, offset.into(), part, world);
        });
    }

    /// Calls the platform, and does what it asks for.
    pub fn with_platform<R>(
        &mut self,
        h: &Hot,
        f: impl FnOnce(&mut Platform, &mut dyn Host) -> R,
    ) -> Option<R> {
        let result = self.bus.call(h.now.get(), |platform, world| f(platform, world))?;
        if !self.bus.signals.is_empty() {
            let mut signals = std::mem::take(&mut self.bus.signals);
            for signal in signals.drain(..) {
                self.signal(h, signal);
            }
            self.bus.signals = signals;
        }
        self.end_call();
        self.refresh_due();
        h.hurry(self.due);
        if self.attention.is_some() {
            self.notice_devices(h);
        }
        Some(result)
    }

    fn signal(&mut self, h: &Hot, signal: Signal) {
        match signal {
            Signal::Message(address, data) => {
                let Some((targets, vector)) = decode(address, data, self.cpus) else { return };
                for cpu in (0..self.cpus).filter(|cpu| targets >> cpu & 1 != 0) {
                    if !self.raise_in_race(h, cpu, vector) {
                        self.raise(h, cpu, vector);
                    }
                }
            }
            Signal::Line(gsi, asserted) => {
                if let Some((cpu, vector)) = self.interrupts.set_line(gsi, asserted)
                    && !self.raise_in_race(h, cpu, vector)
                {
                    self.raise(h, cpu, vector);
                }
            }
            Signal::Ask(ask) => self.ask_machine(h, ask),
            Signal::Fault(slot, word) => self.tell(h, Event::new(Kind::Fault).slot(slot).text(word)),
            Signal::Stray(slot, address) => {
                let event = Event::new(Kind::Violation).slot(slot).arg(address);
                self.tell(h, event.text("dma-outside-buffer"));
            }
        }
    }

    /// An event of the machine's own, for the trace.
    fn tell(&mut self, h: &Hot, event: Event) {
        let event = Event { time: h.now.get(), ..event };
        self.recorder.push(&event, || h.total_points());
        self.notice_event(h, &event);
    }
}

/// What a read of `width` finds where nothing answers.
fn all_ones(width: Width) -> u64 {
    u64::MAX >> (64 - 8 * width as u32)
}
