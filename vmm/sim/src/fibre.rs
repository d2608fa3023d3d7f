//! Fibres: one for each kernel context, on pooled stacks with guard pages.
//!
//! The only `unsafe` code of the simulator is here: a fibre reaches its hub through two pointers, see [`Links`], and its stack is a part of
//! another one, see [`FibreStack`].
#![allow(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use corosensei::{
    Coroutine, CoroutineResult, Yielder,
    stack::{DefaultStack, Stack, StackPointer},
};
use mach::seam::ThreadId;

use crate::{state::hot, upcalls::Upcalls};

/// Bytes of a fibre's stack. Address space, not memory: pages come when they are touched.
const STACK_BYTES: usize = 256 * 1024;
/// Stacks that an OS thread keeps for its next fibres.
const POOLED_STACKS: usize = 256;
/// Contexts that tables have room for from the start.
pub(crate) const USUAL_CONTEXTS: usize = 16;
/// Most contexts of one machine.
pub(crate) const MAX_CONTEXTS: usize = 4096;

/// What the machine knows about a context besides its fibre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// The thread that it belongs to.
    pub thread: ThreadId,
    /// Made and not destroyed.
    pub live: bool,
    /// The CPU that runs it.
    pub cpu: Option<u8>,
}

/// Why a fibre gives control back to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspend {
    /// Go on with the context that the running CPU has now.
    Next,
    /// Hand the recorded events to the sink, then go on with this fibre.
    Flush,
    /// Hand the recorded events to the sink, let whoever steers the machine look at it, then go on with this fibre.
    Look,
    /// The run has ended.
    End,
    /// While the run ends: this fibre waits for what another one has on its stack.
    Spin,
    /// While the run ends: this fibre cannot be unwound further.
    Never,
}

/// What the hub tells a fibre that it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Go on.
    Go,
    /// The run has ended: drop what is on the stack and return.
    Unwind,
    /// Let a debugger look at this stack, and suspend again.
    Show,
}

/// How a fibre's body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The upcall returned, which it must not.
    Returned,
    /// Unwound because the run ended.
    Unwound,
    /// A panic reached the bottom of the stack.
    Panicked(String),
}

/// The payload that unwinds a fibre when the run has ended.
struct Teardown;

/// How the running fibre reaches its hub and its kernel.
///
/// Both pointers are set by the fibre itself, when it begins and whenever it comes back from a suspension, and cleared when
/// control is back in the hub; so they are never those of another fibre.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    yielder: *const Yielder<Resume, Suspend>,
    kernel: Option<*const dyn Upcalls>,
}

impl Links {
    /// No fibre runs.
    pub const NONE: Self = Self { yielder: std::ptr::null(), kernel: None };

    /// True while kernel code runs on a fibre.
    pub fn on_fibre(self) -> bool {
        !self.yielder.is_null()
    }
}

/// Gives control to the hub; returns when the hub resumes this fibre, or unwinds.
#[inline]
pub(crate) fn suspend(why: Suspend) {
    if yield_to_hub(why) == Resume::Unwind {
        leave();
    }
}

/// [`suspend`] in a place from where the kernel's code itself finds the way out when the run has ended, if it said so: false then.
#[inline]
pub(crate) fn suspend_or_end(why: Suspend) -> bool {
    if yield_to_hub(why) == Resume::Go {
        return true;
    }
    if !hot(|h| h.orderly.get()) {
        leave();
    }
    false
}

/// Unwinds this fibre.
#[cold]
fn leave() -> ! {
    resume_unwind(Box::new(Teardown))
}

/// Gives control to the hub, and says what it answers.
fn yield_to_hub(why: Suspend) -> Resume {
    let links = hot(|h| h.links.get());
    assert!(links.on_fibre(), "kernel code waited outside of a thread of the simulated machine");
    // SAFETY: the pointer is non-null, so it was stored by `Fibre::new`'s closure (or by this function) of the fibre that
    // runs now: the hub clears `links` when a fibre suspends, and each fibre stores its own before it runs on. It points to the
    // `Yielder` that corosensei keeps at the root of this fibre's stack, which lives until that closure returns, and
    // that closure is below us on the stack. `Links` never leaves this OS thread: it is stored in a thread-local cell only.
    let resume = unsafe { (*links.yielder).suspend(why) };
    hot(|h| h.links.set(links));
    if resume == Resume::Go { resume } else { seldom(links, why, resume) }
}

/// A fibre is resumed not to go on: a debugger looks at its stack, as often as it likes, or the run has ended.
#[cold]
#[inline(never)]
fn seldom(links: Links, why: Suspend, mut resume: Resume) -> Resume {
    while resume == Resume::Show {
        crate::debug::show();
        // SAFETY: as in `yield_to_hub`, which calls this on the same stack with the links of the same fibre.
        resume = unsafe { (*links.yielder).suspend(why) };
        hot(|h| h.links.set(links));
    }
    resume
}

/// Calls `f` with the kernel of the running fibre.
///
/// A fibre's stack may be discarded without running destructors, so it must not own a counted reference: that count would
/// never go down.
pub(crate) fn upcall<R>(f: impl FnOnce(&dyn Upcalls) -> R) -> R {
    let kernel = hot(|h| h.links.get()).kernel.expect("an upcall outside of a fibre");
    // SAFETY: the pointer was stored by the fibre that runs now (see `suspend`) and comes from the `&'k dyn Upcalls` given to
    // its `Fibre::new`. That fibre runs only inside `Fibre::resume`, which borrows a `Fibre<'k>`: the kernel is borrowed for as
    // long as this code can run. `f` cannot keep the reference, its lifetime is that of this call.
    f(unsafe { &*kernel })
}

