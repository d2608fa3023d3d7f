//! Interrupt vectors and shared lines.
//!
//! A vector has one handler, called at primary interrupt level. A level-triggered line has a vector of its own and any number of
//! handlers: every interrupt calls all that are enabled, in the order of registration, and the line is masked at the controller
//! whenever one of them is registered but not enabled: one disabled sharer mutes everyone.

use crate::kernel::{Kernel, KernelRef};
use crate::seam::{FIRST_DEVICE_VECTOR, LAST_DEVICE_VECTOR};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use spin::{Mutex, Once};

/// What runs at primary interrupt level.
pub type Handler = Arc<dyn Fn(&KernelRef) + Send + Sync>;

/// No vector or line is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

/// A handler's place on a shared line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineId {
    gsi: u32,
    number: u32,
}

const VECTORS: usize = (LAST_DEVICE_VECTOR - FIRST_DEVICE_VECTOR) as usize + 1;

#[derive(Default)]
struct Slot {
    handler: Option<Handler>,
    allocated: bool,
    enabled: bool,
}

#[derive(Default)]
struct Vector {
    slot: Mutex<Slot>,
    /// CPUs that are inside the handler.
    active: AtomicU32,
}

struct Sharer {
    handler: Handler,
    enabled: bool,
    active: Arc<AtomicU32>,
}

struct Line {
    vector: u8,
    sharers: BTreeMap<u32, Sharer>,
}

#[derive(Default)]
struct Lines {
    lines: BTreeMap<u32, Line>,
    next: u32,
}

