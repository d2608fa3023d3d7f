//! Cores: ELF files of type `ET_CORE` with a machine's memory and its threads, as debuggers know them from processes.
//!
//! | part | what is in it |
//! |---|---|
//! | `PT_NOTE` | `NT_PRSTATUS` for each thread, its registers in the kernel, its number as process id, the one that matters first; `NT_PRPSINFO` once; the note of type [`NOTE_ABOUT`] and name `Workgate`: [`About`] as JSON |
//! | `PT_LOAD` | memory at the kernel's virtual addresses, by its page tables; and what is mapped nowhere, at its physical address |
//!
//! All memory is in the file once, in order of physical addresses; pages of zeros are holes. Several segments may share a part of it.

mod layout;
mod notes;
mod read;
mod write;

pub use notes::{About, NOTE_ABOUT};
pub use read::{Core, Data, ReadError};
pub use write::{CoreError, Written, write};
