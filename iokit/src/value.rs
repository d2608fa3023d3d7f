//! Property values.

use alloc::{string::String, sync::Arc, vec::Vec};

use crate::registry::{Array, Dictionary};

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(u64),
    /// Text known at compile time.
    Name(&'static str),
    /// Text. Clones share it.
    Text(Arc<str>),
    /// Bytes. Clones share them.
    Data(Arc<[u8]>),
    /// A list, by reference.
    Array(Array),
    /// A dictionary, by reference.
    Dictionary(Dictionary),
}

impl Value {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Name(s) => Some(s),
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The dictionary, if it is one.
    pub fn as_dictionary(&self) -> Option<&Dictionary> {
        Dictionary::as_value(self)
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&Array> {
        Array::as_value(self)
    }

    /// The bytes, if they are bytes.
    pub fn as_data(&self) -> Option<&[u8]> {
        match self {
            Self::Data(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// Whether matching regards the two as the same value: text compares as text, however it is kept.
    pub fn matches(&self, other: &Value) -> bool {
        match (self.as_text(), other.as_text()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Number(n)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}
impl From<&'static str> for Value {
    fn from(s: &'static str) -> Self {
        Self::Name(s)
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s.into())
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Data(bytes.into())
    }
}

/// A small dictionary with keys known at compile time, in order of insertion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(&'static str, Value)>);

impl Properties {
    /// An empty dictionary.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same with `key` set.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets `key`.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        drop(self.replace(key, value.into()));
    }

    /// Sets `key`; what it was before.
    pub(crate) fn replace(&mut self, key: &'static str, value: Value) -> Option<Value> {
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(slot) => Some(core::mem::replace(&mut slot.1, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| *k == key)?;
        Some(self.0.remove(at).1)
    }

    /// Keys and values in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(k, v)| (*k, v))
    }

    /// Whether every key of `wanted` is here with a matching value.
    pub fn contains(&self, wanted: &Properties) -> bool {
        wanted.iter().all(|(k, v)| self.get(k).is_some_and(|mine| mine.matches(v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_compares_text_as_text() {
        let nub = Properties::new().with("vendor-id", 0x1234u64).with("name", String::from("edu"));
        assert!(nub.contains(&Properties::new().with("name", "edu")));
        assert!(!nub.contains(&Properties::new().with("vendor-id", 0x1af4u64)));
        assert!(nub.contains(&Properties::new()));
    }
}
