//! IOKit's rules, one test each, in the simulator under many schedules.
//!
//! Tests are named after the rule of the semantics that they check.

mod async_results;
mod bundles;
mod collections;
mod command_gate;
mod command_pool;
mod counted;
mod data_queue;
mod gate;
mod gate_eras;
mod interrupt;
mod life_cycle;
mod lines;
mod lock_order;
mod matching;
mod matching_steps;
mod memory;
mod mock;
mod order;
mod order_again;
mod order_more;
mod overstay;
mod passes;
mod phases;
mod planes;
mod ports;
mod properties;
mod registry;
mod sources;
mod state;
mod timer;
mod timer_eras;
mod user_client;
mod work_loop;
mod world;

#[allow(dead_code, reason = "each crate of tests uses what it needs")]
#[path = "../user/mod.rs"]
mod tasks;
