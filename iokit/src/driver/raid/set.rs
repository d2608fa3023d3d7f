//! The set: one disk to its clients, two to itself.

use super::MIRROR_SET;
use super::member::Member;
use super::mirror::{DISKS, Mirror, Written, judge};
use super::rows::Rows;
use crate::class::Class;
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, Service, ServiceBuilder, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use mach::{KernelRef, SpinLock};

/// The member that has no partner yet, if there is one.
#[derive(Default)]
pub struct Waiting(SpinLock<Option<Weak<Service>>>);

impl Waiting {
    /// A member has started: makes a set with the one that waits, or waits itself.
    pub fn offer(&self, member: &ServiceRef) {
        while let Some(partner) = self.partner_of(member) {
            if make_set(&partner, member).is_ok() {
                return;
            }
            if !partner.is_inactive() {
                // It keeps its place: `member` is going, or does not go with it.
                self.0.lock(member.kernel()).get_or_insert_with(|| Arc::downgrade(&partner));
                return;
            }
        }
    }

    /// The active member that waits; `None`: there was none, and now `member` does.
    fn partner_of(&self, member: &ServiceRef) -> Option<ServiceRef> {
        loop {
            let weak = {
                let mut waiting = self.0.lock(member.kernel());
                let Some(weak) = waiting.take() else {
                    *waiting = Some(Arc::downgrade(member));
                    return None;
                };
                weak
            };
            // Outside the lock: this may be its last reference.
            if let Some(partner) = weak.upgrade().filter(|partner| !partner.is_inactive()) {
                return Some(partner);
            }
        }
    }
}

/// Makes the set of two members and publishes what it offers. Its slot is the higher of the two, whoever came first. Offline if one is going,
/// Unsupported if they do not go together.
fn make_set(a: &ServiceRef, b: &ServiceRef) -> IOResult {
    let members = if a.slot() <= b.slot() { [a, b] } else { [b, a] };
    let mirror = Arc::new(Disks::new(members)?);
    let set = ServiceBuilder::under(members[1], Box::new(MirrorSet::new(&mirror))).build();
    mirror.work_loop.call_once(|| WorkLoop::new(&set));
    if !set.attach(members[0]) {
        return Err(IOReturn::Offline);
    }
    if !set.attach(members[1]) || set.is_inactive() {
        // With one provider it would never be whole. (Inactive: the first went before the second was attached.)
        set.terminate(Options::empty());
        return Err(IOReturn::Offline);
    }
    BlockStorageDevice::publish(&set, mirror);
    set.register_service(Options::empty());
    Ok(())
}

/// The two disks, for as long as they are there; what the storage family sees of the set.
struct Disks {
    kernel: KernelRef,
    device: Arc<str>,
    geometry: Geometry,
    members: SpinLock<[Option<ServiceRef>; DISKS]>,
    mirror: SpinLock<Mirror>,
    rows: Rows,
    /// The set's own gate, for its clients' callbacks only.
    work_loop: spin::Once<Arc<WorkLoop>>,
}

impl Disks {
    fn new(members: [&ServiceRef; DISKS]) -> IOResult<Self> {
        let kernel = members[0].kernel().clone();
        let ask = |service: &ServiceRef| {
            service.driver_as::<Member>().ok_or(IOReturn::Unsupported)?.geometry(service)
        };
        let geometry = common(ask(members[0])?, ask(members[1])?)?;
        Ok(Self {
            device: members[1].device().clone(),
            geometry,
            members: SpinLock::new(members.map(|member| Some(member.clone()))),
            mirror: SpinLock::new(Mirror::new()),
            rows: Rows::new(&kernel),
            work_loop: spin::Once::new(),
            kernel,
        })
    }

    /// Calls `action` with member `disk`; Offline if it is gone.
    fn with<R>(&self, disk: usize, action: impl FnOnce(&ServiceRef, &Member) -> IOResult<R>) -> IOResult<R> {
        let member = self.members.lock(&self.kernel)[disk].clone().ok_or(IOReturn::Offline)?;
        action(&member, member.driver_as::<Member>().ok_or(IOReturn::Offline)?)
    }

