//! IOKit's ports: how user tasks reach services and user clients ([`abi::io`] has the messages).
//!
//! ```text
//! host port ─ find a service ─► service port ─ open ─► connection port ─ external methods ─► user client
//! ```
//!
//! Each port is a [`KernelObject`](mach::ipc::KernelObject), served on the sender's thread. There is one port for each service that was looked up, and one for each
//! connection. What ends them:
//!
//! - phase 1 of a service's termination destroys its port: rights to it are dead names, and who asked for it is told;
//! - the last send right to a connection is gone, by itself or because its task died: `client_died`, once, also while calls are in flight;
//! - a task closes a connection: `client_close`, once, and the port dies.
//!
//! Nothing of this is there, and nothing costs anything, before [`IoKit::open_to_tasks`](crate::IoKit::open_to_tasks).
//!
//! Lock order: the table of ports here, then mach's. Ports that go are dropped with none of them held.

mod connection;
mod host;
mod method;
mod result;
mod service;
mod table;

pub(crate) use table::Ports;
pub use table::Watcher;
