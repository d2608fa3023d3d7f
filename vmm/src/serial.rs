//! The serial port, and what is typed into it: as much as its receive buffer holds, and the rest when the guest has read that.
//!
//! A line is as fast in one direction as in the other, and drivers count on it: a Linux echoes what it reads, and what does not fit into its buffers for output
//! stays there until the next key. So what is typed takes its time, and a guest that has something to send gets no more than it sends. A guest that takes longer to
//! read than the line takes, as where each access is an exit in a machine in a machine, would do nothing else for as long as there is more: it gets time for the rest.

use crate::console::Console;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use vm_superio::Serial;
use vm_superio::serial::SerialEvents;
use vmm_sys_util::eventfd::EventFd;

/// Bytes of the receive buffer.
pub const BUFFER: usize = 64;
/// How long so many take on a line of 115,200 bits a second, ten bits a byte.
pub const PAUSE: Duration = Duration::from_nanos(BUFFER as u64 * 10 * 1_000_000_000 / 115_200);
/// A guest that takes longer than that to read has so many times as long for what else it has to do, up to a time that nobody minds who types.
const SHARE: u32 = 2;
const RESPITE: Duration = Duration::from_millis(200);
/// Interrupt identification register: its bits for no interrupt, and for received data (PC16550D, 8.6).
const IDENTIFICATION: u8 = 2;
const NONE: u8 = 1;
const DATA_AVAILABLE: u8 = 4;
/// Interrupt enable register, and its bits for received data, and for data that have been sent (8.7).
const ENABLE: u8 = 1;
const DATA_ENABLED: u8 = 1;
const SENT_ENABLED: u8 = 2;
/// Line control register, and its bit that puts the divisor where interrupts are enabled (8.1).
const LINE_CONTROL: u8 = 3;
const DIVISOR: u8 = 1 << 7;
/// Line status register, and its bit for received data (8.4).
const LINE_STATUS: u8 = 5;
const DATA_READY: u8 = 1;

/// A 16550 with a receive buffer of [`BUFFER`] bytes.
pub type Port = Serial<SerialInterrupt, Room, Console>;

/// The serial port's interrupt.
pub struct SerialInterrupt(pub EventFd);

impl vm_superio::Trigger for SerialInterrupt {
    type E = io::Error;
    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// Room in the port's receive buffer, for which somebody may wait.
pub struct Room {
    wake: EventFd,
    awaited: AtomicBool,
    /// Bytes that the guest has sent since something was typed.
    sent: AtomicUsize,
}

impl Room {
    /// Whoever waits is told by `wake`.
    ///
    /// # Errors
    /// The system refuses a descriptor.
    pub fn new(wake: &EventFd) -> io::Result<Self> {
        Ok(Self { wake: wake.try_clone()?, awaited: AtomicBool::new(false), sent: AtomicUsize::new(0) })
    }

    /// Wakes once when the guest has read all that is in the buffer. Whoever asks holds the port, so that the guest cannot read before it is noted.
    fn ask(&self) {
        self.awaited.store(true, Ordering::Release);
    }
}

impl SerialEvents for Room {
    fn buffer_read(&self) {}

