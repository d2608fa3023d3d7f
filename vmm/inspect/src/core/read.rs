//! Reading a core, which may be anything at all.

use super::notes::{About, CORE, NOTE_ABOUT, PRSTATUS, PRSTATUS_BYTES, read_prstatus};
use crate::registers::Registers;
use crate::unwind::Virtual;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use thiserror::Error;

/// Bytes of notes that are read at the most.
const MAX_NOTES: u64 = 256 << 20;
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// What a core is read from.
pub trait Data {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;
    /// Reads `into.len()` bytes from `offset` on.
    ///
    /// # Errors
    /// What the system says; there are not so many.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Data for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }
}

impl Data for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|start| self.get(start..start.checked_add(into.len())?));
        let part = part.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        into.copy_from_slice(part);
        Ok(())
    }
}

/// What is wrong with a core.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system cannot read it.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is no ELF core of this kind of machine.
    #[error(
        "it is no core: {0}; expected an ELF file of type ET_CORE for x86-64, as `--core` and `dump-guest-memory` write it"
    )]
    NotCore(&'static str),
    /// It ends too early.
    #[error("it is truncated: {what} ends at byte {end}, and the file has {has}")]
    Truncated {
        /// The part that is missing, or the end of it.
        what: String,
        /// Where that ends.
        end: u128,
        /// Bytes of the file.
        has: u64,
    },
    /// Its notes are wrong.
    #[error("its notes are damaged: {0}")]
    Notes(String),
    /// There is no note of ours.
    #[error("it has no note of Workgate's: it is the core of something else")]
    Foreign,
}

/// A part of memory.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    bytes: u64,
    offset: u64,
}

/// A core.
pub struct Core {
    data: Box<dyn Data>,
    /// By address.
    segments: Vec<Segment>,
    /// What it is of; threads have their registers.
    pub about: About,
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Core {
    /// Reads all of it but the memory, and checks that this is there.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(data: Box<dyn Data>) -> Result<Self, ReadError> {
        let has = data.length()?;
        let headers = program_headers(&*data, has)?;
        let mut segments = Vec::new();
        let mut notes = None;
        for (n, header) in headers.as_chunks::<PROGRAM_HEADER>().0.iter().enumerate() {
            let (kind, offset, address) = (half(header, 0), word(header, 8), word(header, 16));
            let bytes = word(header, 32);
            let end = u128::from(offset) + u128::from(bytes);
            if matches!(kind, PT_LOAD | PT_NOTE) && end > u128::from(has) {
                return Err(ReadError::Truncated { what: format!("segment {n}"), end, has });
            }
            match kind {
                PT_LOAD => segments.push(Segment { address, bytes, offset }),
                PT_NOTE if notes.is_none() => notes = Some((offset, bytes)),
                _ => {}
            }
        }
        segments.sort_by_key(|segment| segment.address);
        let (offset, bytes) = notes.ok_or(ReadError::NotCore("it has no notes"))?;
        if bytes > MAX_NOTES {
            return Err(ReadError::Notes(format!("they have {bytes} bytes; at most {MAX_NOTES} are read")));
        }
        let mut text = vec![0; bytes as usize];
        data.read_at(offset, &mut text)?;
        Ok(Self { data, segments, about: about(&text)? })
    }

    /// Reads memory at a virtual address; how many bytes could be read.
    pub fn memory(&self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            let Some(at) = address.checked_add(done as u64) else { break };
            let next = self.segments.partition_point(|segment| segment.address <= at);
            let segment = next.checked_sub(1).map(|n| self.segments[n]);
            let Some(segment) = segment.filter(|segment| at - segment.address < segment.bytes) else { break };
            let inside = at - segment.address;
            let length = (segment.bytes - inside).min((into.len() - done) as u64) as usize;
            if self.data.read_at(segment.offset + inside, &mut into[done..done + length]).is_err() {
                break;
            }
            done += length;
        }
        done
    }
}

