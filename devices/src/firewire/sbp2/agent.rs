//! A command block agent: fetches ORBs, carries out their commands, writes status (SBP-2, 5.1.2, 6.4 and 9).

use super::orb::{Status, address, quadlet};
use super::{Tag, Target};
use crate::firewire::node::{Failure, Link, Origin, Refusal};
use crate::firewire::packet::payload_limit;
use crate::spec::ieee1394::S400;
use crate::spec::sbp2::{self as spec, status};

/// Elements that a page table has at the most: the data size field has 16 bits, and a command no more than this.
const ELEMENTS: usize = 1024;

/// Where an agent is (6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reset,
    Active,
    Suspended,
    Dead,
}

/// What the agent waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Idle,
    /// The ORB.
    Orb,
    /// The next pointer of an ORB that was the last.
    Next,
    /// A part of the page table.
    Table,
    /// The command's own time.
    Command,
    /// A part of the data.
    Data,
    /// The status block is on its way.
    Status,
}

/// The data of a command.
#[derive(Clone, Debug, Default)]
pub(super) enum Data {
    #[default]
    None,
    /// The answer of a command, and how much of it is sent.
    Answer(Vec<u8>, usize),
    /// Bytes of the disk, from here on.
    Read(u64),
    /// The same.
    Write(u64),
}

/// An agent.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    state: State,
    pub(super) stage: Stage,
    /// Changes whenever what is under way is given up.
    pub(super) serial: u32,
    pointer: u64,
    doorbell: bool,
    pub(super) orb: Vec<u8>,
    speed: u8,
    /// The initiator's buffer: address and bytes of each part that is left.
    pub(super) buffer: std::collections::VecDeque<(u64, u32)>,
    /// Elements of the page table that are still to be read, and where.
    table: (u64, usize),
    pub(super) data: Data,
    /// Bytes that are left to be moved, and those that are being moved.
    pub(super) left: u64,
    pub(super) moving: u32,
}

impl Agent {
    /// AGENT_RESET, or anything with the same effect: what is under way is forgotten.
    pub fn reset(&mut self) {
        *self = Self { serial: self.serial.wrapping_add(1), ..Self::default() };
    }

    /// ABORT TASK: the ORB at `orb` is not carried out further.
    pub fn abort(&mut self, orb: u64) {
        if self.state == State::Active && self.pointer == orb {
            self.reset();
        }
    }

    /// The AGENT_STATE register.
    pub fn state_code(&self) -> u32 {
        match self.state {
            State::Reset => 0,
            State::Active => 1,
            State::Suspended => 2,
            State::Dead => 3,
        }
    }

    /// The ORB_POINTER register.
    pub fn pointer(&self) -> u64 {
        self.pointer
    }

    fn is_last(&self) -> bool {
        quadlet(&self.orb, 0) & spec::NULL != 0
    }

    pub(super) fn flags(&self) -> u32 {
        quadlet(&self.orb, 4)
    }

    /// Bytes of one packet of data: what ORB, speed and target allow.
    pub(super) fn payload(&self) -> usize {
        (4usize << (self.flags() >> 20 & 0xf)).min(payload_limit(self.data_speed())).min(2048)
    }

    pub(super) fn data_speed(&self) -> u8 {
        ((self.flags() >> 24 & 7) as u8).min(S400)
    }
}

impl Target {
    /// Calls an agent, with the node of its initiator.
    pub(super) fn with_agent(&mut self, which: usize, action: impl FnOnce(&mut Agent, u16)) {
        if let Some(login) = &mut self.logins[which] {
            action(&mut login.agent, login.node.unwrap_or(0xffff));
        }
    }

    /// ORB_POINTER was written.
    pub(super) fn append(
        &mut self,
        which: usize,
        at: u64,
        origin: Origin,
        link: &mut Link<'_>,
    ) -> Result<(), Refusal> {
        let Some(login) = &mut self.logins[which] else { return Err(Refusal::Address) };
        if !matches!(login.agent.state, State::Reset | State::Suspended) {
            return Err(Refusal::Conflict);
        }
        login.agent.state = State::Active;
        login.agent.pointer = at;
        login.agent.speed = origin.speed;
        self.fetch(which, link);
        Ok(())
    }

    /// DOORBELL was written: the last ORB may have a successor now.
    pub(super) fn doorbell(&mut self, which: usize, link: &mut Link<'_>) {
        let mut looks = false;
        self.with_agent(which, |agent, _| match agent.state {
            State::Suspended => looks = true,
            State::Active => agent.doorbell = true,
            State::Reset | State::Dead => {}
        });
        if looks {
            self.look(which, link);
        }
    }

    fn fetch(&mut self, which: usize, link: &mut Link<'_>) {
        self.with_agent(which, |agent, node| {
            agent.stage = Stage::Orb;
            let tag = Tag::Agent(which, agent.serial).pack();
            link.read(tag, node, agent.pointer, spec::COMMAND_ORB_BYTES, agent.speed);
        });
    }

    /// Reads the next pointer of the last ORB again.
    fn look(&mut self, which: usize, link: &mut Link<'_>) {
        self.with_agent(which, |agent, node| {
            agent.state = State::Active;
            agent.stage = Stage::Next;
            agent.doorbell = false;
            link.read(Tag::Agent(which, agent.serial).pack(), node, agent.pointer, 8, agent.speed);
        });
    }

