//! The disk behind the transport: SCSI commands (SPC-4, SBC-3).

use crate::spec::scsi as spec;
use crate::virtio::store::BlockStore;

/// Blocks that one command moves at the most.
const MOST_BLOCKS: u64 = 0xffff;

/// The command was not carried out; the sense data say why.
pub struct Refused;

/// What a command means for the transport.
pub enum Work {
    /// Nothing moves.
    Done,
    /// An answer for the host.
    Send(Vec<u8>),
    /// Bytes of the disk for the host.
    Read {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes of the host for the disk.
    Write {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// Sense key, additional code and qualifier.
type Sense = (u8, [u8; 2]);

/// The one logical unit.
pub struct Disk {
    store: Box<dyn BlockStore>,
    /// What it is, as INQUIRY tells: ASCII, 16 bytes at the most.
    product: &'static str,
    name: String,
    sense: Sense,
    /// The unit was reset, and the host has not been told.
    attention: bool,
    stopped: bool,
    locked: bool,
}

impl Disk {
    /// A disk after power-on: `product` is what it is, ASCII and 16 bytes at the most; `name` is its serial number.
    pub fn new(store: Box<dyn BlockStore>, product: &'static str, name: &str) -> Self {
        let sense = (spec::NO_SENSE, [0, 0]);
        Self { store, product, name: name.into(), sense, attention: true, stopped: false, locked: false }
    }

    /// Power-on or a reset of the bus.
    pub fn reset(&mut self) {
        self.sense = (spec::NO_SENSE, [0, 0]);
        self.attention = true;
        self.stopped = false;
        self.locked = false;
    }

    fn blocks(&self) -> u64 {
        self.store.bytes() / spec::BLOCK_BYTES
    }

    /// What was to be moved for a command was not: the sense data say that it may be tried again.
    pub fn interrupted(&mut self) {
        self.sense = (spec::ABORTED_COMMAND, spec::ASC_COMMUNICATION);
    }

    /// Reads the disk; false, with sense data, if it fails.
    pub fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let done = self.store.read(offset, into).is_ok();
        if !done {
            self.sense = (spec::MEDIUM_ERROR, spec::ASC_READ_ERROR);
        }
        done
    }

    /// Writes the disk; the same.
    pub fn write(&mut self, offset: u64, from: &[u8]) -> bool {
        let done = self.store.write(offset, from).is_ok();
        if !done {
            self.sense = (spec::MEDIUM_ERROR, spec::ASC_WRITE_ERROR);
        }
        done
    }

    /// Begins a command for logical unit `unit`.
    pub fn execute(&mut self, block: &[u8; 16], unit: u8) -> Result<Work, Refused> {
        let answer = self.dispatch(block, unit);
        answer.map_err(|sense| {
            self.sense = sense;
            Refused
        })
    }

    fn dispatch(&mut self, block: &[u8; 16], unit: u8) -> Result<Work, Sense> {
        match block[0] {
            spec::INQUIRY => return self.inquiry(block, unit),
            spec::REQUEST_SENSE => return Ok(self.request_sense(block)),
            spec::REPORT_LUNS => return Ok(report_luns(block)),
            _ => {}
        }
        if unit != 0 {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_NO_UNIT));
        }
        // Said once, to the first command that is not a question about the unit itself (SAM-4, 5.14).
        if std::mem::take(&mut self.attention) {
            return Err((spec::UNIT_ATTENTION, spec::ASC_RESET));
        }
        match block[0] {
            spec::MODE_SENSE_6 | spec::MODE_SENSE_10 => mode_sense(block),
            spec::START_STOP_UNIT => self.start_stop(block),
            spec::PREVENT_ALLOW => {
                self.locked = block[4] & 1 != 0;
                Ok(Work::Done)
            }
            _ => self.medium(block),
        }
    }

