//! Matching: which driver for which nub, and who wants to hear of it.

mod catalogue;
mod jobs;
mod match_service;
mod notification;

pub use catalogue::{Catalogue, Personality};
pub(crate) use jobs::Matcher;
pub use notification::{NotificationKind, Notifications, Notifier};
