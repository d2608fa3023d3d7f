//! Bringing IOKit up.

use alloc::boxed::Box;

use mach::KernelRef;
use trace::{Event, Kind};

use crate::{
    IoKit,
    bootargs::BootArgs,
    class::IO_PLATFORM_EXPERT,
    driver, family, load,
    service::{Options, Plain, ServiceBuilder, ServiceRef},
};

/// Brings IOKit up on the first thread: registry, termination thread, platform expert, catalogue; then `boot.ready`, and
/// the families begin to publish what they find. Panics if there is no memory for the first threads.
pub fn boot(kernel: &KernelRef, args: &BootArgs) -> IoKit {
    boot_with(kernel, args, |_| {})
}

/// [`boot`] with drivers from outside: `drivers` adds their personalities after those of the built-in drivers, before anything is
/// published. One that is to drive what a built-in driver wants too needs a higher score.
pub fn boot_with(kernel: &KernelRef, args: &BootArgs, drivers: impl FnOnce(&IoKit)) -> IoKit {
    boot_kept(kernel, args, |_| {}, drivers)
}

/// [`boot_with`] for who takes IOKit down ([`IoKit::shutdown`]) whatever becomes of this thread, which a machine that ends may not let come back: `keep` gets it before
/// anything of it has begun.
pub fn boot_kept(
    kernel: &KernelRef,
    args: &BootArgs,
    keep: impl FnOnce(&IoKit),
    drivers: impl FnOnce(&IoKit),
) -> IoKit {
    let kit = IoKit::new(kernel, args);
    keep(&kit);
    start_termination(&kit);
    if !args.log_is_synchronous() && kernel.start_log().is_err() {
        panic!("no memory for the thread that writes the log");
    }
    for word in &args.unknown {
        kernel.log(format_args!("iokit: unknown word on the command line: {word}"));
    }
    driver::load_bundles(&kit);
    drivers(&kit);
    let load = load::start(&kit);
    let platform = publish_platform(&kit);
    kit.watch_for_finish(load.clone());
    if args.push_is_off {
        kernel.set_priority_push(false);
    }
    kernel.mark(Event::new(Kind::Ready));
    if let Some(load) = load {
        load.begin(&kit);
    }
    family::start(&kit, &platform);
    kit
}

/// IOKit without platform, drivers and families: what tests start from.
pub fn start(kernel: &KernelRef, args: &BootArgs) -> IoKit {
    let kit = IoKit::new(kernel, args);
    start_termination(&kit);
    kit
}

fn start_termination(kit: &IoKit) {
    if kit.start_termination_thread().is_err() {
        panic!("no memory for the termination thread");
    }
}

/// The platform expert: the root's client, provider of host bridges.
fn publish_platform(kit: &IoKit) -> ServiceRef {
    let platform = ServiceBuilder::new(kit, Box::new(Plain(&IO_PLATFORM_EXPERT))).named("platform").build();
    if let Some(root) = kit.root()
        && platform.attach(&root)
    {
        platform.register_service(Options::empty());
    }
    platform
}
