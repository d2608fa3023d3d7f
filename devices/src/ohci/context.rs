//! DMA contexts and their programs (OHCI 1.1, chapter 3).
//!
//! A context's program is a list of descriptor blocks. The last descriptor of each block has the address of the next block with the number of
//! its descriptors, Z; Z = 0 ends the list for now. Then the context is not active any more, until software sets WAKE: the branch
//! is read again. A context that forgets WAKE stands still, as real ones do.

use crate::env::{DmaError, Env};
use crate::spec::ohci as spec;

/// Why a context does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It died, with this event code.
    Dead(u32),
    /// The card is off the bus.
    Gone,
}

impl Stop {
    /// What a DMA error means at a place where the event code for errors is `code`.
    pub fn from_dma(error: DmaError, code: u32) -> Self {
        match error {
            DmaError::Removed => Stop::Gone,
            DmaError::NotMaster | DmaError::NoMemory(_) => Stop::Dead(code),
        }
    }
}

/// A descriptor (figures 7-1 to 10-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes of the data.
    pub count: u16,
    /// Command, key, interrupt, branch and wait fields.
    pub control: u16,
    /// Where the data is.
    pub data: u32,
    /// The next block, with Z in bits 3:0.
    pub branch: u32,
    /// Bytes left of the data, or a time stamp.
    pub residue: u16,
    /// Status: the lower half of ContextControl at the end.
    pub status: u16,
}

impl Descriptor {
    /// Reads the fields of 16 bytes.
    pub fn parse(bytes: &[u8; spec::DESCRIPTOR_BYTES]) -> Self {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u32::from(word(at)) | u32::from(word(at + 2)) << 16;
        Self {
            count: word(0),
            control: word(2),
            data: long(4),
            branch: long(8),
            residue: word(12),
            status: word(14),
        }
    }

    /// Command.
    pub fn command(&self) -> u16 {
        self.control >> 12
    }

    /// Key.
    pub fn key(&self) -> u16 {
        self.control >> 8 & 7
    }

    /// Interrupt field: 3 = always, 1 = for errors.
    pub fn interrupt(&self) -> u16 {
        self.control >> 4 & 3
    }

    /// Status is to be written (isochronous contexts).
    pub fn wants_status(&self) -> bool {
        self.control & 1 << 11 != 0
    }

    /// Wait for the synchronisation code (isochronous receive).
    pub fn waits(&self) -> bool {
        self.control & 3 == 3
    }
}

/// A descriptor block, read as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    address: u32,
    count: usize,
    bytes: [[u8; spec::DESCRIPTOR_BYTES]; spec::BLOCK],
}

impl Block {
    /// Descriptors, immediate data included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Descriptor `index`, which must be less than [`Block::count`].
    pub fn at(&self, index: usize) -> Descriptor {
        Descriptor::parse(&self.bytes[index])
    }

    /// The 16 bytes at descriptor `index`, as data.
    pub fn raw(&self, index: usize) -> &[u8; spec::DESCRIPTOR_BYTES] {
        &self.bytes[index]
    }

    /// Where descriptor `index` is.
    pub fn address(&self, index: usize) -> u32 {
        self.address.wrapping_add((index * spec::DESCRIPTOR_BYTES) as u32)
    }
}

/// The registers that all contexts have, and where the program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// ContextControl.
    pub control: u32,
    /// CommandPtr.
    pub command: u32,
    /// The descriptor whose branch ended the program: what WAKE reads again.
    tail: Option<u32>,
}

impl Context {
    /// True if RUN and ACTIVE are set.
    pub fn works(&self) -> bool {
        self.control & (spec::RUN | spec::ACTIVE) == spec::RUN | spec::ACTIVE
    }

    /// Software sets bits; `modes`: those that this kind has besides. True if the context is to start or to look again.
    pub fn set(&mut self, bits: u32, modes: u32) -> bool {
        self.control |= bits & modes;
        let starts = bits & spec::RUN != 0 && self.control & spec::RUN == 0;
        if starts {
            self.control &= !(spec::DEAD | spec::EVENT_CODE);
            self.control |= spec::RUN;
            self.tail = None;
            if self.command & 0xf != 0 {
                self.control |= spec::ACTIVE;
            }
        }
        let wakes = bits & spec::WAKE != 0 && self.control & (spec::RUN | spec::DEAD) == spec::RUN;
        starts || wakes
    }

