//! From what the linker made to the image: only what is loaded, with the symbol table as the last segment.

use std::error::Error;

use object::Endianness;
use object::elf::{
    EM_X86_64, ET_EXEC, FileHeader64, PT_LOAD, PT_NOTE, ProgramFlags, ProgramHeader64, ProgramType, STT_FUNC,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};

/// Bytes of an ELF header and of a program header (System V ABI, chapter 4 and 5).
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// Segments are aligned to this, in the file as in memory.
const PAGE: usize = 4096;

/// A function in the image.
pub struct Function {
    pub address: u64,
    pub size: u32,
    pub name: String,
}

/// A segment of the image.
struct Segment<'a> {
    kind: ProgramType,
    flags: ProgramFlags,
    address: u64,
    memory: u64,
    content: &'a [u8],
}

/// The functions that the symbol table of `elf` names, demangled, without hashes.
pub fn functions(elf: &[u8]) -> Result<Vec<Function>, Box<dyn Error>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, elf)?;
    let table = sections.symbols(endian, elf, object::elf::SHT_SYMTAB)?;
    let mut found = Vec::new();
    for symbol in table.iter().filter(|s| s.st_type() == STT_FUNC) {
        let name = std::str::from_utf8(symbol.name(endian, table.strings())?)?;
        let name = format!("{:#}", rustc_demangle::demangle(name));
        let size = u32::try_from(symbol.st_size(endian))?;
        found.push(Function { address: symbol.st_value(endian), size, name });
    }
    if found.is_empty() {
        return Err("the kernel has no symbols".into());
    }
    Ok(found)
}

/// Address and bytes of a section of `elf`; `None` if it has none, or an empty one.
pub fn section(elf: &[u8], name: &[u8]) -> Result<Option<(u64, u64)>, Box<dyn Error>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, elf)?;
    let found = sections.section_by_name(endian, name).map(|(_, section)| section);
    let place = found.map(|section| (section.sh_addr(endian), section.sh_size(endian)));
    Ok(place.filter(|(_, bytes)| *bytes > 0))
}

/// The image: segments of `elf`, the last loaded one replaced by `table`.
pub fn image(elf: &[u8], table: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let mut segments = segments(header.program_headers(endian, elf)?, endian, elf)?;
    let last = segments.iter_mut().rfind(|s| s.kind == PT_LOAD).ok_or("no segment is loaded")?;
    if last.content.iter().any(|&b| b != 0) || last.content.len() > PAGE {
        return Err("the last segment is not the placeholder of the symbol table".into());
    }
    last.content = table;
    last.memory = table.len() as u64;
    Ok(write(header.e_entry(endian), &segments))
}

/// The user image: segments of `elf`, and nothing else.
pub fn user(elf: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let segments = segments(header.program_headers(endian, elf)?, endian, elf)?;
    Ok(write(header.e_entry(endian), &segments))
}

fn segments<'a>(
    headers: &[ProgramHeader64<Endianness>],
    endian: Endianness,
    elf: &'a [u8],
) -> Result<Vec<Segment<'a>>, Box<dyn Error>> {
    let mut segments = Vec::new();
    for header in headers {
        let kind = header.p_type(endian);
        if kind == PT_LOAD || kind == PT_NOTE {
            segments.push(Segment {
                kind,
                flags: header.p_flags(endian),
                address: header.p_vaddr(endian),
                memory: header.p_memsz(endian),
                content: header.data(endian, elf).map_err(|()| "a segment is outside of the file")?,
            });
        }
    }
    Ok(segments)
}

/// An ELF file with these segments and no sections.
fn write(entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
    let mut file = vec![0; (FILE_HEADER + segments.len() * PROGRAM_HEADER).next_multiple_of(PAGE)];
    for (n, segment) in segments.iter().enumerate() {
        // Offset and address agree modulo the page size.
        let offset = file.len() + segment.address as usize % PAGE;
        file.resize(offset, 0);
        file.extend_from_slice(segment.content);
        file.resize(file.len().next_multiple_of(PAGE), 0);
        let at = FILE_HEADER + n * PROGRAM_HEADER;
        put(&mut file, at, &segment.kind.0.to_le_bytes());
        put(&mut file, at + 4, &segment.flags.0.to_le_bytes());
        let content = segment.content.len() as u64;
        let words = [offset as u64, segment.address, segment.address, content, segment.memory];
        for (m, word) in words.iter().enumerate() {
            put(&mut file, at + 8 + m * 8, &word.to_le_bytes());
        }
        let align = if segment.kind == PT_NOTE { 4u64 } else { PAGE as u64 };
        put(&mut file, at + 48, &align.to_le_bytes());
    }
    write_header(&mut file, entry, segments.len() as u16);
    file
}

fn write_header(file: &mut [u8], entry: u64, segments: u16) {
    put(file, 0, b"\x7fELF\x02\x01\x01");
    put(file, 16, &ET_EXEC.0.to_le_bytes());
    put(file, 18, &EM_X86_64.0.to_le_bytes());
    put(file, 20, &1u32.to_le_bytes());
    put(file, 24, &entry.to_le_bytes());
    put(file, 32, &(FILE_HEADER as u64).to_le_bytes());
    put(file, 52, &(FILE_HEADER as u16).to_le_bytes());
    put(file, 54, &(PROGRAM_HEADER as u16).to_le_bytes());
    put(file, 56, &segments.to_le_bytes());
    put(file, 58, &64u16.to_le_bytes());
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