    /// Commands that need the medium.
    fn medium(&mut self, block: &[u8; 16]) -> Result<Work, Sense> {
        let known = [
            spec::TEST_UNIT_READY,
            spec::READ_CAPACITY_10,
            spec::SERVICE_ACTION_IN_16,
            spec::READ_10,
            spec::READ_16,
            spec::WRITE_10,
            spec::WRITE_16,
            spec::VERIFY_10,
            spec::SYNCHRONIZE_CACHE_10,
        ];
        if !known.contains(&block[0]) {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_COMMAND));
        }
        if self.stopped {
            return Err((spec::NOT_READY, spec::ASC_NOT_STARTED));
        }
        match block[0] {
            spec::READ_CAPACITY_10 => {
                let last = u32::try_from(self.blocks().saturating_sub(1)).unwrap_or(u32::MAX);
                let mut answer = last.to_be_bytes().to_vec();
                answer.extend((spec::BLOCK_BYTES as u32).to_be_bytes());
                Ok(Work::Send(answer))
            }
            spec::SERVICE_ACTION_IN_16 => self.capacity_16(block),
            spec::READ_10 | spec::READ_16 => {
                let (offset, bytes) = self.range(block)?;
                Ok(if bytes == 0 { Work::Done } else { Work::Read { offset, bytes } })
            }
            spec::WRITE_10 | spec::WRITE_16 => {
                let (offset, bytes) = self.range(block)?;
                Ok(if bytes == 0 { Work::Done } else { Work::Write { offset, bytes } })
            }
            // BYTCHK = 0: the medium is verified by reading, and the disk in memory is always good.
            spec::VERIFY_10 if block[1] & 0x06 == 0 => self.range(block).map(|_| Work::Done),
            spec::VERIFY_10 => Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD)),
            spec::SYNCHRONIZE_CACHE_10 => match self.store.flush() {
                Ok(()) => Ok(Work::Done),
                Err(_) => Err((spec::MEDIUM_ERROR, spec::ASC_WRITE_ERROR)),
            },
            _ => Ok(Work::Done),
        }
    }

    /// Byte offset and bytes of a command with a block address.
    fn range(&self, block: &[u8; 16]) -> Result<(u64, u64), Sense> {
        let four = |at: usize| {
            u64::from(u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]))
        };
        let (first, count) = match block[0] {
            spec::READ_16 | spec::WRITE_16 => (four(2) << 32 | four(6), four(10)),
            _ => (four(2), u64::from(u16::from_be_bytes([block[7], block[8]]))),
        };
        let end = first.checked_add(count).filter(|end| *end <= self.blocks());
        if end.is_none() {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_OUT_OF_RANGE));
        }
        if count > MOST_BLOCKS {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD));
        }
        Ok((first * spec::BLOCK_BYTES, count * spec::BLOCK_BYTES))
    }

    fn capacity_16(&self, block: &[u8; 16]) -> Result<Work, Sense> {
        if block[1] & 0x1f != spec::READ_CAPACITY_16 {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD));
        }
        let mut answer = self.blocks().saturating_sub(1).to_be_bytes().to_vec();
        answer.extend((spec::BLOCK_BYTES as u32).to_be_bytes());
        answer.resize(32, 0);
        let length = u32::from_be_bytes([block[10], block[11], block[12], block[13]]);
        answer.truncate(length as usize);
        Ok(sent(answer))
    }

    fn start_stop(&mut self, block: &[u8; 16]) -> Result<Work, Sense> {
        let (start, eject) = (block[4] & 1 != 0, block[4] & 2 != 0);
        if eject && !start && self.locked {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD));
        }
        self.stopped = !start;
        Ok(Work::Done)
    }

    fn request_sense(&mut self, block: &[u8; 16]) -> Work {
        if self.sense.0 == spec::NO_SENSE && std::mem::take(&mut self.attention) {
            self.sense = (spec::UNIT_ATTENTION, spec::ASC_RESET);
        }
        let (key, code) = std::mem::replace(&mut self.sense, (spec::NO_SENSE, [0, 0]));
        let mut answer = vec![0; spec::SENSE_BYTES];
        answer[0] = spec::SENSE_FIXED;
        answer[2] = key;
        answer[7] = (spec::SENSE_BYTES - 8) as u8;
        answer[12..14].copy_from_slice(&code);
        answer.truncate(block[4].into());
        sent(answer)
    }

    fn inquiry(&self, block: &[u8; 16], unit: u8) -> Result<Work, Sense> {
        let length = usize::from(u16::from_be_bytes([block[3], block[4]]));
        let vital = block[1] & 1 != 0;
        if !vital && block[2] != 0 {
            return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD));
        }
        let mut answer = if vital { self.vital(block[2])? } else { self.standard() };
        if unit != 0 {
            // No such logical unit (SPC-4): qualifier 3, type 1f.
            answer[0] = 0x7f;
        }
        answer.truncate(length);
        Ok(sent(answer))
    }

    /// Standard inquiry data (SPC-4): a disk with a removable medium.
    fn standard(&self) -> Vec<u8> {
        let mut answer = vec![0, 0x80, 0x06, 0x02, 31, 0, 0, 0];
        answer.extend(format!("Workgate{:<16.16}0001", self.product).into_bytes());
        answer
    }

    fn vital(&self, page: u8) -> Result<Vec<u8>, Sense> {
        let body: Vec<u8> = match page {
            spec::VPD_PAGES => {
                vec![spec::VPD_PAGES, spec::VPD_SERIAL, spec::VPD_IDENTIFICATION, spec::VPD_LIMITS]
            }
            spec::VPD_SERIAL => self.name.clone().into_bytes(),
            spec::VPD_IDENTIFICATION => {
                // One designator of the unit: ASCII, by the vendor's name (SPC-4).
                let mut name = b"Workgate".to_vec();
                name.extend(self.name.bytes());
                let mut body = vec![0x02, 0x01, 0x00, name.len() as u8];
                body.extend(name);
                body
            }
            spec::VPD_LIMITS => {
                let mut body = vec![0; 60];
                body[4..8].copy_from_slice(&(MOST_BLOCKS as u32).to_be_bytes());
                body
            }
            _ => return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD)),
        };
        let mut answer = vec![0, page];
        answer.extend((body.len() as u16).to_be_bytes());
        answer.extend(body);
        Ok(answer)
    }
}

