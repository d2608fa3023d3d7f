//! Channels and bandwidth, which the isochronous resource manager's registers share out (IEEE 1394-1995, 8.3.2.3.6 to 8.3.2.3.8, 8.4.3).
//!
//! Each register changes by compare and swap only: who finds another value than it thought begins anew with that. A bus reset gives everything back.
//! The manager may be the local node: then the controller's own registers are asked, without the bus.

use super::Generation;
use super::bus::Bus;
use super::controller::Packet;
use super::device::Ask;
use super::standard::{self, BANDWIDTH_INITIAL, BUS_MANAGER_ID, CHANNELS};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// Swaps of one change at the most: others change the registers, too, but not for ever.
const TRIES: u32 = 16;
/// The channel that asynchronous streams use (1394a-2000, 8.3.2.4.5); it is nobody's.
const BROADCAST: u8 = 31;

/// A register of the manager, as OHCI 1.1, 5.5.1 counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// BANDWIDTH_AVAILABLE.
    Bandwidth = 1,
    /// CHANNELS_AVAILABLE, channels 0 (bit 31) to 31; a set bit is free.
    ChannelsHigh = 2,
    /// Channels 32 to 63.
    ChannelsLow = 3,
}

impl Register {
    fn address(self) -> u64 {
        BUS_MANAGER_ID + 4 * self as u64
    }

    /// What it is after a bus reset: the first guess.
    fn initial(self) -> u32 {
        if self == Self::Bandwidth { BANDWIDTH_INITIAL } else { u32::MAX }
    }
}

/// What a stream has been given. Worth nothing after a bus reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The generation in which it was given.
    pub generation: Generation,
    /// Channel.
    pub channel: u8,
    /// Bandwidth, in the standard's units.
    bandwidth: u32,
}

/// A change of a register. `None`: it cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Take(u32),
    GiveBack(u32),
    TakeChannel(u8),
    GiveChannelBack(u8),
}

impl Change {
    fn register(self) -> Register {
        match self {
            Self::Take(_) | Self::GiveBack(_) => Register::Bandwidth,
            Self::TakeChannel(channel) | Self::GiveChannelBack(channel) if channel < 32 => {
                Register::ChannelsHigh
            }
            _ => Register::ChannelsLow,
        }
    }

    /// The new value. `None`: what is to be taken is not there.
    fn of(self, value: u32) -> Option<u32> {
        match self {
            Self::Take(units) => value.checked_sub(units),
            Self::GiveBack(units) => Some(value.saturating_add(units).min(BANDWIDTH_INITIAL)),
            Self::TakeChannel(channel) => Some(value & !bit(channel)).filter(|&new| new != value),
            Self::GiveChannelBack(channel) => Some(value | bit(channel)),
        }
    }
}

/// The bit of a channel in its register.
fn bit(channel: u8) -> u32 {
    1 << (31 - channel % 32)
}

/// Bandwidth of a packet of `bytes` bytes of data in each cycle at speed code `speed`: a unit is what a quadlet takes at S1600; arbitration and gaps
/// are taken as 512 of them.
fn units(bytes: u16, speed: u8) -> u32 {
    512 + ((u32::from(bytes).next_multiple_of(4) + 12) << (2 - speed.min(2)))
}

impl Bus {
    /// Takes a channel, and the bandwidth for a packet of `bytes` bytes of data in each cycle at `speed`. Gated; sleeps. NoSpace: there is none left.
    /// Unsupported: nobody manages. BusReset: `generation` is over. Else what became of asking.
    pub fn take_share(&self, generation: Generation, bytes: u16, speed: u8) -> IOResult<Share> {
        let bandwidth = units(bytes, speed);
        let mut channel = Err(IOReturn::NoSpace);
        for number in (0..CHANNELS).filter(|&number| number != BROADCAST) {
            channel = self.change(generation, Change::TakeChannel(number)).map(|()| number);
            if channel != Err(IOReturn::NoSpace) {
                break;
            }
        }
        let channel = channel?;
        let taken = self.change(generation, Change::Take(bandwidth));
        if let Err(why) = taken {
            // After a bus reset there is nothing to give back, and whoever cannot be asked cannot be told.
            let _ = self.change(generation, Change::GiveChannelBack(channel));
            return Err(why);
        }
        Ok(Share { generation, channel, bandwidth })
    }

    /// Gives it back, as far as the manager can be reached. Gated; does not sleep.
    pub fn give_back(self: &Arc<Self>, share: Share) {
        for change in [Change::GiveBack(share.bandwidth), Change::GiveChannelBack(share.channel)] {
            self.give(share.generation, change, change.register().initial(), TRIES);
        }
    }

    /// The manager's ID.
    fn manager(&self) -> IOResult<u8> {
        self.state.with(|s| s.tree.manager()).ok_or(IOReturn::Unsupported)
    }