/// All vectors and lines of a kernel.
pub struct Interrupts {
    /// Made when the first one is reserved: a kernel without devices has none.
    vectors: Once<Box<[Vector]>>,
    lines: Mutex<Lines>,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self { vectors: Once::new(), lines: Mutex::new(Lines::default()) }
    }

    pub(crate) fn clear(&self) {
        for vector in self.vectors.get().into_iter().flatten() {
            *vector.slot.lock() = Slot::default();
        }
        self.lines.lock().lines.clear();
    }

    fn vector(&self, vector: u8) -> Option<&Vector> {
        self.vectors.get()?.get(usize::from(vector.checked_sub(FIRST_DEVICE_VECTOR)?))
    }

    /// Reserves a vector.
    ///
    /// # Errors
    /// All are taken.
    pub fn allocate_vector(&self, kernel: &Kernel) -> Result<u8, NoVector> {
        let _masked = kernel.masked();
        let vectors = self.vectors.call_once(|| (0..VECTORS).map(|_| Vector::default()).collect());
        for (number, vector) in vectors.iter().enumerate() {
            let mut slot = kernel.lock_raw(&vector.slot);
            if !slot.allocated {
                *slot = Slot { allocated: true, ..Slot::default() };
                return Ok(FIRST_DEVICE_VECTOR + number as u8);
            }
        }
        Err(NoVector)
    }

    /// Gives a vector back; its handler goes first, as by [`Interrupts::unregister`].
    pub fn free_vector(&self, kernel: &Kernel, vector: u8) {
        self.unregister(kernel, vector);
        self.change(kernel, vector, |slot| *slot = Slot::default());
    }

    /// Sets the handler of an allocated vector. It stays disabled.
    pub fn register(&self, kernel: &Kernel, vector: u8, handler: Handler) {
        self.change(kernel, vector, |slot| {
            slot.handler = Some(handler);
            slot.enabled = false;
        });
    }

    /// Lets the handler be called.
    pub fn enable(&self, kernel: &Kernel, vector: u8) {
        self.change(kernel, vector, |slot| slot.enabled = true);
    }

    /// After it returns (off interrupt level), the handler is not running and will not.
    pub fn disable(&self, kernel: &Kernel, vector: u8) {
        self.change(kernel, vector, |slot| slot.enabled = false);
        self.wait_inactive(kernel, vector);
    }

    /// Takes the handler away. After it returns (off interrupt level), it is not running and will not.
    pub fn unregister(&self, kernel: &Kernel, vector: u8) {
        let mut handler = None;
        self.change(kernel, vector, |slot| {
            slot.enabled = false;
            handler = slot.handler.take();
        });
        self.wait_inactive(kernel, vector);
    }

    fn change(&self, kernel: &Kernel, vector: u8, change: impl FnOnce(&mut Slot)) {
        if let Some(vector) = self.vector(vector) {
            let _masked = kernel.masked();
            change(&mut kernel.lock_raw(&vector.slot));
        }
    }

    fn wait_inactive(&self, kernel: &Kernel, vector: u8) {
        if let Some(vector) = self.vector(vector) {
            wait_inactive(kernel, &vector.active);
        }
    }

    /// An interrupt with `vector` was taken. Masked, at interrupt level.
    pub(crate) fn deliver(&self, kernel: &KernelRef, vector: u8) {
        let Some(entry) = self.vector(vector) else { return };
        let handler = {
            let slot = kernel.lock_raw(&entry.slot);
            if !slot.enabled {
                return;
            }
            // Counted under the lock: whoever disables afterwards sees it and waits.
            entry.active.fetch_add(1, Ordering::Acquire);
            slot.handler.clone()
        };
        if let Some(handler) = handler {
            handler(kernel);
        }
        entry.active.fetch_sub(1, Ordering::Release);
    }

    /// Adds a handler to a level-triggered line, disabled.
    ///
    /// # Errors
    /// No vector is free for the line.
    pub fn register_line(&self, kernel: &KernelRef, gsi: u32, handler: Handler) -> Result<LineId, NoVector> {
        self.route(kernel, gsi)?;
        let _masked = kernel.masked();
        let mut lines = kernel.lock_raw(&self.lines);
        lines.next += 1;
        let number = lines.next;
        let line = lines.lines.get_mut(&gsi).ok_or(NoVector)?;
        line.sharers.insert(number, Sharer { handler, enabled: false, active: Arc::new(AtomicU32::new(0)) });
        mask_if_muted(kernel, gsi, line);
        Ok(LineId { gsi, number })
    }

    fn route(&self, kernel: &KernelRef, gsi: u32) -> Result<(), NoVector> {
        let known = || {
            let _masked = kernel.masked();
            kernel.lock_raw(&self.lines).lines.contains_key(&gsi)
        };
        if known() {
            return Ok(());
        }
        let vector = self.allocate_vector(kernel)?;
        let handler: Handler =
            Arc::new(move |kernel: &KernelRef| kernel.interrupts().deliver_line(kernel, gsi));
        self.register(kernel, vector, handler);
        self.enable(kernel, vector);
        let _masked = kernel.masked();
        let mut lines = kernel.lock_raw(&self.lines);
        if lines.lines.contains_key(&gsi) {
            drop(lines);
            self.free_vector(kernel, vector);
            return Ok(());
        }
        lines.lines.insert(gsi, Line { vector, sharers: BTreeMap::new() });
        kernel.machine().line_route(gsi, vector, 0);
        Ok(())
    }

    fn deliver_line(&self, kernel: &KernelRef, gsi: u32) {
        let mut last = 0;
        // One handler at a time, looked up anew: a handler may disable itself or others.
        while let Some((number, handler, active)) = self.next_sharer(kernel, gsi, last) {
            last = number;
            handler(kernel);
            active.fetch_sub(1, Ordering::Release);
        }
    }

    fn next_sharer(&self, kernel: &Kernel, gsi: u32, last: u32) -> Option<(u32, Handler, Arc<AtomicU32>)> {
        let lines = kernel.lock_raw(&self.lines);
        let line = lines.lines.get(&gsi)?;
        let (&number, sharer) = line.sharers.range(last + 1..).find(|(_, sharer)| sharer.enabled)?;
        sharer.active.fetch_add(1, Ordering::Acquire);
        Some((number, sharer.handler.clone(), sharer.active.clone()))
    }

    /// Enables one handler of a line.
    pub fn enable_line(&self, kernel: &Kernel, id: LineId) {
        self.set_line(kernel, id, true);
    }

    /// Disables one handler of a line, which mutes the line. Off interrupt level it waits until the handler is inactive.
    pub fn disable_line(&self, kernel: &Kernel, id: LineId) {
        if let Some(active) = self.set_line(kernel, id, false) {
            wait_inactive(kernel, &active);
        }
    }

    fn set_line(&self, kernel: &Kernel, id: LineId, enabled: bool) -> Option<Arc<AtomicU32>> {
        let _masked = kernel.masked();
        let mut lines = kernel.lock_raw(&self.lines);
        let line = lines.lines.get_mut(&id.gsi)?;
        let sharer = line.sharers.get_mut(&id.number)?;
        sharer.enabled = enabled;
        let active = sharer.active.clone();
        mask_if_muted(kernel, id.gsi, line);
        Some(active)
    }

    /// Takes one handler off a line. Off interrupt level it waits until the handler is inactive.
    pub fn unregister_line(&self, kernel: &Kernel, id: LineId) {
        let removed = {
            let _masked = kernel.masked();
            let mut lines = kernel.lock_raw(&self.lines);
            let Some(line) = lines.lines.get_mut(&id.gsi) else { return };
            let removed = line.sharers.remove(&id.number);
            mask_if_muted(kernel, id.gsi, line);
            removed
        };
        if let Some(sharer) = removed {
            wait_inactive(kernel, &sharer.active);
        }
    }

    /// The vector of a line, once it has handlers.
    pub fn line_vector(&self, kernel: &Kernel, gsi: u32) -> Option<u8> {
        let _masked = kernel.masked();
        kernel.lock_raw(&self.lines).lines.get(&gsi).map(|line| line.vector)
    }
}

fn mask_if_muted(kernel: &Kernel, gsi: u32, line: &Line) {
    let muted = line.sharers.is_empty() || line.sharers.values().any(|sharer| !sharer.enabled);
    kernel.machine().line_mask(gsi, muted);
}

fn wait_inactive(kernel: &Kernel, active: &AtomicU32) {
    if kernel.in_interrupt() {
        return;
    }
    while active.load(Ordering::Acquire) != 0 {
        kernel.relax();
    }
}
