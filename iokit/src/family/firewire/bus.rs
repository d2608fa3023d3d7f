//! One bus: the nodes behind one controller, what is on its way to them, and the thread that finds out who is there.
//!
//! ```text
//! bus reset ─────────► gate: everything in flight comes back as BusReset, nothing is sent ─┐
//! self-ID packets ───► gate: a new generation, the tree ───────────────────────────────────┼─► wake ─► this thread: reads ROMs, publishes, terminates
//! nub stopped ───────► the node may be met again ──────────────────────────────────────────┘
//! ```

use super::Generation;
use super::address_space::{AddressSpace, Handler};
use super::controller::{Link, Packet};
use super::device::Device;
use super::standard::{self, rcode, tcode};
use super::topology::Topology;
use super::transactions::{Done, Finished, Sent, Tag, Transactions};
use crate::family;
use crate::family::bus::{Bus as _, Trunk};
use crate::family::ticket::Ticket;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use crate::work_loop::{Gated, WorkLoop};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use mach::{WaitEvent, WaitMode};

/// Bytes of data of one packet at the most, whatever way and node allow.
pub const PAYLOAD_MAX: usize = 512;
/// Requests of threads that are in flight together; further ones wait.
const IN_FLIGHT: usize = 32;

/// What the gate protects.
#[derive(Default)]
pub(super) struct State {
    /// The last bus reset.
    last: u32,
    /// The bus has IDs since it.
    settled: bool,
    /// The local node's ID.
    pub(super) local: u8,
    pub(super) tree: Topology,
    transactions: Transactions,
    space: AddressSpace,
    pub(super) devices: Vec<Arc<Device>>,
    /// Somebody shall look who is there.
    look: bool,
    /// Why nothing goes any more.
    dead: Option<IOReturn>,
}

/// The bus behind one controller.
pub struct Bus {
    link: Arc<dyn Link>,
    service: Weak<Service>,
    pub(super) state: Gated<State>,
    /// What threads sleep on whose request has no room.
    room: WaitEvent,
    trunk: Trunk,
}

impl Bus {
    /// The bus of the controller whose driver is `controller`. Nobody looks at it yet.
    pub fn new(controller: &ServiceRef, link: Arc<dyn Link>) -> Arc<Self> {
        let room = controller.kernel().new_event();
        let state = Gated::new(link.work_loop(), State::default());
        let trunk = Trunk::new("firewire", controller);
        Arc::new(Self { link, service: Arc::downgrade(controller), state, room, trunk })
    }

    /// The controller.
    pub fn link(&self) -> &Arc<dyn Link> {
        &self.link
    }

    /// The service of the controller's driver, while there is one.
    pub(super) fn service(&self) -> Option<ServiceRef> {
        self.service.upgrade()
    }

    /// The generation that the bus is in; `None` while it has no IDs. Gated.
    pub(super) fn current(&self) -> Option<Generation> {
        self.state.with(|s| (s.settled && s.dead.is_none()).then_some(Generation(s.last)))
    }

    /// The local node's ID, in the generation that the bus is in. Gated.
    pub fn local(&self) -> u8 {
        self.state.with(|s| s.local)
    }

    /// BusReset: `generation` is over. Offline, NotResponding: so is the bus. Gated.
    pub(super) fn check(&self, generation: Generation) -> IOResult {
        self.state.with(|s| match s.dead {
            Some(why) => Err(why),
            None if s.settled && s.last == generation.0 => Ok(()),
            None => Err(IOReturn::BusReset),
        })
    }

    /// A bus reset has begun: nothing is sent any more, and what is in flight comes back. Gated, on the work loop's thread.
    pub fn reset_began(&self) {
        let finished = self.state.with(|s| {
            s.last = s.last.wrapping_add(1);
            s.settled = false;
            s.transactions.fail_all(IOReturn::BusReset)
        });
        self.tell(finished);
        self.wake_all();
    }

    /// The bus has IDs again: that of the local node, and the self-ID packets. Gated, on the work loop's thread.
    pub fn identified(&self, local: u8, packets: &[u32]) {
        let tree = Topology::parse(packets).filter(|tree| local < tree.count());
        if tree.is_none() {
            self.kernel().log(format_args!("firewire: slot {}: the nodes make no tree", self.slot()));
        }
        self.state.with(|s| {
            s.local = local;
            s.tree = tree.unwrap_or_default();
            s.settled = true;
            s.look = true;
        });
        self.wake();
    }

    /// What became of sending a request. Gated.
    pub fn sent(&self, tag: Tag, sent: Sent) {
        let finished = self.state.with(|s| s.transactions.sent(tag, sent));
        self.tell(finished);
    }

    /// A response came. Gated.
    pub fn response(&self, packet: Packet) {
        let result = standard::response(packet.rcode).map(|()| packet.data);
        let finished = self.state.with(|s| s.transactions.answered(packet.node, packet.label, result));
        self.tell(finished);
    }

    /// A request came. Gated.
    pub fn request(&self, packet: &Packet) {
        let write = matches!(packet.tcode, tcode::WRITE_QUADLET | tcode::WRITE_BLOCK);
        let found = self.state.with(|s| s.space.find(packet.offset, packet.data.len())).filter(|_| write);
        let code = match found {
            Some((handler, at)) => {
                handler(packet.node, at, &packet.data);
                rcode::COMPLETE
            }
            None => rcode::ADDRESS,
        };
        if packet.pending {
            // If there is no room for it the sender learns nothing, and asks again.
            let _ = self.link.respond(&answer(packet, code));
        }
    }

