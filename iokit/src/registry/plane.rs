//! Planes: more than one tree over the same entries (R1).
//!
//! The service plane is what [`Service::attach`] and the termination work on. In every other plane an entry has parents and
//! children of its own, in the order of attaching; each direction retains. The registry's root is the root of every plane.

use alloc::vec::Vec;

use crate::service::{Service, ServiceRef};

/// A plane. Always an immutable `static`; planes are told apart by name.
#[derive(Debug)]
pub struct Plane {
    /// Its name, as at the head of a path.
    pub name: &'static str,
}

/// Providers and clients.
pub static SERVICE_PLANE: Plane = Plane { name: "IOService" };
/// Who powers whom.
pub static POWER_PLANE: Plane = Plane { name: "IOPower" };
/// What firmware describes.
pub static DEVICE_TREE_PLANE: Plane = Plane { name: "IODeviceTree" };

impl PartialEq for Plane {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Plane {}

impl Plane {
    fn is_service(&self) -> bool {
        *self == SERVICE_PLANE
    }
}

/// An entry's links in one plane other than the service plane.
pub(crate) struct PlaneLinks {
    plane: &'static Plane,
    parents: Vec<ServiceRef>,
    children: Vec<ServiceRef>,
    /// What the entry is called in this plane, and where it is.
    name: Option<alloc::string::String>,
    location: Option<alloc::string::String>,
}

impl PlaneLinks {
    fn new(plane: &'static Plane) -> Self {
        Self { plane, parents: Vec::new(), children: Vec::new(), name: None, location: None }
    }
}

/// The links in `plane`, made if there are none.
fn links_in<'a>(all: &'a mut Vec<PlaneLinks>, plane: &'static Plane) -> &'a mut PlaneLinks {
    let at = all.iter().position(|l| l.plane == plane).unwrap_or_else(|| {
        all.push(PlaneLinks::new(plane));
        all.len() - 1
    });
    &mut all[at]
}

/// Takes `entry` out of `list`.
fn take(list: &mut Vec<ServiceRef>, entry: &Service) -> Option<ServiceRef> {
    let at = list.iter().position(|e| **e == *entry)?;
    Some(list.remove(at))
}

impl Service {
    /// Makes this entry the last child of `parent` in `plane`. In the service plane: [`Service::attach`]. True if it is (or was before)
    /// a child; false if the service plane refuses, or parent and child are one.
    pub fn attach_in(self: &ServiceRef, parent: &ServiceRef, plane: &'static Plane) -> bool {
        if plane.is_service() {
            return self.attach(parent);
        }
        if self == parent {
            return false;
        }
        let kernel = self.kernel();
        {
            let _planes = self.kit().lock_planes();
            let mut mine = self.planes().lock(kernel);
            let parents = &mut links_in(&mut mine, plane).parents;
            if parents.contains(parent) {
                return true;
            }
            parents.push(parent.clone());
            drop(mine);
            links_in(&mut parent.planes().lock(kernel), plane).children.push(self.clone());
        }
        self.freeze_properties();
        true
    }

    /// Takes this entry away from `parent` in `plane`; nothing happens if it was not its child.
    pub fn detach_in(self: &ServiceRef, parent: &ServiceRef, plane: &'static Plane) {
        if plane.is_service() {
            return self.detach(parent);
        }
        drop(self.unlink_in(parent, plane));
    }

    /// Takes both links away; what they held, so that nothing is freed under a lock.
    fn unlink_in(&self, parent: &Service, plane: &'static Plane) -> Option<(ServiceRef, ServiceRef)> {
        let kernel = self.kernel();
        let _planes = self.kit().lock_planes();
        let up = take(&mut links_in(&mut self.planes().lock(kernel), plane).parents, parent)?;
        let down = take(&mut links_in(&mut parent.planes().lock(kernel), plane).children, self)?;
        Some((up, down))
    }

    /// Takes this entry away from all its parents and children in `plane`.
    pub fn detach_all_in(self: &ServiceRef, plane: &'static Plane) {
        for parent in self.parents_in(plane) {
            self.detach_in(&parent, plane);
        }
        for child in self.children_in(plane) {
            child.detach_in(self, plane);
        }
    }

    /// Its parents in `plane`, in the order of attaching.
    pub fn parents_in(&self, plane: &'static Plane) -> Vec<ServiceRef> {
        if plane.is_service() { self.providers() } else { self.in_plane_links(plane, |l| l.parents.clone()) }
    }

    /// Its children in `plane`, in the order of attaching.
    pub fn children_in(&self, plane: &'static Plane) -> Vec<ServiceRef> {
        if plane.is_service() { self.clients() } else { self.in_plane_links(plane, |l| l.children.clone()) }
    }

    /// Its first parent in `plane`.
    pub fn parent_in(&self, plane: &'static Plane) -> Option<ServiceRef> {
        if plane.is_service() {
            return self.provider();
        }
        self.in_plane_links(plane, |l| l.parents.first().cloned())
    }

    /// Whether it has a parent in `plane`.
    pub fn in_plane(&self, plane: &'static Plane) -> bool {
        if plane.is_service() {
            self.is_attached()
        } else {
            self.in_plane_links(plane, |l| !l.parents.is_empty())
        }
    }

    /// Whether it has a parent in any plane.
    pub fn in_any_plane(&self) -> bool {
        self.is_attached() || self.planes().lock(self.kernel()).iter().any(|l| !l.parents.is_empty())
    }

    /// What it is called in `plane`: its name, unless it has another one there.
    pub fn name_in(&self, plane: &'static Plane) -> alloc::string::String {
        self.in_plane_links(plane, |l| l.name.clone()).unwrap_or_else(|| self.name().into())
    }

    /// Where it is in `plane`, among siblings of the same name.
    pub fn location_in(&self, plane: &'static Plane) -> Option<alloc::string::String> {
        self.in_plane_links(plane, |l| l.location.clone())
    }

    /// Calls it `name` in `plane`.
    pub fn set_name_in(&self, plane: &'static Plane, name: &str) {
        let old = links_in(&mut self.planes().lock(self.kernel()), plane).name.replace(name.into());
        drop(old);
    }

    /// Says where it is in `plane`.
    pub fn set_location_in(&self, plane: &'static Plane, location: &str) {
        let old = links_in(&mut self.planes().lock(self.kernel()), plane).location.replace(location.into());
        drop(old);
    }

    fn in_plane_links<R: Default>(&self, plane: &'static Plane, f: impl FnOnce(&PlaneLinks) -> R) -> R {
        let links = self.planes().lock(self.kernel());
        links.iter().find(|l| l.plane == plane).map(f).unwrap_or_default()
    }

    /// Cuts all links but those of the service plane; who was a child.
    pub(crate) fn cut_planes(&self) -> Vec<ServiceRef> {
        let links = core::mem::take(&mut *self.planes().lock(self.kernel()));
        links.into_iter().flat_map(|l| l.children).collect()
    }
}
