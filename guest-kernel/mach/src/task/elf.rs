//! Programs as ELF files (System V ABI, chapters 4 and 5; AMD64 supplement).
//!
//! An image says what goes where, and is believed nothing: whatever it says that cannot be is an error, before anything is loaded. Segments are
//! whole pages, in ascending order, in user space below the stack; what is not to be loaded is skipped.

use super::program::{Image, Piece};
use abi::space::{PAGE, STACK_BYTES, STACK_TOP, USER_BASE, protection};
use alloc::vec::Vec;
use core::fmt;

/// Program headers at the most.
const HEADERS_MAX: u64 = 16;
/// Bytes of memory that all segments together take at the most.
const BYTES_MAX: u64 = 4 << 20;
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: u64 = 56;
/// ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
const IDENT: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
const ET_EXEC: u64 = 2;
const EM_X86_64: u64 = 62;
const PT_LOAD: u64 = 1;
/// PF_X, PF_W, PF_R, and what they mean here.
const FLAGS: [(u64, u64); 3] = [(1, protection::EXECUTE), (2, protection::WRITE), (4, protection::READ)];

/// Why an image cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Not an ELF file for x86-64 that is executed where it was linked.
    Kind,
    /// The program headers are outside of the file, too many, or of another size.
    Headers,
    /// A segment's content, by its number, is outside of the file, or more than its memory.
    Content(u16),
    /// A segment's memory, by its number, is no whole pages in user space below the stack, above the segments before it.
    Place(u16),
    /// All segments together need too much memory.
    Size,
    /// The entry is not in a segment that can be executed.
    Entry,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("not an executable ELF file for x86-64"),
            Self::Headers => f.write_str("the program headers are not where they should be"),
            Self::Content(n) => write!(f, "segment {n}: its content is outside of the file or too long"),
            Self::Place(n) => {
                write!(f, "segment {n}: it does not lie in user space, page-aligned and in order")
            }
            Self::Size => write!(f, "the segments need more than {} MiB", BYTES_MAX >> 20),
            Self::Entry => f.write_str("the entry is not in executable memory"),
        }
    }
}

/// `bytes` bytes at `offset` as a number; `None` beyond the end.
fn number(file: &[u8], offset: u64, bytes: usize) -> Option<u64> {
    let at = usize::try_from(offset).ok()?;
    let part = file.get(at..at.checked_add(bytes)?)?;
    Some(part.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)))
}

impl Image {
    /// The image in an ELF file.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn from_elf(file: &'static [u8]) -> Result<Self, ImageError> {
        let field = |offset, bytes| number(file, offset, bytes).ok_or(ImageError::Kind);
        if file.len() < FILE_HEADER
            || !file.starts_with(&IDENT)
            || field(16, 2)? != ET_EXEC
            || field(18, 2)? != EM_X86_64
        {
            return Err(ImageError::Kind);
        }
        let (entry, headers) = (field(24, 8)?, field(32, 8)?);
        let (size, count) = (field(54, 2)?, field(56, 2)?);
        if size != PROGRAM_HEADER || count == 0 || count > HEADERS_MAX {
            return Err(ImageError::Headers);
        }
        let (mut pieces, mut end, mut total) = (Vec::new(), USER_BASE, 0);
        for n in 0..count {
            let at = headers.checked_add(n * PROGRAM_HEADER).ok_or(ImageError::Headers)?;
            let Some(piece) = piece(file, at, n as u16)? else { continue };
            if piece.address < end {
                return Err(ImageError::Place(n as u16));
            }
            end = piece.address + piece.bytes;
            total += piece.bytes;
            if total > BYTES_MAX {
                return Err(ImageError::Size);
            }
            pieces.push(piece);
        }
        let runs = |piece: &Piece| {
            piece.protection & protection::EXECUTE != 0
                && (piece.address..piece.address + piece.bytes).contains(&entry)
        };
        if pieces.iter().any(runs) { Ok(Self { entry, pieces }) } else { Err(ImageError::Entry) }
    }
}

