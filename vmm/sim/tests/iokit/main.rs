//! IOKit's rules, one test each, in the simulator under many schedules.
//!
//! Tests are named after the rule of the semantics that they check.

mod collections;
mod command_gate;
mod counted;
mod interrupt;
mod life_cycle;
mod matching;
mod mock;
mod order;
mod order_again;
mod planes;
mod properties;
mod registry;
mod timer;
mod user_client;
mod work_loop;
mod world;
