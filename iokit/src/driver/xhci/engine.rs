//! What the gate protects: rings, device slots, what is in flight. Nothing here sleeps or calls anybody; what others are to be told is
//! collected in [`Work`].

use super::channel::{Channel, Step};
use super::context::{self, Input};
use super::flight::{self, Finished, Staged};
use super::hardware::Hardware;
use super::regs::{code, kind};
use super::ring::{EventRing, Ring};
use super::trb::Trb;
use crate::IoKit;
use crate::family::usb::{Chain, Handle, Place};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use mach::{DmaBuffer, WaitEvent};

/// How long a command may take before it is aborted, and its abortion before the controller is given up, machine ns.
const COMMAND_NS: u64 = 5_000_000_000;

/// Who waits for a command.
enum Then {
    /// A thread, by its ticket.
    Answer(u64),
    /// An endpoint that is to come to rest.
    Rested(Handle, u8),
    /// An endpoint that is moved on.
    Moved(Handle, u8),
    /// A device that is gone.
    Disabled(Handle),
}

struct Pending {
    index: u16,
    then: Then,
}

/// What others are to be told, once nobody looks into the engine.
#[derive(Default)]
pub struct Work {
    /// Transfers that have come back.
    pub finished: Vec<Finished>,
    /// Threads whose commands have.
    pub woken: Vec<WaitEvent>,
    /// Root ports with news.
    pub ports: Vec<u8>,
}

impl Work {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.woken.is_empty() && self.ports.is_empty()
    }
}

/// One device slot in use.
struct Slot {
    handle: Handle,
    gone: bool,
    place: Place,
    input: DmaBuffer,
    output: DmaBuffer,
    channels: BTreeMap<u8, Channel>,
}

/// Memory that the controller works with.
pub struct Memory {
    /// The device context base address array.
    pub contexts: DmaBuffer,
    /// The event ring's table of segments.
    pub table: DmaBuffer,
    /// The event ring.
    pub events: DmaBuffer,
    /// The command ring.
    pub commands: DmaBuffer,
    /// Pages of the controller's own, and the array that names them first.
    pub scratchpads: Vec<DmaBuffer>,
}

/// What the controller has to be asked for, and has answered.
pub struct Engine {
    kit: IoKit,
    hardware: Hardware,
    contexts: DmaBuffer,
    _table: DmaBuffer,
    _scratchpads: Vec<DmaBuffer>,
    events: EventRing,
    commands: Ring,
    pending: VecDeque<Pending>,
    /// Since when the first of those is being carried out, machine ns.
    since: u64,
    aborting: bool,
    answers: BTreeMap<u64, (WaitEvent, Option<IOResult<u8>>)>,
    tickets: u64,
    slots: BTreeMap<u8, Slot>,
    serial: u32,
    work: Work,
    /// Why the controller is not to be worked with any more.
    dead: Option<IOReturn>,
}

impl Engine {
    /// Writes the tables and tells the controller of them. It has been reset and does not run.
    pub fn new(kit: &IoKit, hardware: &Hardware, memory: Memory) -> Self {
        let Memory { contexts, table, events, commands, scratchpads } = memory;
        for at in (0..contexts.len()).step_by(8) {
            contexts.write_u64(at, 0);
        }
        if let Some((array, pages)) = scratchpads.split_first() {
            for (n, page) in pages.iter().enumerate() {
                array.write_u64(8 * n as u64, page.address());
            }
            contexts.write_u64(0, array.address());
        }
        let events = EventRing::new(events);
        table.write_u64(0, events.base());
        table.write_u64(8, u64::from(events.size()));
        let commands = Ring::new(commands);
        hardware.set_up(contexts.address(), commands.address(0), table.address(), events.pointer());
        Self {
            kit: kit.clone(),
            hardware: hardware.clone(),
            contexts,
            _table: table,
            _scratchpads: scratchpads,
            events,
            commands,
            pending: VecDeque::new(),
            since: 0,
            aborting: false,
            answers: BTreeMap::new(),
            tickets: 0,
            slots: BTreeMap::new(),
            serial: 0,
            work: Work::default(),
            dead: None,
        }
    }