/// The piece that the program header at `at` describes; `None` if it is not to be loaded.
fn piece(file: &'static [u8], at: u64, n: u16) -> Result<Option<Piece>, ImageError> {
    let field = |offset: u64, bytes| {
        at.checked_add(offset).and_then(|at| number(file, at, bytes)).ok_or(ImageError::Headers)
    };
    if field(0, 4)? != PT_LOAD {
        return Ok(None);
    }
    let (flags, offset, address) = (field(4, 4)?, field(8, 8)?, field(16, 8)?);
    let (in_file, in_memory) = (field(32, 8)?, field(40, 8)?);
    if in_memory == 0 {
        return Ok(None);
    }
    let content = usize::try_from(offset).ok().zip(usize::try_from(in_file).ok());
    let content = content.and_then(|(from, bytes)| file.get(from..from.checked_add(bytes)?));
    let content = content.filter(|_| in_file <= in_memory).ok_or(ImageError::Content(n))?;
    let bytes = in_memory.checked_next_multiple_of(PAGE).ok_or(ImageError::Place(n))?;
    let end = address.checked_add(bytes).ok_or(ImageError::Place(n))?;
    if !address.is_multiple_of(PAGE) || address < USER_BASE || end > STACK_TOP - STACK_BYTES {
        return Err(ImageError::Place(n));
    }
    let may = FLAGS.iter().filter(|(flag, _)| flags & flag != 0);
    let protection = may.fold(protection::NONE, |all, (_, protection)| all | protection);
    Ok(Some(Piece { address, bytes, protection, content }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::vec;

    /// A segment: flags, address, content, bytes of memory.
    type Segment<'a> = (u32, u64, &'a [u8], u64);

    fn elf(entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
        let mut file = vec![0; FILE_HEADER + segments.len() * PROGRAM_HEADER as usize];
        let put =
            |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(&mut file, 0, &IDENT);
        put(&mut file, 16, &[2, 0, 62, 0]);
        put(&mut file, 24, &entry.to_le_bytes());
        put(&mut file, 32, &(FILE_HEADER as u64).to_le_bytes());
        put(&mut file, 54, &[56, 0, segments.len() as u8, 0]);
        for (n, (flags, address, content, bytes)) in segments.iter().enumerate() {
            let at = FILE_HEADER + n * PROGRAM_HEADER as usize;
            let offset = file.len() as u64;
            put(&mut file, at, &[1]);
            put(&mut file, at + 4, &flags.to_le_bytes());
            for (m, word) in [offset, *address, *address, content.len() as u64, *bytes].iter().enumerate() {
                put(&mut file, at + 8 + m * 8, &word.to_le_bytes());
            }
            file.extend_from_slice(content);
        }
        file
    }

    fn parse(file: Vec<u8>) -> Result<Image, ImageError> {
        Image::from_elf(Box::leak(file.into_boxed_slice()))
    }

    const CODE: u64 = USER_BASE + (4 << 20);

    #[test]
    fn segments_become_pieces() {
        let data = CODE + 2 * PAGE;
        let image =
            parse(elf(CODE + 8, &[(5, CODE, &[0x90; 5000], 5000), (6, data, &[1, 2], 9000)])).unwrap();
        assert_eq!((image.entry, image.pieces.len()), (CODE + 8, 2));
        let [code, writable] = [image.pieces[0], image.pieces[1]];
        assert_eq!((code.address, code.bytes, code.content.len()), (CODE, 2 * PAGE, 5000));
        assert_eq!(code.protection, protection::READ | protection::EXECUTE);
        assert_eq!((writable.bytes, writable.content), (3 * PAGE, &[1, 2][..]));
        assert_eq!(writable.protection, protection::READ | protection::WRITE);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let code: Segment<'_> = (5, CODE, &[0x90; 16], 16);
        let error = |entry, segments: &[Segment<'_>]| parse(elf(entry, segments)).err();
        assert_eq!(error(CODE, &[code]), None);
        assert_eq!(error(CODE + PAGE, &[code]), Some(ImageError::Entry));
        assert_eq!(error(CODE, &[(6, CODE, &[], 16)]), Some(ImageError::Entry));
        assert_eq!(error(CODE, &[(5, CODE, &[0; 17], 16)]), Some(ImageError::Content(0)));
        assert_eq!(error(CODE, &[code, code]), Some(ImageError::Place(1)));
        for address in
            [0, 0x20_0000, CODE + 1, STACK_TOP - STACK_BYTES, u64::MAX - 4095, 0xffff_c000_0000_0000]
        {
            assert_eq!(error(CODE, &[(5, address, &[], 16)]), Some(ImageError::Place(0)), "{address:#x}");
        }
        assert_eq!(error(CODE, &[(5, CODE, &[], u64::MAX)]), Some(ImageError::Place(0)));
        assert_eq!(error(CODE, &[(5, CODE, &[], BYTES_MAX + 1)]), Some(ImageError::Size));
        assert_eq!(parse(vec![0; 300]).err(), Some(ImageError::Kind));
        assert_eq!(parse(elf(CODE, &[code])[..100].to_vec()).err(), Some(ImageError::Headers));
    }

    /// Every byte of a good file, changed: an error or an image, and what the image says can be done.
    #[test]
    fn no_file_does_harm() {
        let good = elf(CODE, &[(5, CODE, &[0x90; 8], 4096), (6, CODE + PAGE, &[7; 8], 8192)]);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = good.clone();
                file[at] = value;
                let Ok(image) = parse(file) else { continue };
                let mut end = USER_BASE;
                for piece in &image.pieces {
                    assert!(piece.address >= end && piece.content.len() as u64 <= piece.bytes);
                    end = piece.address + piece.bytes;
                }
                assert!(end <= STACK_TOP - STACK_BYTES);
            }
        }
    }
}
