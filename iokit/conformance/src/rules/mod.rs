//! The tests, a file a subject. Each is named after the rule that it holds.

pub mod async_results;
pub mod bundles;
pub mod collections;
pub mod command_gate;
pub mod command_pool;
pub mod counted;
pub mod data_queue;
pub mod exceptions;
pub mod fail_safe;
pub mod gate;
pub mod gate_eras;
pub mod hostile;
pub mod interest;
pub mod interrupt;
pub mod inversion;
pub mod kernel_interrupts;
pub mod kernel_locks;
pub mod life_cycle;
pub mod lines;
pub mod lock_order;
pub mod log;
pub mod matching;
pub mod matching_steps;
pub mod memory;
pub mod messages;
pub mod order;
pub mod order_again;
pub mod order_more;
pub mod overstay;
pub mod overstay_time;
pub mod passes;
pub mod phases;
pub mod planes;
pub mod plans;
pub mod ports;
pub mod preemption;
pub mod priority;
pub mod properties;
pub mod push;
pub mod readers;
pub mod real_time;
pub mod registry;
pub mod report;
pub mod sources;
pub mod state;
pub mod task_clients;
pub mod tasks;
pub mod thread_calls;
pub mod timer;
pub mod timer_eras;
pub mod timeshare;
pub mod user_client;
pub mod vm;
pub mod work_loop;

use crate::table::Test;

/// The tables of all files.
pub(crate) const ALL: &[&[Test]] = &[
    work_loop::TESTS,
    passes::TESTS,
    gate::TESTS,
    overstay::TESTS,
    overstay_time::TESTS,
    sources::TESTS,
    interrupt::TESTS,
    lines::TESTS,
    timer::TESTS,
    timer_eras::TESTS,
    command_gate::TESTS,
    gate_eras::TESTS,
    phases::TESTS,
    order::TESTS,
    order_again::TESTS,
    order_more::TESTS,
    matching::TESTS,
    matching_steps::TESTS,
    life_cycle::TESTS,
    interest::TESTS,
    state::TESTS,
    user_client::TESTS,
    async_results::TESTS,
    registry::TESTS,
    planes::TESTS,
    properties::TESTS,
    collections::TESTS,
    counted::TESTS,
    bundles::TESTS,
    lock_order::TESTS,
    memory::TESTS,
    command_pool::TESTS,
    data_queue::TESTS,
    kernel_interrupts::TESTS,
    kernel_locks::TESTS,
    priority::TESTS,
    timeshare::TESTS,
    readers::TESTS,
    real_time::TESTS,
    fail_safe::TESTS,
    push::TESTS,
    inversion::TESTS,
    preemption::TESTS,
    thread_calls::TESTS,
    report::TESTS,
    log::TESTS,
    ports::TESTS,
    messages::TESTS,
    vm::TESTS,
    tasks::TESTS,
    exceptions::TESTS,
    task_clients::TESTS,
    hostile::TESTS,
    plans::TESTS,
];