    /// What others are to be told since the last call.
    pub fn take_work(&mut self) -> Work {
        core::mem::take(&mut self.work)
    }

    /// Why the controller is not to be worked with any more, if so.
    pub fn dead(&self) -> Option<IOReturn> {
        self.dead
    }

    /// Whether anything is in flight that can time out, or whose interrupt can be lost.
    pub fn is_busy(&self) -> bool {
        let flies = |slot: &Slot| slot.channels.values().any(Channel::is_busy);
        !self.pending.is_empty() || self.slots.values().any(flies)
    }

    /// Begins a command for a thread: its ticket, and what it sleeps on.
    pub fn ask(&mut self, command: Trb) -> IOResult<(u64, WaitEvent)> {
        self.tickets += 1;
        let ticket = self.tickets;
        let event = self.kit.kernel().new_event();
        self.command(command, Then::Answer(ticket))?;
        self.answers.insert(ticket, (event, None));
        Ok((ticket, event))
    }

    /// What came of it: a device slot; asking takes it.
    pub fn answer(&mut self, ticket: u64) -> Option<IOResult<u8>> {
        let (_, answer) = self.answers.get(&ticket)?;
        let answer = (*answer)?;
        self.answers.remove(&ticket);
        Some(answer)
    }

    fn command(&mut self, command: Trb, then: Then) -> IOResult {
        if let Some(why) = self.dead {
            return Err(why);
        }
        if !self.commands.has_room(1) {
            return Err(IOReturn::NoResources);
        }
        if self.pending.is_empty() {
            self.since = self.kit.kernel().now();
        }
        let mut index = 0;
        self.commands.push(&[command], |at| index = at);
        self.pending.push_back(Pending { index, then });
        if !self.aborting {
            self.hardware.ring(0, 0);
        }
        Ok(())
    }

    /// Takes what the controller has put into the event ring. Whether that was anything.
    pub fn take_events(&mut self) -> bool {
        let mut taken = false;
        // More than the ring holds at once is nonsense, or a storm: the next pass goes on.
        for _ in 0..self.events.size() {
            let Some(event) = self.events.pop() else { break };
            taken = true;
            match event.kind() {
                kind::TRANSFER => self.transferred(&event),
                kind::COMMAND => self.commanded(&event),
                kind::PORT => self.work.ports.push(event.port()),
                _ => {}
            }
        }
        self.hardware.events_taken(self.events.pointer());
        taken
    }

    fn commanded(&mut self, event: &Trb) {
        if event.code() == code::RING_STOPPED {
            self.aborting = false;
            self.since = self.kit.kernel().now();
            if !self.pending.is_empty() {
                self.hardware.ring(0, 0);
            }
            return;
        }
        let Some(index) = self.commands.index_of(event.parameter) else { return };
        // They are carried out in order; what is not known is nonsense of the controller's.
        let Some(at) = self.pending.iter().position(|pending| pending.index == index) else { return };
        let Some(pending) = self.pending.remove(at) else { return };
        self.commands.free(1);
        self.since = self.kit.kernel().now();
        let result = match event.code() {
            code::SUCCESS => Ok(event.slot()),
            code::NO_SLOTS => Err(IOReturn::NoResources),
            code::COMMAND_ABORTED => Err(IOReturn::Timeout),
            code::STALL | 4 => Err(IOReturn::NotResponding),
            _ => Err(IOReturn::Error),
        };
        self.answered(pending.then, result);
    }

    fn answered(&mut self, then: Then, result: IOResult<u8>) {
        match then {
            Then::Answer(ticket) => {
                if let Some((event, answer)) = self.answers.get_mut(&ticket) {
                    *answer = Some(result);
                    self.work.woken.push(*event);
                }
            }
            Then::Rested(handle, context) => {
                self.with_channel(handle, context, |channel, state, finished| {
                    channel.rested(state, finished)
                });
            }
            Then::Moved(handle, context) => {
                self.with_channel(handle, context, |channel, state, finished| {
                    channel.moved(result.is_ok(), state, finished)
                });
            }
            Then::Disabled(handle) => self.forget(handle),
        }
    }