impl Virtual for Core {
    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.memory(address, &mut bytes) == 8).then(|| u64::from_le_bytes(bytes))
    }
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The program headers, after a look at the ELF header.
fn program_headers(data: &dyn Data, has: u64) -> Result<Vec<u8>, ReadError> {
    let truncated = |what: &str, end: u128| ReadError::Truncated { what: what.to_owned(), end, has };
    let mut head = [0; FILE_HEADER];
    let here = has.min(FILE_HEADER as u64) as usize;
    data.read_at(0, &mut head[..here])?;
    if here < 4 || head[..4] != *b"\x7fELF" {
        return Err(ReadError::NotCore("it does not begin with the ELF magic"));
    }
    if here < FILE_HEADER {
        return Err(truncated("the ELF header", FILE_HEADER as u128));
    }
    if head[4..6] != [2, 1] {
        return Err(ReadError::NotCore("it is no 64-bit little-endian file"));
    }
    if head[16..20] != [4, 0, 62, 0] {
        return Err(ReadError::NotCore("its type or its machine is another one"));
    }
    let (offset, size) = (word(&head, 32), u16::from_le_bytes([head[54], head[55]]));
    let count = u16::from_le_bytes([head[56], head[57]]);
    if usize::from(size) != PROGRAM_HEADER || count == u16::MAX {
        return Err(ReadError::NotCore("its program headers are of another kind"));
    }
    let bytes = usize::from(count) * PROGRAM_HEADER;
    let end = u128::from(offset) + bytes as u128;
    if end > u128::from(has) {
        return Err(truncated("the table of program headers", end));
    }
    let mut headers = vec![0; bytes];
    data.read_at(offset, &mut headers)?;
    Ok(headers)
}

/// The notes: ours, with the registers from the others.
fn about(notes: &[u8]) -> Result<About, ReadError> {
    let mut registers: BTreeMap<u32, Registers> = BTreeMap::new();
    let mut ours = None;
    let mut rest = notes;
    while rest.len() >= 12 {
        let (Note { name, descriptor, kind }, next) = note(rest).ok_or_else(|| {
            ReadError::Notes(format!("note at byte {} is cut off", notes.len() - rest.len()))
        })?;
        if name == CORE.as_bytes() && kind == PRSTATUS {
            let read = read_prstatus(descriptor).filter(|_| descriptor.len() == PRSTATUS_BYTES);
            let (id, read) =
                read.ok_or_else(|| ReadError::Notes("registers of a wrong length".to_owned()))?;
            registers.insert(id, read);
        } else if name == abi::threads::NOTE_NAME.as_bytes() && kind == NOTE_ABOUT {
            ours = Some(descriptor);
        }
        rest = next;
    }
    let mut about: About = serde_json::from_slice(ours.ok_or(ReadError::Foreign)?)
        .map_err(|error| ReadError::Notes(format!("Workgate's own: {error}")))?;
    if about.version != About::VERSION {
        let (version, known) = (about.version, About::VERSION);
        return Err(ReadError::Notes(format!("Workgate's own has version {version}; expected {known}")));
    }
    for thread in &mut about.threads {
        thread.registers = registers.get(&thread.id).copied();
    }
    Ok(about)
}

/// A note.
struct Note<'a> {
    name: &'a [u8],
    descriptor: &'a [u8],
    kind: u32,
}

/// The first note, and what is behind it.
fn note(bytes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let (name, descriptor, kind) = (half(bytes, 0) as usize, half(bytes, 4) as usize, half(bytes, 8));
    let (text, rest) = bytes.get(12..)?.split_at_checked(name.checked_next_multiple_of(4)?)?;
    let (padded, rest) = rest.split_at_checked(descriptor.checked_next_multiple_of(4)?)?;
    let text = text.get(..name)?;
    let name = text.strip_suffix(&[0]).unwrap_or(text);
    Some((Note { name, descriptor: padded.get(..descriptor)?, kind }, rest))
}
