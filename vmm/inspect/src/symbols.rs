//! Names for guest addresses, from an image: its ELF symbol table, or the table that Workgate's own guest carries.

use object::elf::{PT_LOAD, STT_FUNC, STT_NOTYPE};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, SymbolFlags};
pub use table::{HEADER_BYTES, Symbols};

#[path = "../../../guest-kernel/src/symbols.rs"]
#[allow(dead_code, reason = "the host reads what the guest's build writes, by the same code")]
mod table;

/// Symbols read from an image at the most: an image is not trusted with the host's memory.
const MAX_SYMBOLS: usize = 1 << 20;

/// The functions of an image.
#[derive(Default)]
pub struct Names<'a> {
    /// Address, size and name, by address.
    functions: Vec<(u64, u64, &'a str)>,
    table: Option<Symbols<'a>>,
    /// From an address of a segment in memory to the one that its symbols have, for code that runs before paging.
    moved: Vec<(std::ops::Range<u64>, u64)>,
}

impl<'a> Names<'a> {
    /// Those of an ELF image; `None` if it is none.
    pub fn new(image: &'a [u8]) -> Option<Self> {
        let elf = ElfFile64::<Endianness>::parse(image).ok()?;
        let mut functions: Vec<_> =
            elf.symbols().filter_map(|symbol| function(&symbol)).take(MAX_SYMBOLS).collect();
        functions.sort_by_key(|(address, size, _)| (*address, *size));
        let endian = elf.endian();
        let loaded = || elf.elf_program_headers().iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
        let table = loaded().next_back().and_then(|segment| Symbols::new(segment.data(endian, image).ok()?));
        let moved = loaded().filter_map(|segment| {
            let (from, to) = (segment.p_paddr(endian), segment.p_vaddr(endian));
            let end = from.checked_add(segment.p_memsz(endian))?;
            (from != to).then_some((from..end, to.wrapping_sub(from)))
        });
        Some(Self { functions, table, moved: moved.collect() })
    }

    /// Those of a table as our own image carries it.
    pub fn of_table(table: &'a [u8]) -> Self {
        Self { table: Symbols::new(table), ..Self::default() }
    }

    /// Whether it names anything.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.table.is_none_or(|table| table.is_empty())
    }

    /// Function and distance from its beginning.
    pub fn find(&self, address: u64) -> Option<String> {
        let moved = self.moved.iter().find(|(range, _)| range.contains(&address));
        let linked = moved.map_or(address, |(_, distance)| address.wrapping_add(*distance));
        let (name, offset) = self.elf(linked).or_else(|| self.table?.find(linked))?;
        Some(format!("{:#}+{offset:#x}", rustc_demangle::demangle(name)))
    }

    fn elf(&self, address: u64) -> Option<(&'a str, u64)> {
        let next = self.functions.partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = *self.functions.get(next.checked_sub(1)?)?;
        // Labels of assembly code have no size: they reach to the next one.
        let offset = address - start;
        let end = self.functions.get(next).map_or(u64::MAX, |(start, ..)| *start);
        (offset < size || size == 0 && address < end).then_some((name, offset))
    }
}

fn function<'a>(symbol: &impl ObjectSymbol<'a>) -> Option<(u64, u64, &'a str)> {
    let SymbolFlags::Elf { st_info, .. } = symbol.flags() else { return None };
    let is_code = matches!(st_info.st_type(), STT_FUNC | STT_NOTYPE) && symbol.is_definition();
    let name = symbol.name().ok().filter(|name| is_code && !name.is_empty())?;
    Some((symbol.address(), symbol.size(), name))
}

/// Address in memory of the table that `image` carries, if it carries one.
pub fn table_of(image: &[u8]) -> Option<u64> {
    let elf = ElfFile64::<Endianness>::parse(image).ok()?;
    let endian = elf.endian();
    let loaded = elf.elf_program_headers().iter().rfind(|segment| segment.p_type(endian) == PT_LOAD)?;
    let table = loaded.data(endian, image).ok()?;
    Symbols::length(table).map(|_| loaded.p_vaddr(endian))
}
