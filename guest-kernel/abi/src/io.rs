//! Messages that the kernel's I/O ports understand.
//!
//! Each request is a message to a port of the kernel with a reply right; the answer comes to that: id of the request +
//! [`REPLY`], first the descriptors, then a body whose first word is the result: 0 or an IOReturn (`0xe000…`).
//! Offsets are those in the body, which begins after header and descriptors. A request that is not understood is answered with
//! BadArgument (`0xe00002c2`). A message without a reply right is served all the same.
//!
//! | port | message | request | answer |
//! |---|---|---|---|
//! | host | [`GET_MATCHING_SERVICE`] | index (u32), class name (up to [`NAME_MAX`] bytes, to the end) | result; port: the service |
//! | service | [`SERVICE_OPEN`] | kind (u32) | result; port: the connection |
//! | service | [`SERVICE_INFO`] | nothing | result, slot (u32), registry id (u32), class name (to the end) |
//! | connection | [`CONNECT_METHOD`] | see [`method`] | see [`method`] |
//! | connection | [`CONNECT_CLOSE`] | nothing | result |
//! | connection | [`CONNECT_MAP_MEMORY`] | kind (u32) | result, 0 (u32), address (u64), bytes (u64) |
//! | connection | [`CONNECT_SET_NOTIFICATION_PORT`] | port: a send right; kind (u32) | result |
//! | connection | [`CONNECT_DATA_WRONG`] | nothing | result |

/// Host port: the service of a class, the index-th of those that are registered and active; NotFound if there is none.
pub const GET_MATCHING_SERVICE: u32 = 2800;
/// Service port: makes a connection.
pub const SERVICE_OPEN: u32 = 2810;
/// Service port: what the service is.
pub const SERVICE_INFO: u32 = 2811;
/// Connection: calls an external method.
pub const CONNECT_METHOD: u32 = 2820;
/// Connection: closes it.
pub const CONNECT_CLOSE: u32 = 2821;
/// Connection: maps memory that driver and task share, such as a data queue.
pub const CONNECT_MAP_MEMORY: u32 = 2822;
/// Connection: where the driver tells of what happens, such as data in a queue that was empty.
pub const CONNECT_SET_NOTIFICATION_PORT: u32 = 2823;
/// Connection: what the calling thread got with its last method, or found in memory that the driver shares, was not what it should be. For programs that test;
/// Unsupported (`0xe00002c7`) if the task is not part of a workload, because then nobody keeps account.
pub const CONNECT_DATA_WRONG: u32 = 2824;
/// An answer's id is the request's and this.
pub const REPLY: u32 = 100;
/// A message about an asynchronous result (UC2): reference (u64), result (u32), number of arguments (u32), arguments (u64 each).
pub const ASYNC_RESULT: u32 = 2830;
/// A message about data in a queue that was empty. No body.
pub const DATA_AVAILABLE: u32 = 2831;

/// Bytes of a class name at the most.
pub const NAME_MAX: usize = 64;

/// The body of [`CONNECT_METHOD`] and of its answer.
///
/// Request: selector (u32), scalars in (u32), bytes in (u32), scalars out (u32), bytes out (u32), 0 (u32), reference (u64), then the scalars
/// (u64 each), then the bytes. An asynchronous call has one port descriptor, the send or send-once right that its result goes to.
///
/// Answer: result (u32), scalars (u32), bytes (u32), 0 (u32), the scalars (u64 each), the bytes. After an error there are none.
pub mod method {
    /// Where the selector is.
    pub const SELECTOR: usize = 0;
    /// Where the number of scalars in is.
    pub const SCALARS_IN: usize = 4;
    /// Where the number of bytes in is.
    pub const BYTES_IN: usize = 8;
    /// Where the number of scalars out is.
    pub const SCALARS_OUT: usize = 12;
    /// Where the number of bytes out is.
    pub const BYTES_OUT: usize = 16;
    /// Where the reference of an asynchronous call is.
    pub const REFERENCE: usize = 24;
    /// Where a request's scalars begin.
    pub const REQUEST: usize = 32;
    /// Where an answer's number of scalars is.
    pub const ANSWER_SCALARS: usize = 4;
    /// Where an answer's number of bytes is.
    pub const ANSWER_BYTES: usize = 8;
    /// Where an answer's scalars begin.
    pub const ANSWER: usize = 16;
    /// Scalars each way at the most.
    pub const SCALARS_MAX: usize = 16;
    /// Bytes each way at the most.
    pub const BYTES_MAX: usize = 8 << 10;
}

/// A data queue in memory that driver and task share ([`CONNECT_MAP_MEMORY`]).
///
/// A ring of 64-bit words. Word [`HEAD`](queue::HEAD) counts the words that the reader has read since the beginning, word
/// [`TAIL`](queue::TAIL) those that the driver has written, word [`WORDS`](queue::WORDS) is the length of the ring, which begins at word
/// [`RING`](queue::RING). An entry is a word with its length in bytes, then the bytes in words, the last one padded with zeros; it goes round the end
/// of the ring. The reader moves the head after it has read; then it looks at the tail once more before it waits for
/// [`DATA_AVAILABLE`]. The driver believes the head no more than it must: a head that cannot be is a full queue.
pub mod queue {
    /// Words read; the reader's.
    pub const HEAD: u64 = 0;
    /// Words written; the driver's.
    pub const TAIL: u64 = 1;
    /// Length of the ring in words.
    pub const WORDS: u64 = 2;
    /// First word of the ring.
    pub const RING: u64 = 8;
}
