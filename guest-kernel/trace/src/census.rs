//! What a census counts.

/// What a figure of a census is a number of: `other` of a [`crate::Kind::Census`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Counted {
    /// Instances of a class.
    Instances = 1,
    /// Objects of the kernel's own: threads, tasks, ports.
    Objects = 2,
    /// Bytes of wired memory.
    Bytes = 3,
}

impl TryFrom<u32> for Counted {
    type Error = u32;

    fn try_from(number: u32) -> Result<Self, u32> {
        match number {
            1 => Ok(Self::Instances),
            2 => Ok(Self::Objects),
            3 => Ok(Self::Bytes),
            other => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_others_are_refused() {
        for counted in [Counted::Instances, Counted::Objects, Counted::Bytes] {
            assert_eq!(Counted::try_from(counted as u32), Ok(counted));
        }
        assert_eq!(Counted::try_from(0), Err(0));
        assert_eq!(Counted::try_from(4), Err(4));
    }
}
