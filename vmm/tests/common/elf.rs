//! A writer of ELF files with a PVH note and a symbol table.

use super::code::CODE;

/// An image in the making.
pub struct Image {
    segments: Vec<(u64, Vec<u8>, u64)>,
    symbols: Vec<(String, u64, u64)>,
    note: bool,
}

/// The image of `code` alone.
pub fn image(code: super::code::Code) -> Vec<u8> {
    Image::new(code.0).build()
}

fn put(out: &mut Vec<u8>, fields: &[(u64, usize)]) {
    for (value, bytes) in fields {
        out.extend_from_slice(&value.to_le_bytes()[..*bytes]);
    }
}

impl Image {
    /// Code at [`CODE`], with the entry at its beginning.
    pub fn new(code: Vec<u8>) -> Self {
        let bytes = code.len() as u64;
        Self { segments: vec![(CODE, code, bytes)], symbols: Vec::new(), note: true }
    }

    /// Adds data at an address; `bytes` of memory, of which what `data` does not reach is zero.
    pub fn segment(mut self, address: u64, data: Vec<u8>, bytes: u64) -> Self {
        self.segments.push((address, data, bytes));
        self
    }

    /// Adds a function to the symbol table.
    pub fn symbol(mut self, name: &str, address: u64, bytes: u64) -> Self {
        self.symbols.push((name.to_owned(), address, bytes));
        self
    }

    /// Leaves out the PVH note.
    pub fn without_note(mut self) -> Self {
        self.note = false;
        self
    }

    /// The file: header, program headers, note, segments, symbols, names, section headers.
    pub fn build(self) -> Vec<u8> {
        let headers = self.segments.len() + usize::from(self.note);
        let mut body = Vec::new();
        let base = 64 + 56 * headers;
        let mut programs = Vec::new();
        if self.note {
            // XEN_ELFNOTE_PHYS32_ENTRY (18) of "Xen".
            let mut note = Vec::new();
            put(&mut note, &[(4, 4), (4, 4), (18, 4)]);
            note.extend_from_slice(b"Xen\0");
            put(&mut note, &[(CODE, 4)]);
            program(&mut programs, 4, base, 0, note.len(), note.len() as u64);
            body.extend(note);
        }
        for (address, data, bytes) in &self.segments {
            program(&mut programs, 1, base + body.len(), *address, data.len(), *bytes);
            body.extend(data);
        }
        let (symbols, names) = self.tables();
        let at = base + body.len();
        let mut file = header(headers, at + symbols.len() + names.len());
        file.extend(programs);
        file.extend(body);
        file.extend(&symbols);
        file.extend(&names);
        file.extend([0; 64]);
        // SHT_SYMTAB, linked to section 2; SHT_STRTAB. Section names are empty: offset 0 of the names.
        section(&mut file, 2, at, symbols.len(), 2, 24);
        section(&mut file, 3, at + symbols.len(), names.len(), 0, 0);
        file
    }

    fn tables(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut symbols, mut names) = (vec![0; 24], vec![0]);
        for (name, address, bytes) in &self.symbols {
            // STB_GLOBAL, STT_FUNC, defined in section 1.
            let fields = [(names.len() as u64, 4), (0x12, 1), (0, 1), (1, 2), (*address, 8), (*bytes, 8)];
            put(&mut symbols, &fields);
            names.extend(name.bytes());
            names.push(0);
        }
        (symbols, names)
    }
}

fn header(programs: usize, sections: usize) -> Vec<u8> {
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    put(&mut out, &[(2, 2), (62, 2), (1, 4), (CODE, 8), (64, 8), (sections as u64, 8), (0, 4)]);
    put(&mut out, &[(64, 2), (56, 2), (programs as u64, 2), (64, 2), (3, 2), (2, 2)]);
    out
}

fn program(out: &mut Vec<u8>, kind: u64, offset: usize, address: u64, bytes: usize, memory: u64) {
    let align = if kind == 4 { 4 } else { 1 };
    put(out, &[(kind, 4), (7, 4), (offset as u64, 8), (address, 8), (address, 8)]);
    put(out, &[(bytes as u64, 8), (memory, 8), (align, 8)]);
}

fn section(out: &mut Vec<u8>, kind: u64, offset: usize, bytes: usize, link: u64, entry: u64) {
    put(out, &[(0, 4), (kind, 4), (0, 8), (0, 8), (offset as u64, 8), (bytes as u64, 8)]);
    put(out, &[(link, 4), (1, 4), (1, 8), (entry, 8)]);
}
