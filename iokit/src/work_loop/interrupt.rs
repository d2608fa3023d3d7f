//! Interrupt event sources, with and without filter (IE1–IE4).

use alloc::{boxed::Box, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use trace::Kind;

use super::{EventSource, SourceBase, overstay::Watched};
use crate::{
    interrupts::{InterruptHandler, InterruptProvider, InterruptType},
    ioreturn::{IOResult, IOReturn},
    service::ServiceRef,
};

/// The action: owner, number of interrupts since the last call.
type Action = Box<dyn Fn(&ServiceRef, i32) + Send + Sync>;
/// The filter: primary interrupt level, no gate, possibly while the action runs. True = mine.
type Filter = Box<dyn Fn(&ServiceRef, &Signal<'_>) -> bool + Send + Sync>;

/// An interrupt event source. Without a provider it is a software source, driven by [`InterruptSource::interrupt_occurred`].
///
/// The hardware stays disabled until [`InterruptSource::enable`] (IE1).
pub struct InterruptSource {
    shared: Arc<Shared>,
}

/// What the handler at the controller shares with the source.
struct Shared {
    base: SourceBase,
    line: Option<Line>,
    level: bool,
    explicitly_disabled: AtomicBool,
    registered: AtomicBool,
    producer: AtomicU32,
    consumer: AtomicU32,
    action: Action,
    filter: Option<Filter>,
}

struct Line {
    provider: Arc<dyn InterruptProvider>,
    index: usize,
}

/// Given to a filter: queues the action whatever the filter answers.
pub struct Signal<'a>(&'a Shared);

impl Signal<'_> {
    /// `signalInterrupt`.
    pub fn signal_interrupt(&self) {
        self.0.produce();
    }
}

impl InterruptSource {
    /// A source without filter. BadArgument for a negative index (IE1), else what the provider says.
    pub fn new(
        owner: &ServiceRef,
        provider: Option<&ServiceRef>,
        index: i32,
        action: impl Fn(&ServiceRef, i32) + Send + Sync + 'static,
    ) -> IOResult<Arc<Self>> {
        Self::make(owner, provider, index, Box::new(action), None)
    }

    /// A source with a filter.
    pub fn with_filter(
        owner: &ServiceRef,
        provider: &ServiceRef,
        index: i32,
        action: impl Fn(&ServiceRef, i32) + Send + Sync + 'static,
        filter: impl Fn(&ServiceRef, &Signal<'_>) -> bool + Send + Sync + 'static,
    ) -> IOResult<Arc<Self>> {
        Self::make(owner, Some(provider), index, Box::new(action), Some(Box::new(filter)))
    }

    fn make(
        owner: &ServiceRef,
        provider: Option<&ServiceRef>,
        index: i32,
        action: Action,
        filter: Option<Filter>,
    ) -> IOResult<Arc<Self>> {
        let index = usize::try_from(index).map_err(|_| IOReturn::BadArgument)?;
        let (line, level) = match provider {
            None => (None, false),
            Some(nub) => {
                let provider = nub.interrupts().ok_or(IOReturn::NoResources)?;
                let level = provider.interrupt_type(index)? == InterruptType::Level;
                (Some(Line { provider, index }), level)
            }
        };
        let source = Arc::new(Self {
            shared: Arc::new(Shared {
                base: SourceBase::new(owner),
                line,
                level,
                explicitly_disabled: AtomicBool::new(true),
                registered: AtomicBool::new(false),
                producer: AtomicU32::new(0),
                consumer: AtomicU32::new(0),
                action,
                filter,
            }),
        });
        source.shared.register()?;
        Ok(source)
    }

    /// Enables the interrupt at the controller and sets the flag.
    pub fn enable(&self) {
        self.shared.base.set_enabled(true);
        self.shared.explicitly_disabled.store(false, Ordering::Release);
        if let Some(line) = self.shared.registered_line() {
            let _ = line.provider.enable(line.index);
        }
    }

    /// Disables the interrupt at the controller, waits for its handler, clears the flag. What is counted already is still
    /// delivered (IE3).
    pub fn disable(&self) {
        self.shared.explicitly_disabled.store(true, Ordering::Release);
        if let Some(line) = self.shared.registered_line() {
            let _ = line.provider.disable(line.index);
        }
        self.shared.base.set_enabled(false);
    }

    /// The flag: true from the beginning, although the hardware is still disabled (IE1).
    pub fn is_enabled(&self) -> bool {
        self.shared.base.is_enabled()
    }

    /// What the controller calls; software sources call it themselves. Legal at primary interrupt level.
    pub fn interrupt_occurred(&self) {
        self.shared.interrupt();
    }
}

impl Shared {
    /// The line, while the handler is registered.
    fn registered_line(&self) -> Option<&Line> {
        self.line.as_ref().filter(|_| self.registered.load(Ordering::Acquire))
    }

