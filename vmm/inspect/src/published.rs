//! What the guest kernel publishes for those outside (`abi::threads`), read as hostile bytes.

use crate::paging::Space;
use abi::threads::{self, directory, entry, root};
use object::Endianness;
use object::read::elf::{ElfFile64, ProgramHeader};
use std::collections::BTreeMap;

/// Entries of the table of what threads hold, at the most.
const MAX_HELD: u32 = 65_536;
/// Blocks of processors, at the most.
const MAX_BLOCKS: u32 = 256;

/// Address of the image's [`threads::Root`]; `None`: the image publishes nothing.
pub fn root_of(image: &[u8]) -> Option<u64> {
    let elf = ElfFile64::<Endianness>::parse(image).ok()?;
    let endian = elf.endian();
    let notes = elf.elf_program_headers().iter().filter_map(|segment| segment.notes(endian, image).ok()?);
    for mut notes in notes {
        while let Ok(Some(note)) = notes.next() {
            let ours =
                note.name() == threads::NOTE_NAME.as_bytes() && note.n_type(endian).0 == threads::NOTE_ROOT;
            if ours {
                return Some(u64::from_le_bytes(note.desc().try_into().ok()?));
            }
        }
    }
    None
}

/// Little-endian fields of a structure.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let part = at.checked_add(N).and_then(|end| self.0.get(at..end));
        part.and_then(|part| part.try_into().ok()).unwrap_or([0; N])
    }

    pub fn byte(&self, at: usize) -> u8 {
        u8::from_le_bytes(self.take(at))
    }

    pub fn half(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.take(at))
    }

    pub fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.take(at))
    }

    /// A name, up to its first zero. The guest's: not to be printed as it is.
    pub fn name(&self, at: usize) -> String {
        let bytes: [u8; threads::NAME_BYTES] = self.take(at);
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).chars().filter(|c| !c.is_control()).collect()
    }
}

/// The root.
pub(crate) struct Root {
    pub blocks: u32,
    pub directory: u64,
    first_block: u64,
    block_bytes: u32,
    thread_at: u32,
    user_stack_at: u32,
    stack_pointer_at: u32,
    stacks: u64,
    stack_slot: u64,
}

impl Root {
    /// Reads it; `None` if there is none of a known version.
    pub fn read(space: &Space<'_>, address: u64) -> Option<Self> {
        let bytes: [u8; root::BYTES] = space.bytes(address)?;
        let fields = Fields(&bytes);
        let known =
            fields.word(root::MAGIC) == threads::ROOT_MAGIC && fields.half(root::VERSION) == threads::VERSION;
        known.then(|| Self {
            blocks: fields.half(root::BLOCKS).min(MAX_BLOCKS),
            directory: fields.word(root::DIRECTORY),
            first_block: fields.word(root::FIRST_BLOCK),
            block_bytes: fields.half(root::BLOCK_BYTES),
            thread_at: fields.half(root::THREAD_AT),
            user_stack_at: fields.half(root::USER_STACK_AT),
            stack_pointer_at: fields.half(root::STACK_POINTER_AT),
            stacks: fields.word(root::STACKS),
            stack_slot: fields.word(root::STACK_SLOT).max(1),
        })
    }

    fn block(&self, cpu: usize) -> Option<u64> {
        let cpu = u32::try_from(cpu).ok().filter(|&cpu| cpu < self.blocks)?;
        self.first_block.checked_add(u64::from(cpu) * u64::from(self.block_bytes))
    }

    /// The number of the thread that a processor runs.
    pub fn thread_on(&self, space: &Space<'_>, cpu: usize) -> Option<u32> {
        let at = self.block(cpu)?.checked_add(u64::from(self.thread_at))?;
        space.bytes(at).map(u32::from_le_bytes).filter(|&thread| thread != 0)
    }

    /// Where the registers lie of the thread whose user code a processor runs.
    pub fn user_frame(&self, space: &Space<'_>, cpu: usize) -> Option<u64> {
        let at = self.block(cpu)?.checked_add(u64::from(self.user_stack_at))?;
        space.word(at)?.checked_add(8)
    }

    /// Where the registers lie of a thread that was left; 0 = it never was.
    pub fn frame(&self, space: &Space<'_>, context: u64) -> Option<u64> {
        space.word(context.checked_add(u64::from(self.stack_pointer_at))?).filter(|&at| at != 0)
    }

    /// The number of the stack that `address` is in.
    pub fn stack_of(&self, address: u64) -> Option<u64> {
        Some(address.checked_sub(self.stacks)? / self.stack_slot)
    }
}