    fn slot(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.slots.get_mut(&handle.slot).filter(|slot| slot.handle == handle)
    }

    /// Lets a channel take a step, with the state in its context, and carries out what follows.
    fn with_channel(
        &mut self,
        handle: Handle,
        context: u8,
        step: impl FnOnce(&mut Channel, u32, &mut Vec<Finished>) -> Step,
    ) {
        let each = self.hardware.context as u64;
        let Some(slot) = self.slots.get_mut(&handle.slot).filter(|slot| slot.handle == handle) else {
            return;
        };
        let state = slot.output.read_u32(u64::from(context) * each) & 7;
        let gone = slot.gone;
        let Some(channel) = slot.channels.get_mut(&context) else { return };
        let step = step(channel, state, &mut self.work.finished);
        // A device that is gone has its slot disabled, and everything with it.
        if gone {
            return;
        }
        let done = match step {
            Step::Rest => Ok(()),
            Step::Ring => {
                self.hardware.ring(handle.slot, context);
                Ok(())
            }
            Step::Stop => self.rest(kind::STOP_ENDPOINT, handle, context),
            Step::Reset => self.rest(kind::RESET_ENDPOINT, handle, context),
            Step::Move(to) => {
                let command = Trb::command(kind::SET_DEQUEUE, to, handle.slot, context);
                self.command(command, Then::Moved(handle, context))
            }
        };
        if done.is_err() {
            self.dead.get_or_insert(IOReturn::NotResponding);
        }
    }

    fn rest(&mut self, what: u32, handle: Handle, context: u8) -> IOResult {
        self.command(Trb::command(what, 0, handle.slot, context), Then::Rested(handle, context))
    }

    fn transferred(&mut self, event: &Trb) {
        let Some(handle) = self.slots.get(&event.slot()).map(|slot| slot.handle) else { return };
        self.with_channel(handle, event.endpoint(), |channel, state, finished| {
            channel.event(event, state, finished)
        });
    }

    /// A device slot that the controller gave: who has it from now on. Error: the controller's numbers make no sense.
    pub fn install(
        &mut self,
        number: u8,
        place: Place,
        (input, output): (DmaBuffer, DmaBuffer),
        control: Channel,
    ) -> IOResult<Handle> {
        if number == 0 || number > self.hardware.slots || self.slots.contains_key(&number) {
            return Err(IOReturn::Error);
        }
        self.serial += 1;
        let handle = Handle { slot: number, serial: self.serial };
        for at in (0..output.len()).step_by(8) {
            output.write_u64(at, 0);
        }
        self.contexts.write_u64(8 * u64::from(number), output.address());
        let channels = BTreeMap::from([(1, control)]);
        self.slots.insert(number, Slot { handle, gone: false, place, input, output, channels });
        Ok(handle)
    }

    /// Writes the input context of a device; its address, and the device's place. Offline if the device is gone.
    pub fn write_input(
        &mut self,
        handle: Handle,
        write: impl FnOnce(&mut Input, &Place, &BTreeMap<u8, Channel>),
    ) -> IOResult<u64> {
        let mut input = Input::new(self.hardware.context);
        let slot = self.slot(handle).filter(|slot| !slot.gone).ok_or(IOReturn::Offline)?;
        write(&mut input, &slot.place, &slot.channels);
        slot.input.write(0, input.bytes());
        Ok(slot.input.address())
    }

    /// Adds an endpoint. Offline if the device is gone.
    pub fn add_channel(&mut self, handle: Handle, context: u8, channel: Channel) -> IOResult {
        let slot = self.slot(handle).filter(|slot| !slot.gone).ok_or(IOReturn::Offline)?;
        slot.channels.insert(context, channel);
        Ok(())
    }

