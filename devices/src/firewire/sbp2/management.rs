//! The management agent: logins and what is done to them (SBP-2, 5.1.3 and 8).

use super::agent::Agent;
use super::orb::{Status, address, quadlet};
use super::{AGENTS, HOLD_MOST, LOGINS, Login, Tag, Target};
use crate::firewire::node::{Failure, Link, Origin, Refusal};
use crate::spec::ieee1394::{REGISTERS, csr};
use crate::spec::sbp2::{self as spec, agent as register, function, status};

/// What the agent waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Orb,
    /// The upper half of the initiator's EUI-64.
    GuidHigh,
    /// The lower half.
    GuidLow,
    /// The response is on its way.
    Response(Status),
    /// The status is.
    Status,
}

/// The agent: one ORB at a time.
#[derive(Clone, Debug, Default)]
pub struct Management {
    stage: Stage,
    source: u16,
    speed: u8,
    at: u64,
    orb: Vec<u8>,
    guid: u64,
}

/// The EUI-64 of a node.
const GUID: u64 = REGISTERS + csr::CONFIG_ROM + 12;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

impl Target {
    /// Somebody wrote the address of a management ORB.
    pub(super) fn manage(&mut self, at: u64, origin: Origin, link: &mut Link<'_>) -> Result<(), Refusal> {
        if self.management.stage != Stage::Idle {
            return Err(Refusal::Conflict);
        }
        let (source, speed) = (origin.node, origin.speed);
        self.management = Management { stage: Stage::Orb, source, speed, at, ..Management::default() };
        link.read(Tag::Management.pack(), source, at, spec::MANAGEMENT_ORB_BYTES, speed);
        Ok(())
    }

    /// A request of the agent was answered.
    pub(super) fn managed(&mut self, result: Result<Vec<u8>, Failure>, link: &mut Link<'_>) {
        let Ok(data) = result else {
            // Whoever cannot be reached learns nothing.
            self.management = Management::default();
            return;
        };
        match self.management.stage {
            Stage::Idle => {}
            Stage::Orb => {
                self.management.orb = data;
                self.perform(link);
            }
            Stage::GuidHigh => {
                self.management.guid = u64::from(quadlet(&data, 0)) << 32;
                self.ask_guid(Stage::GuidLow, link);
            }
            Stage::GuidLow => {
                self.management.guid |= u64::from(quadlet(&data, 0));
                self.admit(link);
            }
            Stage::Response(status) => self.conclude(status, link),
            Stage::Status => self.management = Management::default(),
        }
    }

    fn ask_guid(&mut self, stage: Stage, link: &mut Link<'_>) {
        let offset = if stage == Stage::GuidHigh { GUID } else { GUID + 4 };
        self.management.stage = stage;
        link.read(Tag::Management.pack(), self.management.source, offset, 4, 0);
    }

    fn perform(&mut self, link: &mut Link<'_>) {
        let flags = quadlet(&self.management.orb, 4);
        let id = flags as u16;
        match flags >> 16 & 0xf {
            function::LOGIN if id != 0 => self.conclude(Status::refused(status::LUN), link),
            function::LOGIN | function::RECONNECT => self.ask_guid(Stage::GuidHigh, link),
            function::QUERY_LOGINS if id != 0 => self.conclude(Status::refused(status::LUN), link),
            function::QUERY_LOGINS => {
                let response = self.list();
                self.respond(response, Status::GOOD, link);
            }
            function::SET_PASSWORD => self.conclude(Status::refused(status::TYPE), link),
            other => {
                let status = match self.own(id) {
                    Some(which) => self.control(other, which),
                    None => Status::refused(status::LOGIN_ID),
                };
                self.conclude(status, link);
            }
        }
    }

    /// The login with this ID, if it is that of who asks.
    fn own(&self, id: u16) -> Option<usize> {
        let source = self.management.source;
        let owns = |login: &Login| login.id == id && login.node == Some(source);
        self.logins.iter().position(|login| login.as_ref().is_some_and(owns))
    }

