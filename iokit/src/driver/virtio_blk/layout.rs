//! Where everything is in the DMA memory of the driver: the split queue (virtio 1.2, 2.7) and the requests' buffers.

use super::transport::QueueAddresses;

/// Descriptors of one request: header, data, status.
pub const CHAIN: u16 = 3;
/// Bytes of data of one request at the most.
pub const DATA_BYTES: u32 = 4096;
/// Requests in flight at the most.
const REQUESTS_MAX: u16 = 16;
/// Entries of the queue at the most: room for the chains of all requests.
const QUEUE_MAX: u16 = 64;
/// Bytes before the data of a request's buffer: header (16), status (1), rounded up.
const HEAD_BYTES: u64 = 64;
/// Offset of the status byte in a request's buffer.
const STATUS_AT: u64 = 16;

/// Offsets in the DMA memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Entries of the queue, a power of two.
    pub size: u16,
    /// Requests in flight at the most.
    pub requests: u16,
    driver: u64,
    device: u64,
    buffers: u64,
}

impl Layout {
    /// For a device whose queue has at most `limit` entries, a power of two. `None` if not even one request fits.
    pub fn new(limit: u16) -> Option<Self> {
        let size = limit.min(QUEUE_MAX);
        let requests = (size / CHAIN).min(REQUESTS_MAX);
        let driver = 16 * u64::from(size);
        // Flags, index, ring, used_event; then flags, index, ring of 8 bytes, avail_event.
        let device = (driver + 6 + 2 * u64::from(size)).next_multiple_of(4);
        let buffers = (device + 6 + 8 * u64::from(size)).next_multiple_of(64);
        (requests > 0).then_some(Self { size, requests, driver, device, buffers })
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.buffers + u64::from(self.requests) * (HEAD_BYTES + u64::from(DATA_BYTES))
    }

    /// The queue's areas, if the memory is at `base`.
    pub fn addresses(&self, base: u64) -> QueueAddresses {
        QueueAddresses { descriptors: base, driver: base + self.driver, device: base + self.device }
    }

    /// Offset of descriptor `index`.
    pub fn descriptor(&self, index: u16) -> u64 {
        16 * u64::from(index)
    }

    /// Offset of the available ring's index.
    pub fn available_index(&self) -> u64 {
        self.driver + 2
    }

    /// Offset of the available ring's entry for `index`.
    pub fn available_entry(&self, index: u16) -> u64 {
        self.driver + 4 + 2 * u64::from(index % self.size)
    }

    /// Offset of the used ring's index.
    pub fn used_index(&self) -> u64 {
        self.device + 2
    }

    /// Offset of the used ring's entry for `index`.
    pub fn used_entry(&self, index: u16) -> u64 {
        self.device + 4 + 8 * u64::from(index % self.size)
    }

    /// Offset of a request's header.
    pub fn header(&self, request: u16) -> u64 {
        self.buffers + u64::from(request) * (HEAD_BYTES + u64::from(DATA_BYTES))
    }

    /// Offset of a request's status byte.
    pub fn status(&self, request: u16) -> u64 {
        self.header(request) + STATUS_AT
    }

    /// Offset of a request's data.
    pub fn data(&self, request: u16) -> u64 {
        self.header(request) + HEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_aligned_and_disjoint() {
        for limit in [4, 8, 16, 128, 256, 32768] {
            let l = Layout::new(limit).expect("fits");
            let a = l.addresses(0x1_0000);
            assert_eq!((a.descriptors % 16, a.driver % 2, a.device % 4), (0, 0, 0));
            assert!(l.descriptor(l.size - 1) + 16 <= l.driver);
            assert!(l.available_entry(l.size - 1) + 4 <= l.device);
            assert!(l.used_entry(l.size - 1) + 10 <= l.header(0));
            assert!(l.status(0) < l.data(0) && l.data(0) + u64::from(DATA_BYTES) <= l.header(1));
            assert_eq!(l.data(l.requests - 1) + u64::from(DATA_BYTES), l.bytes());
            assert!(l.requests * CHAIN <= l.size);
        }
        assert_eq!(Layout::new(2), None);
    }
}