    fn register(self: &Arc<Self>) -> IOResult {
        let Some(line) = &self.line else { return Ok(()) };
        if self.registered.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let shared = self.clone();
        let handler: InterruptHandler = Arc::new(move |_| shared.interrupt());
        let registered = line.provider.register(line.index, handler);
        if registered.is_err() {
            self.registered.store(false, Ordering::Release);
        }
        registered
    }

    fn unregister(&self) {
        if let Some(line) = &self.line
            && self.registered.swap(false, Ordering::AcqRel)
        {
            let _ = line.provider.unregister(line.index);
        }
    }

    /// IE2, with the filter before it if there is one.
    fn interrupt(&self) {
        let mine = match &self.filter {
            None => true,
            Some(filter) => match self.base.owner() {
                Some(owner) => {
                    let begun = self.base.begin_filter();
                    let mine = filter(&owner, &Signal(self));
                    self.base.end_filter(begun, self.base.trace(Kind::Filter, u64::from(mine)));
                    mine
                }
                None => {
                    self.base.violation("filter of a dead owner");
                    false
                }
            },
        };
        if !mine {
            return;
        }
        if self.level
            && let Some(line) = self.registered_line()
        {
            let _ = line.provider.disable(line.index);
        }
        self.produce();
    }

    fn produce(&self) {
        self.producer.fetch_add(1, Ordering::AcqRel);
        if let Some(core) = self.base.core() {
            core.signal_work_available();
        }
    }

    /// IE3. The enabled flag is not tested.
    fn check(&self) -> bool {
        let producer = self.producer.load(Ordering::Acquire);
        let count = producer.wrapping_sub(self.consumer.load(Ordering::Relaxed)).cast_signed();
        if count == 0 {
            return false;
        }
        match self.base.owner() {
            Some(owner) => {
                let core = self.base.core_ref();
                let start = || self.base.trace(Kind::ActionStart, u64::from(count.unsigned_abs()));
                let begun = self.base.begin(core.as_deref(), start);
                (self.action)(&owner, count);
                let end = || self.base.trace(Kind::ActionEnd, 0);
                self.base.end(begun, core.as_deref(), Watched::Action, end);
            }
            None => self.base.violation("action of a dead owner"),
        }
        self.consumer.store(producer, Ordering::Relaxed);
        if self.level
            && !self.explicitly_disabled.load(Ordering::Acquire)
            && let Some(line) = self.registered_line()
        {
            let _ = line.provider.enable(line.index);
        }
        self.producer.load(Ordering::Acquire) != producer
    }
}

impl EventSource for InterruptSource {
    fn base(&self) -> &SourceBase {
        &self.shared.base
    }

    fn is_active(&self) -> bool {
        true
    }

    fn is_interrupt(&self) -> bool {
        true
    }

    fn check_for_work(&self) -> bool {
        self.shared.check()
    }

    /// IE4: registers again after a removal.
    fn attached(&self) {
        if self.shared.register().is_err() {
            self.shared.base.violation("IE4");
        }
    }

    /// IE4.
    fn detaching(&self) {
        self.shared.unregister();
    }

    fn enable(&self) {
        InterruptSource::enable(self);
    }

    fn disable(&self) {
        InterruptSource::disable(self);
    }
}

impl Drop for InterruptSource {
    fn drop(&mut self) {
        self.shared.unregister();
    }
}
