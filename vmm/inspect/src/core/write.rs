//! Writing a core: whole, or not at all.

use super::layout::{Segment, segments};
use super::notes::{About, notes};
use crate::memory::Physical;
use crate::paging::Mapping;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

const PAGE: usize = 4096;
/// Memory that is read at once.
const CHUNK: usize = 256 * PAGE;
/// Bytes of an ELF header and of a program header (System V ABI, chapters 4 and 5).
const FILE_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// A core that could not be written.
#[derive(Debug, Error)]
pub enum CoreError {
    /// The file cannot be made, written, or put in its place.
    #[error("cannot write the core {path}: {error}; nothing is left of it", path = path.display())]
    File {
        /// Where it was to go.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Memory that is there cannot be read.
    #[error("cannot write the core: guest memory at {0:#x} cannot be read")]
    Memory(u64),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Bytes of the file, holes included.
    pub bytes: u64,
    /// Bytes of memory that were not zero.
    pub stored: u64,
    /// Threads.
    pub threads: usize,
    /// How long it took.
    pub took: Duration,
}

/// Writes the core of a machine that stands still to `path`, whatever is there now: into a file beside it, which takes its place once it is
/// complete.
///
/// # Errors
/// See [`CoreError`]; nothing is left behind then, and what was at `path` is still there.
pub fn write(
    path: &Path,
    memory: &dyn Physical,
    mappings: &[Mapping],
    about: &About,
) -> Result<Written, CoreError> {
    let began = Instant::now();
    let failed = |error| CoreError::File { path: path.to_owned(), error };
    let part = Part::create(path).map_err(failed)?;
    let stored = fill(&part.file, path, memory, mappings, about)?;
    part.file.sync_all().map_err(failed)?;
    let bytes = part.file.metadata().map_err(failed)?.len();
    part.keep(path).map_err(failed)?;
    let (threads, took) = (about.threads.len(), began.elapsed());
    Ok(Written { path: path.to_owned(), bytes, stored, threads, took })
}

/// A file beside the one that it is to become; gone when it is dropped.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
        let mut part = std::ffi::OsString::from(".");
        part.push(name);
        part.push(format!(".{}.part", std::process::id()));
        let beside = path.with_file_name(part);
        let file = File::create(&beside)?;
        Ok(Self { file, path: beside })
    }

    fn keep(self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After `keep` it has another name already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes everything; bytes of memory that were not zero.
fn fill(
    file: &File,
    path: &Path,
    memory: &dyn Physical,
    mappings: &[Mapping],
    about: &About,
) -> Result<u64, CoreError> {
    let failed = |error| CoreError::File { path: path.to_owned(), error };
    let ranges = memory.ranges();
    let segments = segments(&ranges, mappings);
    let notes = notes(about);
    let notes_at = FILE_HEADER + (segments.len() as u64 + 1) * PROGRAM_HEADER;
    let data_at = (notes_at + notes.len() as u64).next_multiple_of(PAGE as u64);
    let mut head = header(segments.len() as u16 + 1);
    program_header(&mut head, PT_NOTE, 4, notes_at, (0, 0), notes.len() as u64, 4);
    for segment in &segments {
        let offset = data_at + place(&ranges, segment.physical);
        load(&mut head, segment, offset);
    }
    head.extend_from_slice(&notes);
    file.write_all_at(&head, 0).map_err(failed)?;
    let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    file.set_len(data_at + total).map_err(failed)?;
    let mut stored = 0;
    let mut at = data_at;
    for range in &ranges {
        stored += store(file, path, memory, range, at)?;
        at += range.end - range.start;
    }
    Ok(stored)
}

/// Where the memory at a physical address is, from the first byte of memory in the file.
fn place(ranges: &[Range<u64>], physical: u64) -> u64 {
    let mut before = 0;
    for range in ranges {
        if range.contains(&physical) {
            return before + physical - range.start;
        }
        before += range.end - range.start;
    }
    before
}

/// Writes the pages of `range` that are not zero, from offset `at` on; how many bytes.
fn store(
    file: &File,
    path: &Path,
    memory: &dyn Physical,
    range: &Range<u64>,
    at: u64,
) -> Result<u64, CoreError> {
    let mut chunk = vec![0; CHUNK];
    let zeros = [0; PAGE];
    let (mut stored, mut from) = (0, range.start);
    while from < range.end {
        let length = (range.end - from).min(CHUNK as u64) as usize;
        let bytes = &mut chunk[..length];
        if !memory.read(from, bytes) {
            return Err(CoreError::Memory(from));
        }
        // Neighbours go in one write.
        let mut run: Option<Range<usize>> = None;
        let mut flush = |run: &mut Option<Range<usize>>| -> io::Result<()> {
            let Some(run) = run.take() else { return Ok(()) };
            stored += run.len() as u64;
            file.write_all_at(&chunk[run.clone()], at + (from - range.start) + run.start as u64)
        };
        let mut page = 0;
        while page < length {
            let end = (page + PAGE).min(length);
            if chunk[page..end] == zeros[..end - page] {
                flush(&mut run).map_err(|error| CoreError::File { path: path.to_owned(), error })?;
            } else {
                run = Some(run.map_or(page, |run| run.start)..end);
            }
            page = end;
        }
        flush(&mut run).map_err(|error| CoreError::File { path: path.to_owned(), error })?;
        from += length as u64;
    }
    Ok(stored)
}

/// The ELF header of a core with `segments` program headers.
fn header(segments: u16) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    // ET_CORE, EM_X86_64, version.
    head.extend_from_slice(&4u16.to_le_bytes());
    head.extend_from_slice(&62u16.to_le_bytes());
    head.extend_from_slice(&1u32.to_le_bytes());
    for word in [0, FILE_HEADER, 0] {
        head.extend_from_slice(&word.to_le_bytes());
    }
    head.extend_from_slice(&0u32.to_le_bytes());
    for half in [FILE_HEADER as u16, PROGRAM_HEADER as u16, segments, 0, 0, 0] {
        head.extend_from_slice(&half.to_le_bytes());
    }
    head
}

fn program_header(
    head: &mut Vec<u8>,
    kind: u32,
    flags: u32,
    offset: u64,
    (address, physical): (u64, u64),
    bytes: u64,
    align: u64,
) {
    head.extend_from_slice(&kind.to_le_bytes());
    head.extend_from_slice(&flags.to_le_bytes());
    let in_memory = if kind == PT_LOAD { bytes } else { 0 };
    for word in [offset, address, physical, bytes, in_memory, align] {
        head.extend_from_slice(&word.to_le_bytes());
    }
}

fn load(head: &mut Vec<u8>, segment: &Segment, offset: u64) {
    let flags = 4 | u32::from(segment.writable) << 1 | u32::from(segment.executable);
    let addresses = (segment.address, segment.physical);
    program_header(head, PT_LOAD, flags, offset, addresses, segment.bytes, PAGE as u64);
}