    /// A request of an agent was answered.
    pub(super) fn fetched(
        &mut self,
        which: usize,
        serial: u32,
        result: Result<Vec<u8>, Failure>,
        link: &mut Link<'_>,
    ) {
        let Some(agent) = self.logins.get_mut(which).and_then(Option::as_mut).map(|login| &mut login.agent)
        else {
            return;
        };
        if agent.serial != serial {
            return;
        }
        let object = match agent.stage {
            Stage::Table => spec::OBJECT_PAGE_TABLE,
            Stage::Data => spec::OBJECT_DATA,
            _ => spec::OBJECT_ORB,
        };
        match (agent.stage, result) {
            (Stage::Status, Ok(_)) => self.advance(which, link),
            // Who cannot be told must find out (9.3).
            (Stage::Status, Err(_)) => agent.state = State::Dead,
            (_, Err(failure)) => {
                let refused = matches!(failure, Failure::Refused(_));
                let error = if refused { spec::ERROR_ADDRESS } else { spec::ERROR_TIMEOUT };
                self.conclude_orb(which, Status::transport(object, error), link);
            }
            (Stage::Orb, Ok(orb)) => {
                agent.orb = orb;
                self.take_orb(which, link);
            }
            (Stage::Next, Ok(next)) => {
                agent.orb.splice(..8.min(agent.orb.len()), next);
                self.advance(which, link);
            }
            (Stage::Table, Ok(table)) => {
                agent.table.0 += table.len() as u64;
                agent.table.1 -= agent.table.1.min(table.len() / 8);
                let part = |entry: &[u8]| (address(entry, 0), quadlet(entry, 0) >> 16);
                agent.buffer.extend(table.chunks_exact(8).map(part));
                self.read_table(which, link);
            }
            (Stage::Data, Ok(data)) => self.moved(which, &data, link),
            (Stage::Idle | Stage::Command, Ok(_)) => {}
        }
    }

    /// An ORB is there: where is its buffer?
    fn take_orb(&mut self, which: usize, link: &mut Link<'_>) {
        let Some(login) = &mut self.logins[which] else { return };
        let agent = &mut login.agent;
        let flags = agent.flags();
        let size = flags & 0xffff;
        let start = address(&agent.orb, 2);
        agent.buffer.clear();
        (agent.data, agent.left, agent.table) = (Data::None, 0, (0, 0));
        match flags >> spec::FORMAT_SHIFT & 3 {
            0 => {}
            // A dummy: nothing is done (5.1.2).
            3 => return self.conclude_orb(which, Status::refused(status::NONE), link),
            _ => return self.conclude_orb(which, Status::illegal(status::TYPE), link),
        }
        if flags >> 24 & 7 > u32::from(S400) {
            return self.conclude_orb(which, Status::illegal(status::SPEED), link);
        }
        if flags & spec::PAGE_TABLE == 0 {
            agent.buffer.push_back((start, size));
        } else if size as usize > ELEMENTS {
            return self.conclude_orb(which, Status::illegal(status::UNSPECIFIED), link);
        } else {
            agent.table = (start, size as usize);
        }
        self.read_table(which, link);
    }

    /// Reads what is left of the page table; then the command's time runs.
    fn read_table(&mut self, which: usize, link: &mut Link<'_>) {
        let latency = self.settings.latency;
        self.with_agent(which, |agent, node| {
            let tag = Tag::Agent(which, agent.serial).pack();
            let (at, elements) = agent.table;
            let bytes = (elements * 8).min(agent.payload().max(8) & !7);
            if bytes > 0 {
                agent.stage = Stage::Table;
                link.read(tag, node, at, bytes as u16, agent.data_speed());
            } else {
                agent.stage = Stage::Command;
                link.after(latency, tag);
            }
        });
    }

    /// Writes the status block, if it is wanted, and goes on.
    pub(super) fn conclude_orb(&mut self, which: usize, status: Status, link: &mut Link<'_>) {
        let Some(login) = &mut self.logins[which] else { return };
        let (agent, node) = (&mut login.agent, login.node.unwrap_or(0xffff));
        let last = agent.is_last();
        if status.dead {
            agent.state = State::Dead;
        }
        if status == Status::GOOD && agent.flags() & spec::NOTIFY == 0 {
            return self.advance(which, link);
        }
        agent.stage = Stage::Status;
        let bytes = status.encode(agent.pointer, last);
        link.write(Tag::Agent(which, agent.serial).pack(), node, login.fifo, bytes, agent.speed);
    }

    /// Goes on with the next ORB.
    fn advance(&mut self, which: usize, link: &mut Link<'_>) {
        let Some(login) = &mut self.logins[which] else { return };
        let agent = &mut login.agent;
        agent.stage = Stage::Idle;
        if agent.state != State::Active {
            return;
        }
        if !agent.is_last() {
            agent.pointer = address(&agent.orb, 0) & !3;
            self.fetch(which, link);
        } else if agent.doorbell {
            self.look(which, link);
        } else {
            agent.state = State::Suspended;
        }
    }
}