    fn out_byte(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn tx_lost_byte(&self) {}

    fn in_buffer_empty(&self) {
        if self.awaited.swap(false, Ordering::AcqRel) {
            // It can only be full of earlier calls, which are as good.
            let _ = self.wake.write(1);
        }
    }
}

/// What the guest reads from a register.
///
/// That data are there is identified for as long as they are (PC16550D, Table IV: the interrupt is reset by reading the buffer empty, or down to its trigger
/// level). The port beneath forgets it with the first byte that is read: a driver that reads no more than so many at a time would leave the rest, and whoever waits
/// for room would wait for good.
pub fn read(port: &mut Port, offset: u8) -> u8 {
    let value = port.read(offset);
    match offset == IDENTIFICATION && value & NONE != 0 && has_data(port) {
        true => value & !NONE | DATA_AVAILABLE,
        false => value,
    }
}

/// Whether there are data to interrupt for.
fn has_data(port: &mut Port) -> bool {
    // While the divisor is there, the guest is setting the port up.
    let enabled = port.read(LINE_CONTROL) & DIVISOR == 0 && port.read(ENABLE) & DATA_ENABLED != 0;
    enabled && port.read(LINE_STATUS) & DATA_READY != 0
}

/// How long nothing is typed after a guest has taken so long to read.
pub fn respite(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(PAUSE, RESPITE)
}

/// Whether the guest has read all that was typed. If not, the event loop is woken when it has.
pub fn is_read(port: &Port) -> bool {
    let read = port.fifo_capacity() == BUFFER;
    if !read {
        port.events().ask();
    }
    read
}

/// How many bytes may be typed now: what fits, and while the guest has something to send no more than it has sent since it was asked last. One at the least: a key is to
/// reach a guest that sends nothing, or for ever.
pub fn room(port: &mut Port) -> usize {
    let sent = port.events().sent.swap(0, Ordering::Relaxed);
    let sends = port.read(LINE_CONTROL) & DIVISOR == 0 && port.read(ENABLE) & SENT_ENABLED != 0;
    port.fifo_capacity().min(if sends { sent.max(1) } else { BUFFER })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmm_sys_util::eventfd::EFD_NONBLOCK;

    fn event() -> EventFd {
        EventFd::new(EFD_NONBLOCK).expect("a descriptor")
    }

    fn port(wake: &EventFd) -> Port {
        let room = Room::new(wake).expect("a descriptor");
        Serial::with_events(SerialInterrupt(event()), room, Console::new(false, None, 0))
    }

    #[test]
    fn data_are_identified_until_the_last_byte_is_read() {
        let mut port = port(&event());
        port.write(ENABLE, DATA_ENABLED).expect("memory");
        port.enqueue_raw_bytes(b"abc").expect("there is room");
        let mut seen = Vec::new();
        while read(&mut port, IDENTIFICATION) & NONE == 0 {
            assert_eq!(read(&mut port, IDENTIFICATION) & 0xf, DATA_AVAILABLE);
            seen.push(read(&mut port, 0));
        }
        assert_eq!(seen, b"abc");
        // Nobody is interrupted who did not ask for it.
        port.enqueue_raw_bytes(b"d").expect("there is room");
        port.write(ENABLE, 0).expect("memory");
        assert_eq!(read(&mut port, 0), b'd');
        port.enqueue_raw_bytes(b"e").expect("there is room");
        assert_eq!(read(&mut port, IDENTIFICATION) & 0xf, NONE);
    }

    #[test]
    fn a_guest_that_sends_gets_no_more_than_it_sends_and_one_byte_at_the_least() {
        let mut port = port(&event());
        port.write(ENABLE, DATA_ENABLED).expect("memory");
        assert_eq!(room(&mut port), BUFFER);
        port.write(ENABLE, DATA_ENABLED | SENT_ENABLED).expect("memory");
        assert_eq!(room(&mut port), 1);
        for byte in *b"0123456789" {
            port.write(0, byte).expect("memory");
        }
        assert_eq!((room(&mut port), room(&mut port)), (10, 1));
        port.enqueue_raw_bytes(&[0; BUFFER - 3]).expect("there is room");
        (0..100).for_each(|_| port.write(0, b'x').expect("memory"));
        assert_eq!(room(&mut port), 3);
        assert_eq!(PAUSE.as_micros(), 5_555);
        let milliseconds = |took| respite(Duration::from_millis(took)).as_millis();
        assert_eq!((milliseconds(0), milliseconds(30), milliseconds(60_000)), (5, 60, 200));
    }

    #[test]
    fn whoever_types_more_than_fits_is_woken_when_the_guest_has_read_all() {
        let wake = event();
        let mut port = port(&wake);
        let typed: Vec<u8> = (0..200).collect();
        let mut rest = &typed[..];
        let mut read = Vec::new();
        let mut waits = 0;
        while !rest.is_empty() {
            let now = room(&mut port).min(rest.len());
            assert_eq!(port.fifo_capacity() == BUFFER, is_read(&port));
            if now > 0 {
                assert_eq!(port.enqueue_raw_bytes(&rest[..now]).expect("there is room"), now);
                rest = &rest[now..];
                continue;
            }
            while port.read(LINE_STATUS) & DATA_READY != 0 {
                assert!(wake.read().is_err(), "woken before all was read");
                read.push(port.read(0));
            }
            assert_eq!(wake.read().expect("woken"), 1);
            waits += 1;
        }
        while port.read(LINE_STATUS) & DATA_READY != 0 {
            read.push(port.read(0));
        }
        assert!(wake.read().is_err(), "nobody waits any more");
        assert_eq!((read, waits), (typed, 3));
    }
}
