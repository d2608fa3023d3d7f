//! Where a block device keeps its data.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use thiserror::Error;

/// The storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the storage behind the disk failed")]
pub struct StoreError;

/// The storage of a block device. The device asks only for ranges below [`BlockStore::bytes`].
pub trait BlockStore: Send {
    /// Size in bytes. Constant.
    fn bytes(&self) -> u64;
    /// Reads at `offset`.
    ///
    /// # Errors
    /// The storage failed.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), StoreError>;
    /// Writes at `offset`.
    ///
    /// # Errors
    /// The storage failed.
    fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), StoreError>;
    /// Makes all writes durable.
    ///
    /// # Errors
    /// The storage failed.
    fn flush(&mut self) -> Result<(), StoreError>;
}

/// Bytes of a chunk of [`MemoryStore`].
const CHUNK: u64 = 64 << 10;

/// A disk in memory. What was never written takes no memory and reads as zeroes.
pub struct MemoryStore {
    bytes: u64,
    chunks: BTreeMap<u64, Box<[u8]>>,
}

impl MemoryStore {
    /// An empty disk.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, chunks: BTreeMap::new() }
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), StoreError> {
        let end = offset.checked_add(length as u64).ok_or(StoreError)?;
        if end <= self.bytes { Ok(()) } else { Err(StoreError) }
    }
}

/// Splits a range into (chunk, offset in the chunk, range of the buffer).
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % CHUNK) as usize;
        let next = (length - done).min(CHUNK as usize - within);
        let range = done..done + next;
        done += next;
        (next > 0).then_some((at / CHUNK, within, range))
    })
}

impl BlockStore for MemoryStore {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.check(offset, into.len())?;
        for (chunk, at, range) in pieces(offset, into.len()) {
            let into = &mut into[range];
            match self.chunks.get(&chunk) {
                Some(bytes) => into.copy_from_slice(&bytes[at..at + into.len()]),
                None => into.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), StoreError> {
        self.check(offset, from.len())?;
        for (chunk, at, range) in pieces(offset, from.len()) {
            let from = &from[range];
            let bytes = self.chunks.entry(chunk).or_insert_with(|| vec![0; CHUNK as usize].into());
            bytes[at..at + from.len()].copy_from_slice(from);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A disk in something that a machine has opened: a file, most likely.
pub struct SeekStore<T> {
    inner: T,
    bytes: u64,
    sync: fn(&mut T) -> io::Result<()>,
}

impl<T: Read + Write + Seek> SeekStore<T> {
    /// A disk as large as `inner` is now; `sync` makes writes durable, such as `|file| file.sync_data()`.
    ///
    /// # Errors
    /// The end of `inner` cannot be found.
    pub fn new(mut inner: T, sync: fn(&mut T) -> io::Result<()>) -> io::Result<Self> {
        let bytes = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, bytes, sync })
    }
}

impl<T: Read + Write + Seek + Send> BlockStore for SeekStore<T> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let mut read = || self.inner.seek(SeekFrom::Start(offset)).and_then(|_| self.inner.read_exact(into));
        read().map_err(|_| StoreError)
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), StoreError> {
        let mut write = || self.inner.seek(SeekFrom::Start(offset)).and_then(|_| self.inner.write_all(from));
        write().map_err(|_| StoreError)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.inner.flush().and_then(|()| (self.sync)(&mut self.inner)).map_err(|_| StoreError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_across_chunks_read_back() {
        let mut store = MemoryStore::new(1 << 20);
        let data: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        store.write(100, &data).unwrap();
        let mut back = vec![0; data.len()];
        store.read(100, &mut back).unwrap();
        assert_eq!(back, data);
        assert_eq!(store.write((1 << 20) - 1, &[0; 2]), Err(StoreError));
        assert_eq!(store.read(u64::MAX, &mut [0; 2]), Err(StoreError));
    }

    #[test]
    fn an_opened_thing_is_a_disk() {
        let mut store = SeekStore::new(io::Cursor::new(vec![0; 1024]), |_| Ok(())).unwrap();
        store.write(512, &[7; 512]).unwrap();
        let mut back = [0; 512];
        store.read(512, &mut back).unwrap();
        assert_eq!((store.bytes(), back, store.flush()), (1024, [7; 512], Ok(())));
        assert_eq!(store.read(1000, &mut back), Err(StoreError));
    }

    #[test]
    fn what_was_never_written_takes_no_memory() {
        let mut store = MemoryStore::new(u64::MAX);
        store.write(u64::MAX - 600, &[1; 512]).unwrap();
        assert_eq!(store.chunks.len(), 1);
        let mut bytes = [9; 512];
        store.read(1 << 40, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 512]);
    }
}
