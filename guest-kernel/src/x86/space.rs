//! User address spaces, and how processors forget what was in them.
//!
//! A space has a top table of its own, which shares all slots but the user's with the kernel ([`paging::share`]). A CPU loads it when it
//! enters user code and not before, and keeps it loaded until it runs user code of another space: kernel code does not care which one is there, since it never
//! reaches user memory through user addresses. That makes forgetting simple, and free of deadlocks:
//!
//! - whoever takes a page away gives the space a new generation; a CPU that enters user code and finds another generation than it loaded loads the
//!   tables again, and with that forgets everything;
//! - only CPUs that run user code of the space at that moment have to be told: an interrupt makes them leave it. They have interrupts enabled and
//!   hold no lock, so they come at once, whatever the asking CPU holds, masked or not. Nobody ever waits for kernel code.
//!
//! A CPU says that it runs user code (an odd epoch) *before* it looks at the generation, and the asker changes the generation *before* it looks at
//! the epoch: one of them sees the other.
//!
//! A space that is destroyed may still be loaded where its last thread ran. Its tables are freed by whoever finds that no CPU has them
//! any more; an interrupt asks those that have them to load the kernel's own.

use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::space::{USER_BASE, USER_END};
use guest_kernel::acpi::MAX_CPUS;
use guest_kernel::memory_map::FRAME;
use guest_kernel::page_tables::{ENTRIES, TableMemory};
use guest_kernel::user_tables::{UserPage, UserTableMemory, UserTables};
use mach::seam::{OutOfMemory, SpaceId, UserAccess};

use super::lock::Masked;
use super::percpu::{self, PerCpu};
use super::{apic, cpu, paging, smp};

/// The vector that makes a CPU leave user code, and tables that nobody needs any more.
pub const LEAVE_VECTOR: u8 = 0xeb;

const TABLE: Layout = match Layout::from_size_align(FRAME as usize, FRAME as usize) {
    Ok(layout) => layout,
    Err(_) => panic!("a frame is a power of two"),
};

/// Tables in the heap, which is mapped one to one.
#[derive(Debug)]
struct Heap;

impl TableMemory for Heap {
    fn new_table(&mut self) -> Option<u64> {
        // SAFETY: the layout's size is not 0.
        let table = unsafe { alloc_zeroed(TABLE) };
        (!table.is_null()).then_some(table as u64)
    }

    fn entry(&self, table: u64, index: usize) -> u64 {
        assert!(index < ENTRIES);
        // SAFETY: `table` comes from `new_table`, or, below the kernel's slots, is never asked for; entries are read whole, as the processor does.
        unsafe { (table as *const u64).add(index).read_volatile() }
    }

    fn set_entry(&mut self, table: u64, index: usize, value: u64) {
        assert!(index < ENTRIES);
        // SAFETY: as for `entry`; the lock around the space's tables makes this the only writer of the user's slot and what is below, and an
        // aligned store is one piece.
        unsafe { (table as *mut u64).add(index).write_volatile(value) }
    }
}

impl UserTableMemory for Heap {
    fn free_table(&mut self, table: u64) {
        // SAFETY: `table` comes from `new_table`, with this layout, and is given back once.
        unsafe { dealloc(table as *mut u8, TABLE) }
    }
}

/// An address space.
#[derive(Debug)]
pub struct Space {
    root: u64,
    /// Another number whenever pages were taken away; no two spaces ever have the same.
    generation: AtomicU64,
    tables: Masked<UserTables<Heap>>,
}

/// The last generation that was given to a space.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

/// Destroyed spaces that some CPU has loaded: not more than there are CPUs.
static DEAD: Masked<[Option<Box<Space>>; MAX_CPUS]> = Masked::new([const { None }; MAX_CPUS]);

/// An empty space.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create() -> Result<SpaceId, OutOfMemory> {
    let tables = UserTables::new(Heap, USER_BASE).map_err(|_| OutOfMemory)?;
    let root = tables.root();
    if paging::share(root).is_err() {
        tables.free();
        return Err(OutOfMemory);
    }
    let space = Space { root, generation: AtomicU64::new(new_generation()), tables: Masked::new(tables) };
    Ok(SpaceId(Box::into_raw(Box::new(space)) as u64))
}

/// Frees a space in which no thread runs or will run.
pub fn destroy(id: SpaceId) {
    // SAFETY: the id comes from `create`, and the kernel destroys it once.
    let space = unsafe { Box::from_raw(id.0 as *mut Space) };
    let root = space.root;
    leave(|loaded| loaded == root);
    let mut dead = DEAD.lock();
    if !is_loaded(root) {
        drop(dead);
        return space.free();
    }
    // A CPU has one space loaded, and one of them has this: there is a place, or one for a space that nobody has loaded any more.
    let place = dead.iter_mut().find(|place| place.as_ref().is_none_or(|space| !is_loaded(space.root)));
    let former = place.expect("as many places as CPUs").replace(space);
    drop(dead);
    if let Some(former) = former {
        former.free();
    }
    for (number, block) in cpus() {
        if block.root.load(Ordering::SeqCst) == root {
            apic::send(number, LEAVE_VECTOR);
        }
    }
}