    /// What can be asked for about a login.
    fn control(&mut self, what: u32, which: usize) -> Status {
        match what {
            function::LOGOUT => self.logins[which] = None,
            // One command at a time is under way: aborting it is aborting the set, but for an ORB that is not the one.
            function::ABORT_TASK => {
                let orb = address(&self.management.orb, 0);
                self.with_agent(which, |agent, _| agent.abort(orb));
            }
            function::ABORT_TASK_SET => self.with_agent(which, |agent, _| agent.reset()),
            function::LOGICAL_UNIT_RESET | function::TARGET_RESET => {
                self.logins.iter_mut().flatten().for_each(|login| login.agent.reset());
                self.disk.reset();
            }
            _ => return Status::refused(status::FUNCTION_REJECTED),
        }
        Status::GOOD
    }

    /// LOGIN and RECONNECT, once it is known who asks.
    fn admit(&mut self, link: &mut Link<'_>) {
        let flags = quadlet(&self.management.orb, 4);
        if flags >> 16 & 0xf == function::LOGIN {
            match self.log_in(flags) {
                Ok(response) => self.respond(response, Status::GOOD, link),
                Err(code) => self.conclude(Status::refused(code), link),
            }
            return;
        }
        let (guid, source) = (self.management.guid, self.management.source);
        let mine =
            |login: &&mut Login| login.id == flags as u16 && login.guid == guid && login.node.is_none();
        let found = self.logins.iter_mut().flatten().find(mine).map(|login| login.node = Some(source));
        self.conclude(found.map_or(Status::refused(status::LOGIN_ID), |()| Status::GOOD), link);
    }

    fn log_in(&mut self, flags: u32) -> Result<Vec<u8>, u8> {
        let exclusive = flags & spec::LOGIN_EXCLUSIVE != 0;
        let guid = self.management.guid;
        // What the same initiator had before a bus reset gives way: it has begun anew.
        let stale = |login: &Login| login.guid == guid && login.node.is_none();
        for login in &mut self.logins {
            login.take_if(|login| stale(login));
        }
        // A login that it has is in its way, as those of others are (8.2).
        let mut others = self.logins.iter().flatten();
        if others.any(|login| login.exclusive || exclusive || login.guid == guid) {
            return Err(status::ACCESS_DENIED);
        }
        let free = self.logins.iter().position(Option::is_none).ok_or(status::ACCESS_DENIED)?;
        let seconds = (1 << (flags >> 20 & 0xf)).min(HOLD_MOST);
        let id = self.next_id;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.logins[free] = Some(Login {
            id,
            node: Some(self.management.source),
            guid,
            fifo: address(&self.management.orb, 6),
            exclusive,
            hold: seconds * SECOND,
            agent: Agent::default(),
        });
        let agent = AGENTS + free as u64 * register::BYTES;
        let mut response = (16u32 << 16 | u32::from(id)).to_be_bytes().to_vec();
        response.extend(agent.to_be_bytes());
        response.extend((seconds as u32 - 1).to_be_bytes());
        Ok(response)
    }

    /// The answer to QUERY LOGINS (5.1.3.2).
    fn list(&self) -> Vec<u8> {
        let logins: Vec<&Login> = self.logins.iter().flatten().collect();
        let length = 4 + logins.len() as u32 * 12;
        let mut response = (length << 16 | LOGINS as u32).to_be_bytes().to_vec();
        for login in logins {
            let node = login.node.unwrap_or(0xffff);
            response.extend((u32::from(node) << 16 | u32::from(login.id)).to_be_bytes());
            response.extend(login.guid.to_be_bytes());
        }
        response
    }

    /// Writes the response, as much of it as there is room for; the status follows.
    fn respond(&mut self, mut response: Vec<u8>, status: Status, link: &mut Link<'_>) {
        let orb = &self.management.orb;
        response.truncate((quadlet(orb, 5) & 0xffff) as usize);
        if response.is_empty() {
            return self.conclude(status, link);
        }
        let to = address(orb, 2);
        self.management.stage = Stage::Response(status);
        link.write(Tag::Management.pack(), self.management.source, to, response, self.management.speed);
    }

    fn conclude(&mut self, status: Status, link: &mut Link<'_>) {
        let fifo = address(&self.management.orb, 6);
        let bytes = status.encode(self.management.at, false);
        self.management.stage = Stage::Status;
        link.write(Tag::Management.pack(), self.management.source, fifo, bytes, self.management.speed);
    }
}
