//! `IOMedia`: a range of blocks that clients open; here always the whole disk.

use super::client::MediaUserClient;
use crate::class::{Class, IO_SERVICE};
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceBuilder, ServiceRef};
use alloc::boxed::Box;

/// The class.
pub static IO_MEDIA: Class = Class::new("IOMedia", &IO_SERVICE);

/// The media nub.
pub struct Media;

impl Media {
    /// Publishes the whole disk of the block storage driver `parent`. Nothing happens if that is going.
    pub fn publish(parent: &ServiceRef) {
        let media = ServiceBuilder::under(parent, Box::new(Self)).build();
        if media.attach(parent) {
            media.register_service(Options::empty());
        }
    }
}

impl Driver for Media {
    fn class(&self) -> &'static Class {
        &IO_MEDIA
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(MediaUserClient))
    }
}