thread_local! {
    static POOL: RefCell<Vec<FibreStack>> = const { RefCell::new(Vec::new()) };
    /// Stacks that this OS thread has made.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Stacks that this OS thread keeps for later fibres.
pub fn pooled_stacks() -> usize {
    POOL.with_borrow(Vec::len)
}

/// A stack whose first bytes are left out, as many as its neighbours do not. All stacks begin at a page's edge, so that what the fibres of a
/// machine use most would be in the same few sets of the cache otherwise, and push each other out at every switch.
struct FibreStack {
    stack: DefaultStack,
    left_out: usize,
}

impl FibreStack {
    /// Bytes by which neighbours differ: five cache lines.
    const STEP: usize = 320;
    /// All are left out within this, a page.
    const PAGE: usize = 4096;

    fn new() -> std::io::Result<Self> {
        let number = MADE.replace(MADE.get().wrapping_add(1));
        let stack = DefaultStack::new(STACK_BYTES + Self::PAGE)?;
        Ok(Self { stack, left_out: number.wrapping_mul(Self::STEP) % Self::PAGE })
    }
}

// SAFETY: the stack is that of `DefaultStack`, with its guard page at the limit, without less than a page at its upper end. What is left out is a
// multiple of 64 bytes, so that the base stays aligned; and `FibreStack::new` asks for that page on top of `STACK_BYTES`, which is more than
// `MIN_STACK_SIZE`.
unsafe impl Stack for FibreStack {
    #[inline]
    fn base(&self) -> StackPointer {
        let base = self.stack.base().get() - self.left_out;
        StackPointer::new(base).expect("a page below the end of a stack is in the stack")
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.stack.limit()
    }
}

fn take_stack() -> std::io::Result<FibreStack> {
    match POOL.with_borrow_mut(Vec::pop) {
        Some(stack) => Ok(stack),
        None => FibreStack::new(),
    }
}

fn give_stack(stack: FibreStack) {
    POOL.with_borrow_mut(|pool| {
        if pool.len() < POOLED_STACKS {
            pool.push(stack);
        }
    });
}

/// One kernel context's stack and registers; borrows its kernel for `'k`.
pub(crate) struct Fibre<'k> {
    coroutine: Option<Coroutine<Resume, Suspend, Finish, FibreStack>>,
    /// It has been told to unwind, or does so by itself after a panic.
    pub unwinding: bool,
    kernel: PhantomData<&'k (dyn Upcalls + 'static)>,
}

impl<'k> Fibre<'k> {
    /// A fibre that will call `start_cpu(cpu)` (a boot context) or `thread_entry()`.
    ///
    /// # Errors
    /// The operating system's, when it has no memory for a stack.
    pub fn new(kernel: &'k (dyn Upcalls + 'static), boot_cpu: Option<usize>) -> std::io::Result<Self> {
        let kernel: *const (dyn Upcalls + 'static) = kernel;
        let stack = take_stack()?;
        let coroutine = Coroutine::with_stack(stack, move |yielder, resume| {
            if resume != Resume::Go {
                return Finish::Unwound;
            }
            hot(|h| h.links.set(Links { yielder, kernel: Some(kernel) }));
            run_body(boot_cpu)
        });
        Ok(Self { coroutine: Some(coroutine), unwinding: false, kernel: PhantomData })
    }

    /// A fibre that tears `kernel` down. It has no kernel to call up to.
    ///
    /// # Errors
    /// As [`Fibre::new`].
    pub fn closing(kernel: Box<dyn Upcalls>) -> std::io::Result<Self> {
        let stack = take_stack()?;
        let coroutine = Coroutine::with_stack(stack, move |yielder, _| {
            hot(|h| h.links.set(Links { yielder, kernel: None }));
            let body = AssertUnwindSafe(move || {
                kernel.shutdown();
                drop(kernel);
            });
            finish_of(catch_unwind(body))
        });
        Ok(Self { coroutine: Some(coroutine), unwinding: true, kernel: PhantomData })
    }

    /// Runs the fibre until it suspends or ends.
    pub fn resume(&mut self, how: Resume) -> CoroutineResult<Suspend, Finish> {
        let coroutine = self.coroutine.as_mut().expect("a fibre that ended is not resumed");
        let result = coroutine.resume(how);
        hot(|h| h.links.set(Links::NONE));
        result
    }

    /// Takes the stack back without unwinding it. What lies on it is forgotten, not dropped: for a context that the kernel
    /// destroyed this is what freeing a stack means on any machine.
    pub fn discard(mut self) {
        self.reclaim();
    }

    fn reclaim(&mut self) {
        let Some(mut coroutine) = self.coroutine.take() else { return };
        if !coroutine.done() {
            // SAFETY: destructors of what is on the stack do not run. No other code relies on them: the guest crates and
            // this one (below the fibre switch) forbid unsafe code, so nothing holds a pointer into that stack, and
            // forgetting a value is safe Rust. The stack is not resumed again: the coroutine is consumed here.
            unsafe { coroutine.force_reset() };
        }
        give_stack(coroutine.into_stack());
    }
}

impl Drop for Fibre<'_> {
    fn drop(&mut self) {
        self.reclaim();
    }
}

fn run_body(boot_cpu: Option<usize>) -> Finish {
    let body = AssertUnwindSafe(|| match boot_cpu {
        Some(cpu) => upcall(|kernel| kernel.start_cpu(cpu)),
        None => upcall(|kernel| kernel.thread_entry()),
    });
    finish_of(catch_unwind(body))
}

fn finish_of(result: std::thread::Result<()>) -> Finish {
    match result {
        Ok(()) => Finish::Returned,
        Err(payload) if payload.is::<Teardown>() => Finish::Unwound,
        Err(payload) => Finish::Panicked(crate::panics::message_of(&*payload)),
    }
}
