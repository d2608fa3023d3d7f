//! What a task's threads run.

use super::user::UserThread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// A program that is kernel code and behaves like user code.
///
/// It must return soon after a trap was answered with [`KernReturn::Terminated`](abi::KernReturn::Terminated): all later ones are too.
pub trait NativeProgram: Send + Sync {
    /// What one thread does: the first with the image's entry 0, others with what [`Trap::ThreadCreate`](abi::Trap::ThreadCreate) said. The
    /// answer is the thread's exit code.
    fn run(&self, user: &UserThread, entry: u64, argument: u64) -> u64;
}

impl<F: Fn(&UserThread, u64, u64) -> u64 + Send + Sync> NativeProgram for F {
    fn run(&self, user: &UserThread, entry: u64, argument: u64) -> u64 {
        self(user, entry, argument)
    }
}

/// A piece of an image.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Where it lies; page-aligned.
    pub address: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// What may be done with it, see [`abi::space::protection`].
    pub protection: u64,
    /// What it begins with; the rest is zeros.
    pub content: &'static [u8],
}

/// An image for the processor's user mode.
pub struct Image {
    /// Where the first thread begins, with its argument in rdi and a stack below [`abi::space::STACK_TOP`].
    pub entry: u64,
    /// What lies where.
    pub pieces: Vec<Piece>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} pieces, entry {:#x})", self.pieces.len(), self.entry)
    }
}

/// What a task's threads run.
#[derive(Clone)]
pub enum Program {
    /// Kernel code that behaves like user code.
    Native(Arc<dyn NativeProgram>),
    /// Code for the processor's user mode.
    Image(Arc<Image>),
}

impl Program {
    /// A closure as a program: (thread, entry, argument) to exit code.
    pub fn native(run: impl Fn(&UserThread, u64, u64) -> u64 + Send + Sync + 'static) -> Self {
        Self::Native(Arc::new(run))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(_) => f.write_str("Native"),
            Self::Image(image) => image.fmt(f),
        }
    }
}
