//! Walking the chain of frames, and naming what is found.

use core::arch::asm;
use core::fmt;

use guest_kernel::symbols::{HEADER_BYTES, Symbols};

use super::boot::{Image, boot_stack, boot_stack_top};
use super::stack;

/// The caller's frame pointer.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let value;
    // SAFETY: reads a register; the image is compiled with frame pointers.
    unsafe { asm!("mov {}, rbp", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Return addresses from one frame outwards. A frame outside of known stacks ends the walk.
#[derive(Clone, Debug)]
pub struct Walk(u64);

impl Walk {
    /// From the frame at `rbp`.
    pub fn from(rbp: u64) -> Self {
        Self(rbp)
    }
}

impl Iterator for Walk {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let rbp = self.0;
        let (bottom, top) = stack_around(rbp)?;
        if !rbp.is_multiple_of(8) || rbp < bottom || rbp + 16 > top {
            return None;
        }
        // SAFETY: both words are in the mapped part of a stack.
        let (next, address) =
            unsafe { ((rbp as *const u64).read_volatile(), (rbp as *const u64).add(1).read_volatile()) };
        // Outwards on the same stack, or over to the stack that was interrupted; never inwards.
        self.0 = if next <= rbp && next >= bottom { 0 } else { next };
        (address != 0).then_some(address)
    }
}

/// Fills `into` with return addresses of the calling thread; the number found.
pub fn fill(into: &mut [u64]) -> usize {
    fill_from(frame_pointer(), into)
}

/// Fills `into` with return addresses from the frame at `rbp` outwards; the number found.
pub fn fill_from(rbp: u64, into: &mut [u64]) -> usize {
    let mut found = 0;
    for (place, address) in into.iter_mut().zip(Walk::from(rbp)) {
        *place = address;
        found += 1;
    }
    found
}

fn stack_around(address: u64) -> Option<(u64, u64)> {
    let boot = (&raw const boot_stack as u64, &raw const boot_stack_top as u64);
    if (boot.0..boot.1).contains(&address) { Some(boot) } else { stack::around(address) }
}

/// What an image holds that was not finished: no table.
#[used]
#[unsafe(link_section = ".symbols")]
static PLACEHOLDER: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

/// The symbol table that the image's build appended; `None` in an image that was not finished.
pub fn symbols() -> Option<Symbols<'static>> {
    let start = Image::get().symbols as *const u8;
    // SAFETY: the image's last segment begins here; it is loaded, constant, and at least a header long.
    let header = unsafe { core::slice::from_raw_parts(start, HEADER_BYTES) };
    let length = Symbols::length(header)?;
    // SAFETY: the build that wrote the header loaded that many bytes.
    Symbols::new(unsafe { core::slice::from_raw_parts(start, length) })
}

/// Address of the first byte after image and symbol table.
pub fn image_end() -> u64 {
    let start = Image::get().symbols;
    // SAFETY: as in `symbols`.
    let header = unsafe { core::slice::from_raw_parts(start as *const u8, HEADER_BYTES) };
    start + Symbols::length(header).unwrap_or(HEADER_BYTES) as u64
}

/// Most lines of a printed backtrace.
const LINES: usize = 48;
/// Most frames that are looked at for it: two stacks from end to end.
const FRAMES: usize = 4096;

/// Prints return addresses, innermost first; a function that calls itself takes one line a run.
///
/// # Errors
/// What the writer says.
pub fn print(out: &mut impl fmt::Write, frames: impl Iterator<Item = u64>) -> fmt::Result {
    let symbols = symbols();
    let mut frames = frames.take(FRAMES).enumerate().peekable();
    let mut lines = 0;
    while let Some((depth, address)) = frames.next() {
        if lines == LINES {
            return writeln!(out, "     and {} more", frames.count() + 1);
        }
        lines += 1;
        // A return address may be the first byte of the next function: look one back.
        match symbols.and_then(|s| s.find(address - 1)) {
            Some((name, offset)) => write!(out, "{depth:3}: {address:#012x} {name}+{:#x}", offset + 1)?,
            None => write!(out, "{depth:3}: {address:#012x} ?")?,
        }
        let mut again = 0;
        while frames.next_if(|&(_, next)| next == address).is_some() {
            again += 1;
        }
        match again {
            0 => writeln!(out)?,
            n => writeln!(out, ", and {n} times more")?,
        }
    }
    Ok(())
}