    fn lock(&self, manager: u8, register: Register, compare: u32, data: u32) -> Packet {
        let speed = self.state.with(|s| s.tree.speed(s.local, manager)).unwrap_or(standard::S100);
        Ask::Swap { compare, data }.packet(manager, speed, register.address())
    }

    /// Changes a register. Gated; sleeps.
    fn change(&self, generation: Generation, change: Change) -> IOResult {
        let register = change.register();
        let mut guess = register.initial();
        for _ in 0..TRIES {
            // What was guessed need not be: only what stands there says that there is nothing left.
            let new = change.of(guess);
            let old = self.swap(generation, register, guess, new.unwrap_or(guess))?;
            match new {
                Some(_) if old == guess => return Ok(()),
                None if old == guess => return Err(IOReturn::NoSpace),
                _ => guess = old,
            }
        }
        Err(IOReturn::Busy)
    }

    fn swap(&self, generation: Generation, register: Register, compare: u32, data: u32) -> IOResult<u32> {
        self.check(generation)?;
        let manager = self.manager()?;
        if manager == self.local() {
            return self.link().swap(register, compare, data);
        }
        let packet = self.lock(manager, register, compare, data);
        let old = self.wait_for(|done| self.submit(generation, &packet, 4, done))?;
        old.try_into().map(u32::from_be_bytes).map_err(|_| IOReturn::NotResponding)
    }

    /// Changes a register step by step, without a thread that waits. `guess`: what stands there. Gated; does not sleep.
    fn give(self: &Arc<Self>, generation: Generation, change: Change, guess: u32, tries: u32) {
        let (Ok(()), Some(tries)) = (self.check(generation), tries.checked_sub(1)) else { return };
        let (Ok(manager), Some(new)) = (self.manager(), change.of(guess)) else { return };
        if manager == self.local() {
            if let Ok(old) = self.link().swap(change.register(), guess, new)
                && old != guess
            {
                self.give(generation, change, old, tries);
            }
            return;
        }
        let packet = self.lock(manager, change.register(), guess, new);
        let bus = Arc::downgrade(self);
        let done = Box::new(move |result: IOResult<alloc::vec::Vec<u8>>| {
            let old = result.ok().and_then(|old| old.try_into().ok()).map(u32::from_be_bytes);
            if let (Some(bus), Some(old)) = (bus.upgrade(), old)
                && old != guess
            {
                bus.give(generation, change, old, tries);
            }
        });
        // Where it cannot be sent there is nobody to tell.
        let _ = self.submit(generation, &packet, 4, done);
    }

    /// Sees to it that somebody sends cycle starts: the root, which may be told to. Gated; sleeps. BusReset: `generation` is over. Else what became of
    /// asking.
    pub fn keep_cycles(&self, generation: Generation) -> IOResult {
        self.check(generation)?;
        let (root, local) = self.state.with(|s| (s.tree.root(), s.local));
        // A controller whose driver has let it be cycle master is one as soon as it is root.
        let Some(root) = root.filter(|&root| root != local) else { return Ok(()) };
        let speed = self.state.with(|s| s.tree.speed(local, root)).unwrap_or(standard::S100);
        let data = standard::STATE_CYCLE_MASTER.to_be_bytes();
        let packet = Ask::Write(&data).packet(root, speed, standard::STATE_SET);
        self.wait_for(|done| self.submit(generation, &packet, 0, done)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_where_the_standard_has_them() {
        let all = [Register::Bandwidth, Register::ChannelsHigh, Register::ChannelsLow];
        assert_eq!(all.map(|register| register.address() & 0xfff), [0x220, 0x224, 0x228]);
    }

    #[test]
    fn bandwidth_is_taken_as_far_as_it_goes() {
        assert_eq!(Change::Take(4915).of(4915), Some(0));
        assert_eq!(Change::Take(4916).of(4915), None);
        assert_eq!(Change::GiveBack(100).of(0), Some(100));
        assert_eq!(Change::GiveBack(u32::MAX).of(4000), Some(4915), "never more than there is");
        // 64 bytes: 76 with header and CRCs, a unit a byte at S400.
        assert_eq!([units(64, 2), units(64, 0), units(63, 7)], [588, 816, 588]);
    }

    #[test]
    fn a_channel_is_a_bit_from_the_left() {
        assert_eq!(Change::TakeChannel(0).of(u32::MAX), Some(u32::MAX >> 1));
        assert_eq!(Change::TakeChannel(0).of(u32::MAX >> 1), None);
        assert_eq!(Change::GiveChannelBack(63).of(0), Some(1));
        assert_eq!(Change::TakeChannel(31).register(), Register::ChannelsHigh);
        assert_eq!(Change::TakeChannel(32).register(), Register::ChannelsLow);
        assert_eq!(Change::GiveChannelBack(3).register(), Register::ChannelsHigh);
    }
}
