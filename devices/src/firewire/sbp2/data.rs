//! The data of a command: where they go, and their way (SBP-2, 9.2).

use super::agent::{Data, Stage};
use super::orb::Status;
use super::{Tag, Target};
use crate::firewire::node::Link;
use crate::spec::sbp2 as spec;
use crate::spec::scsi::{REQUEST_SENSE, SENSE_BYTES};
use crate::usb::scsi::{Refused, Work};

impl Target {
    /// The command's own time is over.
    pub(super) fn begin_data(&mut self, which: usize, serial: u32, link: &mut Link<'_>) {
        let Some(login) = self.logins.get_mut(which).and_then(Option::as_mut) else { return };
        let agent = &mut login.agent;
        if agent.serial != serial || agent.stage != Stage::Command {
            return;
        }
        let mut block = [0; 16];
        if let Some(command) = agent.orb.get(20..36) {
            block.copy_from_slice(command);
        }
        let to_initiator = agent.flags() & spec::DIRECTION != 0;
        let (data, bytes, outward) = match self.disk.execute(&block, 0) {
            Err(Refused) => {
                let sense = self.sense();
                return self.conclude_orb(which, Status::check(sense), link);
            }
            Ok(Work::Done) => (Data::None, 0, to_initiator),
            Ok(Work::Send(answer)) => {
                let bytes = answer.len() as u64;
                (Data::Answer(answer, 0), bytes, true)
            }
            Ok(Work::Read { offset, bytes }) => (Data::Read(offset), bytes, true),
            Ok(Work::Write { offset, bytes }) => (Data::Write(offset), bytes, false),
        };
        // Data in the wrong direction, or more than there is room for, does not move.
        let room: u64 = agent.buffer.iter().map(|&(_, bytes)| u64::from(bytes)).sum();
        agent.left = if outward == to_initiator { bytes.min(room) } else { 0 };
        agent.data = data;
        self.move_data(which, link);
    }

    /// Key, code and qualifier of what the disk refused.
    fn sense(&mut self) -> [u8; 3] {
        let mut block = [0; 16];
        block[0] = REQUEST_SENSE;
        block[4] = SENSE_BYTES as u8;
        match self.disk.execute(&block, 0) {
            Ok(Work::Send(sense)) if sense.len() >= 14 => [sense[2], sense[12], sense[13]],
            _ => [0; 3],
        }
    }

    /// Moves the next part of the data, or ends the command.
    fn move_data(&mut self, which: usize, link: &mut Link<'_>) {
        let Some(login) = &mut self.logins[which] else { return };
        let (agent, node) = (&mut login.agent, login.node.unwrap_or(0xffff));
        while agent.buffer.front().is_some_and(|&(_, bytes)| bytes == 0) {
            agent.buffer.pop_front();
        }
        let front = agent.buffer.front().copied().filter(|_| agent.left > 0);
        let Some((at, room)) = front else { return self.conclude_orb(which, Status::GOOD, link) };
        let bytes = (agent.payload() as u64).min(room.into()).min(agent.left) as usize;
        let tag = Tag::Agent(which, agent.serial).pack();
        agent.stage = Stage::Data;
        agent.moving = bytes as u32;
        let mut part = vec![0; bytes];
        match &mut agent.data {
            Data::Answer(answer, sent) => {
                part.copy_from_slice(&answer[*sent..*sent + bytes]);
                *sent += bytes;
            }
            Data::Read(offset) => {
                if !self.disk.read(*offset, &mut part) {
                    let sense = self.sense();
                    return self.conclude_orb(which, Status::check(sense), link);
                }
                *offset += bytes as u64;
            }
            Data::Write(_) | Data::None => {
                link.read(tag, node, at, bytes as u16, agent.data_speed());
                return;
            }
        }
        link.write(tag, node, at, part, agent.data_speed());
    }

    /// A part of the data has been moved.
    pub(super) fn moved(&mut self, which: usize, data: &[u8], link: &mut Link<'_>) {
        let Some(login) = &mut self.logins[which] else { return };
        let agent = &mut login.agent;
        if let Some((at, room)) = agent.buffer.front_mut() {
            *at += u64::from(agent.moving);
            *room -= agent.moving.min(*room);
        }
        agent.left -= u64::from(agent.moving).min(agent.left);
        if let Data::Write(offset) = &mut agent.data {
            if data.len() != agent.moving as usize || !self.disk.write(*offset, data) {
                let sense = self.sense();
                return self.conclude_orb(which, Status::check(sense), link);
            }
            *offset += data.len() as u64;
        }
        self.move_data(which, link);
    }
}