    /// Software clears bits. `busy`: something is under way that ends first.
    pub fn clear(&mut self, bits: u32, modes: u32, busy: bool) {
        self.control &= !(bits & modes);
        if bits & spec::RUN != 0 {
            self.control &= !(spec::RUN | spec::DEAD | spec::WAKE);
            if !busy {
                self.control &= !spec::ACTIVE;
            }
        }
    }

    /// Software writes CommandPtr: only while the context stands still (3.1.2).
    pub fn write_command(&mut self, value: u32) {
        if self.control & (spec::RUN | spec::ACTIVE) == 0 {
            self.command = value;
            self.tail = None;
        }
    }

    /// WAKE: if the program had ended, looks whether it goes on now.
    pub fn wake(&mut self, env: &mut dyn Env) -> Result<(), Stop> {
        if self.control & (spec::RUN | spec::ACTIVE | spec::DEAD) == spec::RUN {
            if let Some(tail) = self.tail {
                self.branch(tail, env)?;
            } else if self.command & 0xf != 0 {
                self.control |= spec::ACTIVE;
            }
        }
        Ok(())
    }

    /// Reads the block that CommandPtr points to.
    pub fn read(&self, env: &mut dyn Env) -> Result<Block, Stop> {
        self.read_at(self.command, env)
    }

    /// Reads the block at `command` (address and Z).
    pub fn read_at(&self, command: u32, env: &mut dyn Env) -> Result<Block, Stop> {
        let count = (command & 0xf) as usize;
        if !(1..=spec::BLOCK).contains(&count) {
            return Err(Stop::Dead(spec::code::UNKNOWN));
        }
        let mut block = Block { address: command & !0xf, count, ..Block::default() };
        let into = block.bytes[..count].as_flattened_mut();
        env.dma_read(block.address.into(), into)
            .map_err(|e| Stop::from_dma(e, spec::code::DESCRIPTOR_READ))?;
        Ok(block)
    }

    /// Goes on behind the descriptor at `last`, whose branch is read now: software may have set it in the meantime.
    pub fn branch(&mut self, last: u32, env: &mut dyn Env) -> Result<(), Stop> {
        let mut bytes = [0; spec::DESCRIPTOR_BYTES];
        env.dma_read(last.into(), &mut bytes).map_err(|e| Stop::from_dma(e, spec::code::DESCRIPTOR_READ))?;
        self.follow(last, Descriptor::parse(&bytes).branch);
        Ok(())
    }

    /// Goes on at `branch`, or stops behind the descriptor at `last` if there is nothing.
    pub fn follow(&mut self, last: u32, branch: u32) {
        if branch & 0xf == 0 {
            self.tail = Some(last);
            self.control &= !spec::ACTIVE;
        } else {
            self.tail = None;
            self.command = branch;
            self.control |= spec::ACTIVE;
        }
    }

    /// True if there is a block that was not looked at yet.
    pub fn has_more(&self) -> bool {
        self.control & (spec::RUN | spec::DEAD) == spec::RUN && self.tail.is_none() && self.command & 0xf != 0
    }

    /// Sets the event code.
    pub fn tell(&mut self, code: u32) {
        self.control = self.control & !spec::EVENT_CODE | code & spec::EVENT_CODE;
    }

    /// Sets the speed of the packet received last.
    pub fn tell_speed(&mut self, speed: u8) {
        self.control = self.control & !(7 << spec::SPEED_SHIFT) | u32::from(speed & 7) << spec::SPEED_SHIFT;
    }

    /// The status that descriptors get.
    pub fn status(&self) -> u16 {
        self.control as u16
    }

    /// Writes residue and status of the descriptor at `address`.
    pub fn write_status(&self, address: u32, residue: u16, env: &mut dyn Env) -> Result<(), Stop> {
        let word = u32::from(self.status()) << 16 | u32::from(residue);
        let at = u64::from(address) + 12;
        env.dma_write(at, &word.to_le_bytes()).map_err(|e| Stop::from_dma(e, spec::code::UNKNOWN))
    }

    /// Dies (3.1.1.1).
    pub fn die(&mut self, code: u32) {
        self.tell(code);
        self.control = self.control & !spec::ACTIVE | spec::DEAD;
    }
}
