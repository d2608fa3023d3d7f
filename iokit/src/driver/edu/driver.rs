//! The driver: the common life, with these parts.

use super::EDU_DRIVER;
use super::client::EduUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life, card};
use crate::ioreturn::IOResult;
use crate::service::{Options, ServiceRef};
use alloc::boxed::Box;

/// The right driver, or one that is broken on purpose, so that the bench can show what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The right one.
    #[default]
    Right,
    /// `driver:close-early`: closes the provider in `willTerminate` although calls are in flight, which then use it.
    CloseEarly,
    /// `driver:mute`: registers its interrupt and never enables it, which mutes everybody else on its line (IC3).
    Mute,
}

impl Variant {
    /// The variant that the command line names; an unknown word is the right driver.
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("close-early") => Self::CloseEarly,
            Some("mute") => Self::Mute,
            _ => Self::Right,
        }
    }
}

/// The educational device.
pub struct Edu(pub Variant);

/// Its driver.
pub type EduDriver = Life<Edu>;

impl Kind for Edu {
    type Parts = Parts;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        &EDU_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider, card(provider)?, self.0)
    }

    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, parts: &Holder<Parts>) {
        if self.0 == Variant::CloseEarly && parts.get().is_ok() {
            provider.close(me, Options::empty());
        }
        parts.will_terminate();
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(EduUserClient))
    }
}