    /// Looks for what has been in flight for too long, at machine time `now`. True: something still is. Gated.
    pub fn expire(&self, now: u64) -> bool {
        let finished = self.state.with(|s| s.transactions.expire(now));
        self.tell(finished);
        self.state.with(|s| s.transactions.count() != 0)
    }

    /// The controller is gone, or does nothing any more: everything comes back as `why`, and nothing is begun. Gated.
    pub fn fail_all(&self, why: IOReturn) {
        let finished = self.state.with(|s| {
            s.dead.get_or_insert(why);
            s.transactions.fail_all(why)
        });
        self.tell(finished);
        self.wake_all();
        self.link.work_loop().wakeup_gate(self.room, false);
    }

    fn tell(&self, finished: impl IntoIterator<Item = Finished>) {
        let mut any = false;
        for finished in finished {
            any = true;
            finished.tell();
        }
        if any {
            self.link.work_loop().wakeup_gate(self.room, false);
        }
    }

    /// Wakes whoever waits for a node.
    fn wake_all(&self) {
        let devices = self.state.with(|s| s.devices.clone());
        devices.iter().for_each(|device| device.wake());
    }

    /// Begins a request whose answer has `answer` bytes. On an error `done` is not called. Gated; does not sleep.
    pub(super) fn submit(
        &self,
        generation: Generation,
        packet: &Packet,
        answer: usize,
        done: Done,
    ) -> IOResult {
        self.check(generation)?;
        let done: Done = Box::new(move |result| {
            done(result.and_then(|data| match data.len() == answer {
                true => Ok(data),
                // An answer of another length is none.
                false => Err(IOReturn::NotResponding),
            }));
        });
        let deadline = self.kernel().now().saturating_add(standard::SPLIT_TIMEOUT_NS);
        let tag = self.state.with(|s| s.transactions.begin(packet.node, deadline, done))?;
        let packet = Packet { label: tag.label, ..packet.clone() };
        let sent = self.link.send(tag, &packet);
        if sent.is_err() {
            let unsent = self.state.with(|s| s.transactions.cancel(tag));
            drop(unsent);
        } else {
            self.link.watch();
        }
        sent
    }

    /// Begins a request by `submit`, when there is room, and sleeps until it has come back. Everything that is in flight does, in bounded time: by
    /// its answer, its timeout, a bus reset, or with the controller. Gated.
    pub(super) fn wait_for(&self, submit: impl FnOnce(Done) -> IOResult) -> IOResult<Vec<u8>> {
        let work_loop = self.link.work_loop();
        while self.state.with(|s| s.dead.is_none() && s.transactions.count() >= IN_FLIGHT) {
            work_loop.sleep_gate(self.room, WaitMode::Uninterruptible, None);
        }
        let ticket = Ticket::new(self.kernel(), work_loop);
        submit(Box::new(ticket.done()))?;
        ticket.wait()
    }

    /// Takes a range of addresses of the local node, to which other nodes may write; its address. Gated. NoSpace.
    pub fn allocate(&self, bytes: u64, handler: Handler) -> IOResult<u64> {
        self.state.with(|s| s.space.allocate(bytes, handler))
    }

    /// Gives a range back. Gated.
    pub fn free(&self, address: u64) {
        let handler = self.state.with(|s| s.space.free(address));
        drop(handler);
    }

    /// The nub of `device` was stopped: it may be met again.
    pub(super) fn nub_stopped(&self, device: &Arc<Device>) {
        self.gated(|| {
            self.forget(device);
            self.state.with(|s| s.look = true);
        });
        self.wake();
    }

    /// Nobody knows this node any more. Gated.
    pub(super) fn forget(&self, device: &Arc<Device>) {
        device.set_gone();
        let gone = self.state.with(|s| {
            let at = s.devices.iter().position(|other| Arc::ptr_eq(other, device));
            at.map(|at| s.devices.remove(at))
        });
        drop(gone);
    }
}

impl family::bus::Bus for Bus {
    fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    fn work_loop(&self) -> &Arc<WorkLoop> {
        self.link.work_loop()
    }

    fn look_around(self: &Arc<Self>) {
        let generation = self.gated(|| {
            let looks = self.state.with(|s| core::mem::replace(&mut s.look, false));
            self.current().filter(|_| looks)
        });
        if let Some(generation) = generation {
            self.scan(generation);
        }
    }

    fn forget_all(&self) {
        let devices = self.gated(|| self.state.with(|s| core::mem::take(&mut s.devices)));
        drop(devices);
    }
}

/// The response to a request that nobody has data for.
fn answer(request: &Packet, rcode: u8) -> Packet {
    let tcode = match request.tcode {
        tcode::READ_QUADLET => tcode::READ_QUADLET_RESPONSE,
        tcode::READ_BLOCK => tcode::READ_BLOCK_RESPONSE,
        tcode::LOCK => tcode::LOCK_RESPONSE,
        _ => tcode::WRITE_RESPONSE,
    };
    Packet { tcode, rcode, data: Vec::new(), wanted: 0, offset: 0, ..request.clone() }
}