    /// A disk is out of the set.
    fn fail(&self, disk: usize) {
        if self.mirror.lock(&self.kernel).fail(disk) {
            self.kernel.log(format_args!("mirror {}: disk {disk} is out", self.device));
        }
    }

    /// Which of the two `member` is.
    fn number_of(&self, member: &ServiceRef) -> Option<usize> {
        let members = self.members.lock(&self.kernel);
        members.iter().position(|m| m.as_ref() == Some(member))
    }

    /// Lets all good disks do `action`.
    fn on_all(&self, action: impl Fn(&ServiceRef, &Member) -> IOResult) -> IOResult {
        let good = self.mirror.lock(&self.kernel).writers();
        let answers = [0, 1].map(|disk| good[disk].then(|| self.with(disk, &action)));
        match judge(answers) {
            Written::Kept(out) => {
                // Before the client hears of it: from then on, reading what was there before would be wrong.
                (0..DISKS).filter(|&disk| out[disk]).for_each(|disk| self.fail(disk));
                Ok(())
            }
            Written::Failed(why) => Err(why),
        }
    }
}

impl BlockDevice for Disks {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, block: u64, into: &mut [u8]) -> IOResult {
        let order = self.mirror.lock(&self.kernel).readers();
        let mut failed = None;
        for disk in order.into_iter().flatten() {
            match self.with(disk, |service, member| member.read(service, block, into)) {
                Ok(()) => {
                    // Only now: as long as no other disk can do better, it stays in.
                    failed.into_iter().for_each(|(disk, _)| self.fail(disk));
                    return Ok(());
                }
                Err(why) => failed = Some((disk, why)),
            }
        }
        Err(failed.map_or(IOReturn::Offline, |(_, why)| why))
    }

    fn write(&self, block: u64, from: &[u8]) -> IOResult {
        let count = from.len() as u64 / u64::from(self.geometry.block_bytes);
        let _alone = self.rows.lock(&self.kernel, block, count);
        self.on_all(|service, member| member.write(service, block, from))
    }

    fn flush(&self) -> IOResult {
        self.on_all(|service, member| member.flush(service))
    }
}

/// What both disks can do.
fn common(a: Geometry, b: Geometry) -> IOResult<Geometry> {
    if a.block_bytes != b.block_bytes || a.block_bytes == 0 {
        return Err(IOReturn::Unsupported);
    }
    Ok(Geometry {
        blocks: a.blocks.min(b.blocks),
        block_bytes: a.block_bytes,
        request_bytes: a.request_bytes.min(b.request_bytes),
        writable: a.writable && b.writable,
    })
}

/// The driver half of the set.
struct MirrorSet {
    disks: Arc<Disks>,
}

impl MirrorSet {
    fn new(disks: &Arc<Disks>) -> Self {
        Self { disks: disks.clone() }
    }
}

impl Driver for MirrorSet {
    fn class(&self) -> &'static Class {
        &MIRROR_SET
    }

    /// True if no other provider is active. A provider is inactive before it asks, so of two that go at the same time at least the later one
    /// hears yes.
    fn request_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) -> bool {
        me.providers().iter().all(|other| other == provider || other.is_inactive())
    }

    /// In the gate of the disk that goes. Nothing is asked of it any more; its own driver has failed what is in flight, and those requests turn to the
    /// other disk.
    fn will_terminate(&self, _me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        if let Some(disk) = self.disks.number_of(provider) {
            self.disks.fail(disk);
        }
    }

    /// In the gate of the disk that goes.
    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        if let Some(disk) = self.disks.number_of(provider) {
            let gone = self.disks.members.lock(&self.disks.kernel)[disk].take();
            drop(gone);
        }
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.disks.work_loop.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_as_large_as_its_smaller_disk() {
        let g = |blocks, block_bytes, request_bytes, writable| Geometry {
            blocks,
            block_bytes,
            request_bytes,
            writable,
        };
        let both = common(g(100, 512, 4096, true), g(90, 512, 8192, true));
        assert_eq!(both, Ok(g(90, 512, 4096, true)));
        assert_eq!(common(g(1, 512, 512, true), g(1, 512, 512, false)).map(|g| g.writable), Ok(false));
        assert_eq!(common(g(1, 512, 512, true), g(1, 4096, 4096, true)), Err(IOReturn::Unsupported));
    }
}