/// The space behind an id.
pub fn get(id: &SpaceId) -> &Space {
    // SAFETY: the id comes from `create`, and the kernel uses none that it has destroyed: the borrow of the id is as long as the call that it
    // was given to.
    unsafe { &*(id.0 as *const Space) }
}

impl Space {
    /// Enters or replaces a page.
    ///
    /// # Errors
    /// [`OutOfMemory`]: nothing has changed.
    pub fn enter(&self, address: u64, frame: u64, access: UserAccess) -> Result<(), OutOfMemory> {
        assert!((USER_BASE..USER_END).contains(&address), "{address:#x} is no user address");
        if access.is_empty() {
            self.remove(address, 1);
            return Ok(());
        }
        let (write, execute) = (access.contains(UserAccess::WRITE), access.contains(UserAccess::EXECUTE));
        let replaced = self.tables.lock().enter(address, UserPage { frame, write, execute });
        if replaced.map_err(|_| OutOfMemory)? {
            self.forget();
        }
        Ok(())
    }

    /// Removes pages; no user code reaches them any more when it returns.
    pub fn remove(&self, address: u64, pages: u64) {
        let removed = self.tables.lock().remove(address, pages);
        if removed != 0 {
            self.forget();
        }
    }

    /// Reads two bytes of user code, if they are in a page.
    pub fn code(&self, address: u64) -> Option<[u8; 2]> {
        let tables = self.tables.lock();
        let byte = |address: u64| {
            let page = tables.page(address)?;
            // SAFETY: kernel memory, mapped one to one, that stays what it is while the lock keeps the page in its space; user code may
            // write to it at any time, so one byte at a time, and volatile.
            Some(unsafe { ((page.frame + address % FRAME) as *const u8).read_volatile() })
        };
        Some([byte(address)?, byte(address.checked_add(1)?)?])
    }

    /// Loads the space on the calling CPU, unless it is loaded as it is now. Masked; the epoch of `block` is odd.
    pub fn load(&self, block: &PerCpu) {
        let generation = self.generation.load(Ordering::SeqCst);
        let loaded = (block.root.load(Ordering::Relaxed), block.generation.load(Ordering::Relaxed));
        if loaded != (self.root, generation) {
            block.root.store(self.root, Ordering::SeqCst);
            block.generation.store(generation, Ordering::Relaxed);
            // SAFETY: the kernel's slots of this table are the kernel's own.
            unsafe { cpu::set_page_table(self.root) };
        }
    }

    /// Makes every CPU forget what it remembers of the space, at the latest before it runs its user code again.
    fn forget(&self) {
        self.generation.store(new_generation(), Ordering::SeqCst);
        for (number, block) in cpus() {
            let epoch = block.user_epoch.load(Ordering::SeqCst);
            if epoch % 2 != 0 && block.root.load(Ordering::SeqCst) == self.root {
                apic::send(number, LEAVE_VECTOR);
                while block.user_epoch.load(Ordering::SeqCst) == epoch {
                    core::hint::spin_loop();
                }
            }
        }
    }

    fn free(self) {
        paging::unshare(self.root);
        self.tables.into_inner().free();
    }
}

fn new_generation() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::SeqCst) + 1
}

/// All CPUs. The calling one is among them: it runs no user code now, whichever it is.
fn cpus() -> impl Iterator<Item = (usize, &'static PerCpu)> {
    (0..smp::online()).map(|number| (number, percpu::block(number)))
}

fn is_loaded(root: u64) -> bool {
    cpus().any(|(_, block)| block.root.load(Ordering::SeqCst) == root)
}

/// Loads the kernel's own tables on the calling CPU if it has a user's loaded that `matches`.
fn leave(matches: impl FnOnce(u64) -> bool) {
    let enabled = cpu::mask();
    let block = percpu::block(percpu::number());
    let loaded = block.root.load(Ordering::Relaxed);
    if loaded != 0
        && matches(loaded)
        && let Some(root) = paging::root()
    {
        // SAFETY: the kernel's own tables map all that it uses.
        unsafe { cpu::set_page_table(root) };
        block.root.store(0, Ordering::SeqCst);
    }
    if enabled {
        cpu::unmask();
    }
}

/// The interrupt [`LEAVE_VECTOR`]: who ran user code has left it already.
pub fn leave_dead() {
    let is_dead = |root| DEAD.lock().iter().flatten().any(|space| space.root == root);
    leave(is_dead);
    reap();
}

/// Frees the dead spaces that no CPU has loaded any more.
fn reap() {
    loop {
        let mut dead = DEAD.lock();
        let free = dead.iter_mut().find(|place| place.as_ref().is_some_and(|space| !is_loaded(space.root)));
        let Some(space) = free.and_then(Option::take) else { return };
        drop(dead);
        space.free();
    }
}
