//! Name spaces: what a task's names mean.
//!
//! A name is a place in a table (12 bits) and its generation (20 bits), which counts how often the place was used: a name that was given back means
//! nothing, though its place may be in use again. Places are used again in the order in which they became free, so that a generation comes
//! back as late as it can.

use super::entry::Entry;
use super::port::PortId;
use abi::KernReturn;
use abi::port::NAMES_MAX;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// Bits of a name that say the place.
const PLACE_BITS: u32 = 12;
const PLACES: u32 = 1 << PLACE_BITS;
const _: () = assert!(NAMES_MAX < PLACES as usize - 1, "no name is 0 or DEAD");

struct Place {
    generation: u32,
    entry: Option<Entry>,
}

/// A task's names.
#[derive(Default)]
pub(crate) struct Names {
    places: Vec<Place>,
    free: VecDeque<u32>,
    /// Names of entries that may stand for several rights.
    by_port: BTreeMap<PortId, u32>,
}

impl Names {
    fn place(&self, name: u32) -> Option<usize> {
        let at = (name % PLACES).checked_sub(1)? as usize;
        let place = self.places.get(at)?;
        (place.generation == name >> PLACE_BITS && place.entry.is_some()).then_some(at)
    }

    /// What `name` means.
    pub(crate) fn get(&self, name: u32) -> Option<&Entry> {
        self.places[self.place(name)?].entry.as_ref()
    }

    /// What `name` means, to be changed. Neither its kind nor its port may change.
    pub(crate) fn get_mut(&mut self, name: u32) -> Option<&mut Entry> {
        let at = self.place(name)?;
        self.places[at].entry.as_mut()
    }

    /// The name of the rights to receive from `port` or to send to it.
    pub(crate) fn name_of(&self, port: PortId) -> Option<u32> {
        self.by_port.get(&port).copied()
    }

    /// Gives `entry` a new name.
    ///
    /// # Errors
    /// NoSpace: there are too many names. Then `entry` comes back.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<u32, (KernReturn, Entry)> {
        let at = match self.free.pop_front() {
            Some(at) => at as usize,
            None if self.places.len() < NAMES_MAX => {
                self.places.push(Place { generation: 0, entry: None });
                self.places.len() - 1
            }
            None => return Err((KernReturn::NoSpace, entry)),
        };
        let name = self.places[at].generation << PLACE_BITS | (at as u32 + 1);
        if let Entry::Port { port, .. } = entry {
            self.by_port.insert(port, name);
        }
        self.places[at].entry = Some(entry);
        Ok(name)
    }

    /// Takes `name` away.
    pub(crate) fn remove(&mut self, name: u32) -> Option<Entry> {
        let at = self.place(name)?;
        let place = &mut self.places[at];
        place.generation = (place.generation + 1) % (1 << (u32::BITS - PLACE_BITS));
        let entry = place.entry.take();
        self.free.push_back(at as u32);
        self.unlink(entry.as_ref());
        entry
    }

    /// `name` means something else from now on; what it meant.
    pub(crate) fn replace(&mut self, name: u32, entry: Entry) -> Option<Entry> {
        let at = self.place(name)?;
        let before = self.places[at].entry.replace(entry);
        self.unlink(before.as_ref());
        before
    }

    fn unlink(&mut self, entry: Option<&Entry>) {
        if let Some(Entry::Port { port, .. }) = entry {
            self.by_port.remove(port);
        }
    }

    /// Any name from the place `from` on.
    pub(crate) fn next(&self, from: usize) -> Option<(usize, u32)> {
        let places = self.places.iter().enumerate().skip(from);
        let mut used = places.filter(|(_, place)| place.entry.is_some());
        used.next().map(|(at, place)| (at, place.generation << PLACE_BITS | (at as u32 + 1)))
    }

    /// How many names there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead() -> Entry {
        Entry::Dead { references: 1 }
    }

    #[test]
    fn a_name_that_was_given_back_means_nothing_even_if_its_place_is_used_again() {
        let mut names = Names::default();
        let first = names.insert(dead()).map_err(|e| e.0).unwrap();
        assert!(names.get(first).is_some() && names.remove(first).is_some());
        let second = names.insert(dead()).map_err(|e| e.0).unwrap();
        assert_eq!(first % PLACES, second % PLACES);
        assert!(names.get(first).is_none() && names.get(second).is_some());
        assert!(names.remove(first).is_none());
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn there_is_an_end_of_names_and_forged_ones_mean_nothing() {
        let mut names = Names::default();
        (0..NAMES_MAX).for_each(|_| assert!(names.insert(dead()).is_ok()));
        assert!(matches!(names.insert(dead()), Err((KernReturn::NoSpace, _))));
        for forged in [0, u32::MAX, PLACES, 1 | 1 << PLACE_BITS, NAMES_MAX as u32 + 1] {
            assert!(names.get(forged).is_none(), "{forged:#x}");
        }
        let mut at = 0;
        while let Some((place, name)) = names.next(at) {
            assert!(names.remove(name).is_some());
            at = place + 1;
        }
        assert_eq!(names.len(), 0);
    }
}
