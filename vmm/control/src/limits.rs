//! Every bound of the control socket, in one place.

/// Bytes of one message. The longest useful one carries a line of a plan, which has 4 KiB at the most.
pub const MESSAGE_BYTES: usize = 64 << 10;
/// Bytes that are read from a client at once.
pub const READ_BYTES: usize = 16 << 10;
/// Bytes that wait for a client; one that reads less is dropped. The longest answer, the threads of a large machine, has room in it.
pub const UNREAD_BYTES: usize = 8 << 20;
/// Clients at a time; a further one is let go at once.
pub const CLIENTS: usize = 256;
/// Orders that wait for the machine, beyond which a further one is refused; and news that wait for the server's thread, beyond which events (never
/// answers) are dropped.
pub const WAITING: usize = 4096;
/// How long the server goes on after the machine's end for clients that have not read all, milliseconds.
pub const FAREWELL_MS: u64 = 1_000;