/// An answer, or nothing if the host wants nothing.
fn sent(answer: Vec<u8>) -> Work {
    if answer.is_empty() { Work::Done } else { Work::Send(answer) }
}

/// One logical unit, number 0 (SPC-4).
fn report_luns(block: &[u8; 16]) -> Work {
    let mut answer = vec![0; 16];
    answer[3] = 8;
    let length = u32::from_be_bytes([block[6], block[7], block[8], block[9]]);
    answer.truncate(length as usize);
    sent(answer)
}

/// The caching page: writes go through (SBC-3). No block descriptor.
fn mode_sense(block: &[u8; 16]) -> Result<Work, Sense> {
    let page = block[2] & 0x3f;
    let mut pages = Vec::new();
    if matches!(page, spec::MODE_CACHING | spec::MODE_ALL) {
        pages.extend([spec::MODE_CACHING, 18]);
        pages.extend([0; 18]);
    } else if page != 0 {
        return Err((spec::ILLEGAL_REQUEST, spec::ASC_BAD_FIELD));
    }
    let (mut answer, length) = if block[0] == spec::MODE_SENSE_6 {
        (vec![(3 + pages.len()) as u8, 0, 0, 0], usize::from(block[4]))
    } else {
        let [high, low] = ((6 + pages.len()) as u16).to_be_bytes();
        (vec![high, low, 0, 0, 0, 0, 0, 0], usize::from(u16::from_be_bytes([block[7], block[8]])))
    };
    answer.extend(pages);
    answer.truncate(length);
    Ok(sent(answer))
}
