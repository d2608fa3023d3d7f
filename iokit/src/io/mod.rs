//! I/O objects: what drivers move data and answers with (UC2, MD1, DC1, CP1, DQ1).
//!
//! ```text
//! client's memory ─► MemoryDescriptor ─prepare─► wired ─► DmaCommand ─► segments ─► the device
//! client ─► CommandPool ─► a command ─► the device ─► back to the pool
//! device ─► driver ─► DataQueue ─► consumer          driver ─► AsyncReference ─► port ─► client
//! ```

mod async_result;
mod command_pool;
mod completion;
mod data_queue;
mod dma_command;
mod memory;
mod shared_queue;

pub use async_result::{ARGUMENTS_MAX, AsyncReference, AsyncResult, NotificationPort, ResultPort};
pub use command_pool::CommandPool;
pub use completion::Completion;
pub use data_queue::{Consumer, Corrupt, ENTRY_MAX, Producer, data_queue};
pub use dma_command::{DmaCommand, DmaSpecification, Segment};
pub use memory::{Direction, MemoryDescriptor, MemoryRange};
pub use shared_queue::SharedProducer;
