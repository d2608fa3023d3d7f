//! The death of clients: by order of the host, one of a device's clients is gone, whatever its threads are doing.

use super::Load;
use super::client::Client;
use crate::IoKit;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::{KernelRef, Policy, WaitMode, band};

impl Load {
    /// Makes the thread that lets clients die: the order comes at interrupt level, and a death takes locks.
    pub(super) fn start_reaper(self: &Arc<Self>, kit: &IoKit) {
        let (own, kit) = (Arc::clone(self), kit.clone());
        let reap = move |_: &KernelRef| own.reap(&kit);
        if self.kernel.spawn("reaper", band::KERNEL, Policy::Fixed, reap).is_err() {
            self.kernel.log(format_args!("load: no memory for the reaper; no client can be killed"));
        }
    }

    fn reap(&self, kit: &IoKit) {
        loop {
            self.kernel.assert_wait(kit.doom_event(), WaitMode::Uninterruptible, None);
            let doomed = kit.take_doomed();
            if doomed == 0 {
                self.kernel.block();
                continue;
            }
            self.kernel.clear_own_wait();
            (0..u32::BITS).filter(|slot| doomed >> slot & 1 != 0).for_each(|slot| self.kill_one(slot));
        }
    }

    /// The first client of `slot` that is inside a call dies; if none is, the first that lives.
    fn kill_one(&self, slot: u32) {
        let living: Vec<Arc<Client>> = {
            let mut clients = self.clients.lock(&self.kernel);
            clients.retain(|(_, client)| client.strong_count() != 0);
            clients.iter().filter(|(s, _)| *s == slot).filter_map(|(_, client)| client.upgrade()).collect()
        };
        let lives = |client: &&Arc<Client>| !client.connection().is_dead();
        let inside = |client: &&Arc<Client>| client.connection().is_in_call();
        let victim = living.iter().filter(lives).find(inside).or_else(|| living.iter().find(lives));
        if let Some(client) = victim {
            // DeadPort: it went by itself in this moment.
            let _ = client.connection().kill();
        } else {
            self.kill_task(slot);
        }
    }
}
