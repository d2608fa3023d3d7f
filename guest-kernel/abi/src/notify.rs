//! Notifications: messages that the kernel sends about ports, with Mach's ids (`MACH_NOTIFY_…`).
//!
//! Each goes to a send-once right that was given with [`Trap::PortRequestNotification`](crate::Trap::PortRequestNotification), but for
//! [`SEND_ONCE`], which goes to a send-once right that died unused.

/// A port that was received from died, or its receive right was moved away: the right comes with it as a descriptor.
pub const PORT_DESTROYED: u32 = 69;
/// No send right is left. The first word of the body: the make-send count.
pub const NO_SENDERS: u32 = 70;
/// A send-once right died without having been used. No body.
pub const SEND_ONCE: u32 = 71;
/// A name is a dead name now, with a user reference more. The first word of the body: the name.
pub const DEAD_NAME: u32 = 72;

/// Whether `id` can be asked for.
pub const fn is_requestable(id: u64) -> bool {
    id == PORT_DESTROYED as u64 || id == NO_SENDERS as u64 || id == DEAD_NAME as u64
}