/// An entry of the directory.
pub(crate) struct Entry {
    pub id: u32,
    pub state: u8,
    pub priority: u8,
    pub base: u8,
    pub lock_class: u8,
    pub context: u64,
    pub event: u64,
    pub lock: u64,
    pub lock_owner: u32,
    pub task: u32,
    pub name: String,
    pub task_name: String,
    pub policy: String,
}

impl Entry {
    fn read(space: &Space<'_>, address: u64) -> Option<Self> {
        let bytes: [u8; entry::BYTES] = space.bytes(address)?;
        let fields = Fields(&bytes);
        Some(Self {
            id: fields.half(entry::ID),
            state: fields.byte(entry::STATE),
            priority: fields.byte(entry::PRIORITY),
            base: fields.byte(entry::BASE),
            lock_class: fields.byte(entry::LOCK_CLASS),
            context: fields.word(entry::CONTEXT),
            event: fields.word(entry::EVENT),
            lock: fields.word(entry::LOCK),
            lock_owner: fields.half(entry::LOCK_OWNER),
            task: fields.half(entry::TASK),
            name: fields.name(entry::NAME),
            task_name: fields.name(entry::TASK_NAME),
            policy: fields.name(entry::POLICY),
        })
    }
}

/// The directory, read whole.
#[derive(Default)]
pub(crate) struct Directory {
    /// By number.
    pub threads: BTreeMap<u32, Entry>,
    held: BTreeMap<u32, u64>,
    classes: Vec<String>,
}

impl Directory {
    /// Reads it; empty if there is none yet, or none of a known version.
    pub fn read(space: &Space<'_>, address: u64) -> Self {
        let mut found = Self::default();
        let Some(bytes) = space.bytes::<{ directory::BYTES }>(address) else { return found };
        let fields = Fields(&bytes);
        if fields.word(0) != threads::DIRECTORY_MAGIC || fields.half(directory::VERSION) != threads::VERSION {
            return found;
        }
        found.read_classes(space, fields.word(directory::CLASSES));
        found.read_held(space, fields.word(directory::HELD), fields.half(directory::HELD_COUNT));
        for n in 0..threads::CHUNKS {
            match fields.word(directory::CHUNKS + n * 8) {
                0 => break,
                chunk => found.read_chunk(space, chunk),
            }
        }
        found
    }

    fn read_chunk(&mut self, space: &Space<'_>, chunk: u64) {
        let mut places = vec![0; threads::PLACES * 8];
        let read = space.read(chunk, &mut places);
        for place in places[..read].as_chunks::<8>().0 {
            let address = u64::from_le_bytes(*place);
            let entry = if address == 0 { None } else { Entry::read(space, address) };
            if let Some(entry) = entry.filter(|entry| entry.id != 0) {
                self.threads.insert(entry.id, entry);
            }
        }
    }

    fn read_held(&mut self, space: &Space<'_>, address: u64, count: u32) {
        if address == 0 {
            return;
        }
        let mut bytes = vec![0; count.min(MAX_HELD) as usize * threads::HELD_BYTES];
        let read = space.read(address, &mut bytes);
        for held in bytes[..read].as_chunks::<{ threads::HELD_BYTES }>().0 {
            let fields = Fields(held);
            let (thread, classes) = (fields.half(0), fields.word(threads::HELD_AT));
            if thread != 0 && classes != 0 {
                self.held.insert(thread, classes);
            }
        }
    }

    fn read_classes(&mut self, space: &Space<'_>, address: u64) {
        if address == 0 {
            return;
        }
        let mut bytes = vec![0; threads::CLASSES * threads::NAME_BYTES];
        let read = space.read(address, &mut bytes);
        let names = bytes[..read].as_chunks::<{ threads::NAME_BYTES }>().0;
        self.classes = names.iter().map(|name| Fields(name).name(0)).collect();
    }

    /// The name of a class of locks; `None` for class 0, and for one that there is not.
    pub fn class(&self, number: u8) -> Option<&str> {
        let name = self.classes.get(usize::from(number).checked_sub(1)?)?;
        (!name.is_empty()).then_some(name)
    }

    /// What a thread holds, the last one taken first.
    pub fn held_by(&self, thread: u32) -> Vec<String> {
        let classes = self.held.get(&thread).copied().unwrap_or(0).to_le_bytes();
        let held = classes.iter().take_while(|&&class| class != 0);
        held.filter_map(|&class| self.class(class).map(str::to_owned)).collect()
    }
}