    /// Begins chains of transfers, each on an endpoint of its own: all of them, or nothing.
    pub fn submit(&mut self, handle: Handle, chains: Vec<Chain>) -> IOResult {
        if let Some(why) = self.dead {
            return Err(why);
        }
        let staged = self.stage(handle, chains)?;
        let Some(slot) = self.slots.get_mut(&handle.slot) else { return Err(IOReturn::Offline) };
        for (context, chain) in staged {
            if slot.channels.get_mut(&context).is_some_and(|channel| channel.begin(chain)) {
                self.hardware.ring(handle.slot, context);
            }
        }
        Ok(())
    }

    /// Makes the transfers of all chains.
    fn stage(&mut self, handle: Handle, chains: Vec<Chain>) -> IOResult<Vec<(u8, Vec<Staged>)>> {
        let (kit, now) = (self.kit.clone(), self.kit.kernel().now());
        let slot = self.slot(handle).filter(|slot| !slot.gone).ok_or(IOReturn::Offline)?;
        let mut staged: Vec<(u8, Vec<Staged>)> = Vec::with_capacity(chains.len());
        for chain in chains {
            let context = context::index_of(chain.endpoint);
            let channel = slot.channels.get(&context).ok_or(IOReturn::NotFound);
            let again = staged.iter().any(|(other, _)| *other == context);
            let made = match channel {
                Ok(_) if again => Err(IOReturn::BadArgument),
                channel => channel.and_then(|channel| channel.stage(&kit, now, chain.transfers)),
            };
            match made {
                Ok(made) => staged.push((context, made)),
                Err(why) => {
                    staged.into_iter().for_each(|(_, made)| flight::give_back(made));
                    return Err(why);
                }
            }
        }
        Ok(staged)
    }

    /// Begins to abort what is in flight on an endpoint.
    pub fn abort(&mut self, handle: Handle, address: u8) {
        self.with_channel(handle, context::index_of(address), |channel, state, finished| {
            if !channel.is_busy() {
                return Step::Rest;
            }
            channel.doom(IOReturn::Aborted);
            channel.recover(state, finished)
        });
    }

    /// Begins to give a device's slot back.
    pub fn disconnect(&mut self, handle: Handle) {
        let Some(slot) = self.slot(handle).filter(|slot| !slot.gone) else { return };
        slot.gone = true;
        let command = Trb::command(kind::DISABLE_SLOT, 0, handle.slot, 0);
        if self.command(command, Then::Disabled(handle)).is_err() {
            self.dead.get_or_insert(IOReturn::NotResponding);
        }
    }

    /// The controller has let go of a device.
    fn forget(&mut self, handle: Handle) {
        if self.slot(handle).is_none() {
            return;
        }
        if let Some(mut slot) = self.slots.remove(&handle.slot) {
            slot.channels.values_mut().for_each(|c| c.fail(IOReturn::Offline, &mut self.work.finished));
            self.contexts.write_u64(8 * u64::from(handle.slot), 0);
        }
    }

    /// Looks for what has been in flight for too long, at machine time `now`.
    pub fn expire(&mut self, now: u64) {
        let mut late = Vec::new();
        for slot in self.slots.values_mut().filter(|slot| !slot.gone) {
            for (&context, channel) in &mut slot.channels {
                if channel.expire(now) {
                    late.push((slot.handle, context));
                }
            }
        }
        for (handle, context) in late {
            self.with_channel(handle, context, |channel, state, finished| channel.recover(state, finished));
        }
        if !self.pending.is_empty() && now.saturating_sub(self.since) >= COMMAND_NS {
            if self.aborting {
                self.dead.get_or_insert(IOReturn::NotResponding);
            } else {
                self.aborting = true;
                self.since = now;
                self.hardware.abort_command(self.commands.pointer(self.commands.next()));
            }
        }
    }

    /// The controller does not touch memory any more: everything comes back as `why`, and nothing is begun.
    pub fn fail_all(&mut self, why: IOReturn) {
        self.dead = Some(why);
        for pending in core::mem::take(&mut self.pending) {
            if let Then::Answer(_) = pending.then {
                self.answered(pending.then, Err(why));
            }
        }
        for mut slot in core::mem::take(&mut self.slots).into_values() {
            slot.channels.values_mut().for_each(|c| c.fail(why, &mut self.work.finished));
        }
    }
}
