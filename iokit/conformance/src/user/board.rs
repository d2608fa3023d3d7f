//! Where tasks find each other's ports.

use alloc::{collections::BTreeMap, sync::Arc};

use abi::message;
use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, KernelPort, Request, SendRight},
    task::Task,
};

use crate::sync::Shared;

/// Id of a message that puts a right on the board.
pub(super) const PUT: u32 = 1;
/// Id of a message that asks for a copy of one.
pub(super) const GET: u32 = 2;

/// A kernel object that keeps send rights by number.
struct Board {
    rights: Shared<BTreeMap<u32, SendRight>>,
}

impl KernelObject for Board {
    fn message(&self, _: &KernelRef, _: &Arc<Task>, mut request: Request) -> Option<Answer> {
        let slot = message::word(&request.body, 0);
        let mut answer = Answer::default();
        match request.id {
            PUT => {
                let new = request.items.pop();
                let mut rights = self.rights.lock();
                let before = match new {
                    Some(Item::Port(right)) => rights.insert(slot, right),
                    _ => rights.remove(&slot),
                };
                drop(rights);
                drop(before);
            }
            GET => {
                let copy = self.rights.lock().get(&slot).and_then(SendRight::duplicate);
                answer.items.push(copy.map_or(Item::Nothing, Item::Port));
            }
            _ => return None,
        }
        Some(answer)
    }
}

/// Lets tasks of a kernel find each other's ports, by way of the host port, until it is dropped.
pub struct Meeting {
    board: Arc<Board>,
    _port: KernelPort,
}

impl Meeting {
    /// An empty board.
    pub fn new(kernel: &KernelRef) -> Self {
        let board = Arc::new(Board { rights: Shared::new(kernel, BTreeMap::new()) });
        let port = KernelPort::of(kernel, board.clone());
        kernel.set_host_port(port.make_send());
        Self { board, _port: port }
    }

    /// Takes all rights off the board.
    pub fn clear(&self) {
        self.board.rights.set(BTreeMap::new());
    }
}
