//! The data-acquisition reader (`user::programs::daq_reader`) and a driver that gives it samples by the test's choice.

use crate::prelude::*;
use abi::start::{info, program};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use iokit::{
    Class, Driver, IOResult, IoKit, Options, ServiceRef,
    class::{IO_SERVICE, IO_USER_CLIENT},
    io::SharedProducer,
    ports::Watcher,
    user_client::{Arguments, UserClient},
};
use mach::{
    ipc::SendRight,
    task::{Task, TaskPlan},
    vm::SharedMemory,
};

use super::task_clients::{end, everywhere};
use crate::mock::bus_and_nub;

/// The class that the reader looks for.
static DAQ: Class = Class::new("DaqDriver", &IO_SERVICE);
/// The class of the queue's user client.
static SAMPLES: Class = Class::new("Samples", &IO_USER_CLIENT);
/// What a sample's value is its sequence number times, and what each step of its check word multiplies with (docs/devices.md).
const MULTIPLIER: u32 = 0x9e37_79b1;
/// The check word before the first word.
const CHECK_SEED: u32 = 0x5a5a_a5a5;

/// An entry as the driver writes it: a sample without losses.
fn entry(sequence: u32) -> Vec<u8> {
    let words = [sequence, sequence.wrapping_mul(MULTIPLIER), 0];
    let step = |sum: u32, word: u32| (sum ^ word).rotate_left(5).wrapping_mul(MULTIPLIER);
    let check = words.into_iter().fold(CHECK_SEED, step);
    words.into_iter().chain([check, 0]).flat_map(u32::to_le_bytes).collect()
}

/// A user client with a queue that is full of something from the beginning.
struct Samples(SharedMemory);

impl Driver for Samples {
    fn class(&self) -> &'static Class {
        &SAMPLES
    }
    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for Samples {
    fn external_method(&self, _: &ServiceRef, _: u32, _: &mut Arguments<'_>) -> IOResult {
        Ok(())
    }
    fn client_memory(&self, _: &ServiceRef, _: u32) -> IOResult<SharedMemory> {
        Ok(self.0.clone())
    }
    fn register_notification_port(&self, _: &ServiceRef, _: u32, _: Arc<SendRight>) -> IOResult {
        Ok(())
    }
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        me.terminate(Options::empty());
        Ok(())
    }
}

/// A driver whose user clients find these entries in their queue.
struct Source(Vec<Vec<u8>>);

impl Driver for Source {
    fn class(&self) -> &'static Class {
        &DAQ
    }
    fn new_user_client(&self, me: &ServiceRef, _: u32) -> IOResult<ServiceRef> {
        let mut queue = SharedProducer::new(me.kernel(), 16, 20, || {})?;
        self.0.iter().for_each(|entry| assert!(queue.enqueue(entry), "there is room"));
        me.make_user_client(Box::new(Samples(queue.memory().clone())))
    }
}

/// Counts what a task says was wrong.
#[derive(Default)]
struct Wrong(AtomicU32);

impl Watcher for Wrong {
    fn call_begins(&self, _: u32) -> u64 {
        0
    }
    fn call_ended(&self, _: u32, _: u64, _: &IOResult, _: bool) {}
    fn data_was_wrong(&self, _: u32) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The reader, until it has had so many samples that were right.
fn reader(kit: &IoKit, rounds: u64, watcher: Option<Arc<Wrong>>) -> Arc<Task> {
    let kernel = kit.kernel();
    let mut plan = TaskPlan::new("reader", kernel.user_program().expect("the machine has user programs"));
    plan.info[info::PROGRAM as usize] = program::DAQ_READER;
    plan.info[info::ROUNDS as usize] = rounds;
    let watch = |task: &Arc<Task>| kit.watch_task(task.id(), watcher.map(|w| w as Arc<dyn Watcher>));
    kernel.create_task_with(plan, watch).expect("memory for a task")
}

/// The reader's exit code and how often it said that data were wrong, with these entries, until it has had `rounds` that are right.
fn read(kit: &IoKit, entries: Vec<Vec<u8>>, rounds: u64, is_watched: bool) -> (u64, u32) {
    kit.open_to_tasks();
    let (_bus, nub) = bus_and_nub(kit);
    let driver = iokit::ServiceBuilder::under(&nub, Box::new(Source(entries))).named("D").build();
    assert!(driver.attach(&nub) && driver.driver().start(&driver, &nub));
    driver.register_service(Options::SYNCHRONOUS);
    let wrong = Arc::new(Wrong::default());
    let task = reader(kit, rounds, is_watched.then(|| wrong.clone()));
    let code = task.wait_gone(kit.kernel());
    kit.watch_task(task.id(), None);
    drop(driver);
    end(kit, &nub, vec![task]);
    (code, wrong.0.load(Ordering::SeqCst))
}

fn up6_a_reader_says_of_each_wrong_sample_that_it_is(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let mut spoilt = entry(8);
        spoilt[4] ^= 1;
        // One twice, one not at all, and one with a wrong word.
        let entries = vec![entry(5), entry(6), entry(6), entry(7), spoilt, entry(10), entry(11)];
        assert_eq!(read(kit, entries, 4, true), (abi::start::EXIT_CORRUPT, 3));
    });
}

fn up6_a_reader_of_right_samples_has_nothing_to_say(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        assert_eq!(read(kit, (0..5).map(entry).collect(), 5, true), (0, 0));
    });
}

/// Who is no part of a workload is told that nobody keeps account, and goes on.
fn up6_where_nobody_keeps_account_a_reader_goes_on(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        assert_eq!(read(kit, vec![entry(5), entry(7), entry(8)], 2, false), (abi::start::EXIT_CORRUPT, 0));
    });
}

table! {
    up6_a_reader_says_of_each_wrong_sample_that_it_is,
    up6_a_reader_of_right_samples_has_nothing_to_say,
    up6_where_nobody_keeps_account_a_reader_goes_on,
}
