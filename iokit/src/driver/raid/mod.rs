//! A mirror of two disks: an example of a service with two providers on different work loops (order (g)).
//!
//! ```text
//! disk A's stack ◄─ IOMedia ◄─ MirrorMember A ◄─┐
//!                                               MirrorSet ◄─ IOBlockStorageDevice ◄─ … ◄─ IOMedia ◄─ clients
//! disk B's stack ◄─ IOMedia ◄─ MirrorMember B ◄─┘
//! ```
//!
//! What makes it correct:
//! - **requestTerminate.** A member goes with its disk. The set overrides the default, which answers false to both disks if the second goes
//!   before the first is detached, and would leave the set an orphan: it goes when no *active* provider is left.
//! - **One gate at a time.** `willTerminate(A)` and `stop(A)` come in A's gate, a request may sleep in B's. So the set takes no gate of its
//!   own on either way, nor calls one member while it holds anything of the other; what it knows about its members lies under a spin lock. Its own gate is for its
//!   clients' callbacks only, and nothing below is called from there.
//! - **Requests outlive a disk.** One that a disk fails is done by the other; the failed disk is out of the set, because what it holds is old from the next write on.
//!   Only when the last one fails does the client hear of it.
//!
//! It keeps no metadata: a disk that comes back does not rejoin, but waits for a partner to make a new set with; and a new set does not copy one
//! disk to the other, so what nobody has written since can differ.

mod member;
mod mirror;
mod rows;
mod set;

use crate::class::{Class, IO_SERVICE};
use crate::driver::bundles;
use crate::family::storage::IO_MEDIA;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use crate::service::{Driver, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use member::Member;
use set::Waiting;

/// The class of members.
pub static MIRROR_MEMBER: Class = Class::new("MirrorMember", &IO_SERVICE);
/// The class of sets.
pub static MIRROR_SET: Class = Class::new("MirrorSet", &IO_SERVICE);

/// `driver:` of a slot whose disk belongs to a mirror.
const VARIANT: &str = "mirror";

/// Whether `media` is a disk that belongs to a mirror (and not what the mirror offers): nobody else should write there.
pub fn is_member(media: &ServiceRef) -> bool {
    let args = media.kit().args().slot(media.slot());
    if args.and_then(|a| a.driver.as_deref()) != Some(VARIANT) {
        return false;
    }
    let mut above = media.provider();
    while let Some(service) = above {
        if service.class().is_a(MIRROR_SET.name) {
            return false;
        }
        above = service.provider();
    }
    true
}

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.raid";

/// Its bundle.
pub fn bundle() -> Bundle {
    let waiting = Arc::new(Waiting::default());
    let personality = Personality::new(BUNDLE, MIRROR_MEMBER.name, IO_MEDIA.name, move |media, _| {
        is_member(media).then(|| Box::new(Member::new(&waiting)) as Box<dyn Driver>)
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::STORAGE, bundles::VERSION);
    bundle.class(&MIRROR_MEMBER).class(&MIRROR_SET).personality("raid", personality)
}
