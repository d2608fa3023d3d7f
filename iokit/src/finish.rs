//! The end of a run, in order: `Command::Finish` or the `finish=` word.

use alloc::sync::Arc;

use mach::{KernelRef, Policy, ThreadCall, WaitEvent, WaitMode, band};
use trace::{Event, Kind, ring::Command};

use crate::{
    IoKit,
    class::{ClassCount, IO_PLATFORM_EXPERT, IO_REGISTRY_ROOT},
    driver::bundles::KERNEL,
    load::Load,
    orders::Orders,
    service::{Options, ServiceRef},
};

/// How long the end of a run waits for the registry to become quiet, ns of machine time.
const QUIET_LIMIT: u64 = 15_000_000_000;
/// How long it waits for the last references to go, ns.
const SETTLE_LIMIT: u64 = 100_000_000;
/// How often it looks, ns.
const SETTLE_STEP: u64 = 50_000;

impl IoKit {
    /// Installs the command handler, and arms the timer of `finish=`. `load`: whose clients may be asked to close.
    ///
    /// The run ends on a thread of its own, because that blocks for long, which a thread call should not. It is made here:
    /// at the end, the workload may have taken all memory for threads.
    pub(crate) fn watch_for_finish(&self, load: Option<Arc<Load>>) {
        let asked = self.kernel().new_event();
        let kit = self.clone();
        let finish = move |_: &KernelRef| {
            kit.wait_for_finish(asked);
            kit.finish();
        };
        if self.kernel().spawn("finish", band::KERNEL, Policy::Fixed, finish).is_err() {
            panic!("no memory for the thread that ends the run");
        }
        let (kit, orders) = (self.clone(), Arc::new(Orders::new(load)));
        let own = orders.clone();
        let call = ThreadCall::new(self.kernel(), band::THREAD_CALL_HIGH, move |kernel: &KernelRef| {
            own.carry_out(&kit, kernel, asked);
        });
        if call.prepare().is_err() {
            panic!("no memory for the thread-call threads");
        }
        if let Some(at) = self.args().finish {
            call.enter_at(at);
        }
        let killer = self.clone();
        self.kernel().set_command_handler(Arc::new(move |kernel: &KernelRef, command| match command {
            Command::ShowAllStacks => kernel.kprintf(format_args!("{}", kernel.show_all_threads())),
            Command::Kill(slots) => killer.doom(slots),
            order => {
                if orders.note(order) {
                    call.enter();
                }
            }
        }));
    }

    fn wait_for_finish(&self, asked: WaitEvent) {
        while !self.finish_is_asked() {
            self.kernel().assert_wait(asked, WaitMode::Uninterruptible, None);
            // Asked between the first look and the wait: nobody else would end it.
            if self.finish_is_asked() {
                self.kernel().wakeup(asked);
            }
            self.kernel().block();
        }
    }

    /// Stops the workload, terminates everything below the root and waits for it, unloads the bundles, reports what
    /// is left of each class, and powers off.
    pub fn finish(&self) {
        for hook in self.take_finish_hooks() {
            hook(self);
        }
        self.terminate_all();
        self.unload_drivers();
        self.report_classes();
        self.kernel().flush_log();
        self.kernel().mark(Event::new(Kind::Done));
        self.kernel().machine().power_off();
    }

    /// Unloads the bundles, and takes the personalities away that came without one.
    fn unload_drivers(&self) {
        let stay = self.bundles().unload_all(self);
        // The kernel's own has the root for an instance, which stays.
        for bundle in stay.iter().filter(|&&bundle| bundle != KERNEL) {
            self.kernel().log(format_args!("iokit: {bundle} stays loaded"));
        }
        for bundle in self.catalogue().bundles(self).into_iter().filter(|bundle| !stay.contains(bundle)) {
            if self.catalogue().unload(self, bundle).is_err() {
                self.kernel().log(format_args!("iokit: {bundle} still has instances and stays loaded"));
            }
        }
    }

    /// Terminates what hangs off the root, newest first, and waits for each.
    fn terminate_all(&self) {
        let tops: alloc::vec::Vec<ServiceRef> = self.root().map(|r| r.clients()).unwrap_or_default();
        for top in tops.iter().rev() {
            top.terminate(Options::REQUIRED | Options::SYNCHRONOUS);
        }
        if let Some(root) = self.root() {
            let deadline = self.kernel().now().saturating_add(QUIET_LIMIT);
            if root.wait_quiet(Some(deadline)).is_err() {
                self.kernel().log(format_args!("iokit: the registry did not become quiet"));
            }
        }
        drop(tops);
        if self.ports().are_open() {
            self.close_to_tasks();
        }
        self.settle();
    }

    /// Lets other threads drop what they hold of services that are gone: references on their stacks, the termination
    /// thread's list of what to free last. What has not been freed after that time is a leak.
    fn settle(&self) {
        let deadline = self.kernel().now().saturating_add(SETTLE_LIMIT);
        let has_tasks = self.ports().are_open();
        let is_left = || {
            self.class_counts().iter().any(|c| !is_kept(c) && c.instances() != 0)
                || (has_tasks && self.kernel().resources().iter().any(|&(_, count)| count != 0))
        };
        while self.kernel().now() < deadline && is_left() {
            self.kernel().delay(SETTLE_STEP);
        }
    }

    /// `class.count` for every class that ever had an instance, but the root and the platform expert.
    fn report_classes(&self) {
        for count in self.class_counts() {
            if !is_kept(&count) {
                let event = Event::new(Kind::ClassCount).arg(u64::from(count.instances()));
                self.kernel().trace(event.text(count.class().name));
            }
        }
        // What tasks are made of, where there may have been some.
        let resources = self.ports().are_open().then(|| self.kernel().resources());
        for (name, count) in resources.into_iter().flatten() {
            self.kernel().trace(Event::new(Kind::ClassCount).arg(u64::from(count)).text(name));
        }
    }
}

/// Classes whose one instance lives as long as the kernel.
fn is_kept(count: &ClassCount) -> bool {
    [IO_REGISTRY_ROOT.name, IO_PLATFORM_EXPERT.name].contains(&count.class().name)
}
