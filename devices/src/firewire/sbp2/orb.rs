//! ORBs and status blocks, as bytes (SBP-2, clause 5).

use crate::spec::sbp2 as spec;

/// Quadlet `n` of an ORB.
pub fn quadlet(orb: &[u8], n: usize) -> u32 {
    orb.get(n * 4..n * 4 + 4).map_or(0, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// The 48-bit address at quadlet `n`.
pub fn address(orb: &[u8], n: usize) -> u64 {
    u64::from(quadlet(orb, n) & 0xffff) << 32 | u64::from(quadlet(orb, n + 1))
}

/// What a status block says (5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// One of the `STATUS_` values.
    pub response: u8,
    /// The agent is dead.
    pub dead: bool,
    /// sbp_status.
    pub code: u8,
    /// SCSI sense: key, additional code and qualifier.
    pub sense: Option<[u8; 3]>,
}

impl Status {
    /// It went well.
    pub const GOOD: Self =
        Self { response: spec::STATUS_COMPLETE, dead: false, code: spec::status::NONE, sense: None };

    /// It was done, but with this code.
    pub fn refused(code: u8) -> Self {
        Self { code, ..Self::GOOD }
    }

    /// The bus failed at an object.
    pub fn transport(object: u8, error: u8) -> Self {
        Self { response: spec::STATUS_TRANSPORT, dead: true, code: object | error, sense: None }
    }

    /// The ORB makes no sense.
    pub fn illegal(code: u8) -> Self {
        Self { response: spec::STATUS_ILLEGAL, dead: true, code, sense: None }
    }

    /// The command set says no (CHECK CONDITION).
    pub fn check(sense: [u8; 3]) -> Self {
        Self { sense: Some(sense), ..Self::GOOD }
    }

    /// The bytes, about the ORB at `orb`; `last`: its list ends with it.
    pub fn encode(&self, orb: u64, last: bool) -> Vec<u8> {
        let length = if self.sense.is_some() { 5 } else { 1u32 };
        let head = u32::from(last) << 30
            | u32::from(self.response) << 28
            | u32::from(self.dead) << 27
            | length << 24
            | u32::from(self.code) << 16
            | (orb >> 32) as u32 & 0xffff;
        let mut bytes = head.to_be_bytes().to_vec();
        bytes.extend((orb as u32).to_be_bytes());
        if let Some([key, code, qualifier]) = self.sense {
            // CHECK CONDITION of a current command, key, code, qualifier; nothing more is known (annex B.2).
            bytes.extend([0x02, key, code, qualifier]);
            bytes.resize(24, 0);
        }
        bytes
    }
}
