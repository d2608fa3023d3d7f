//! The portable kernel on the simulator, under many seeds.
use mach::*;
use sim::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use trace::ring::Command;

struct Up(KernelRef);
impl Upcalls for Up {
    fn start_cpu(&self, cpu: usize) {
        self.0.start_cpu(cpu)
    }
    fn thread_entry(&self) {
        self.0.thread_entry()
    }
    fn interrupt(&self, v: u8) -> bool {
        self.0.interrupt(v)
    }
    fn preempt(&self) {
        self.0.preempt()
    }
    fn command(&self, c: Command) {
        self.0.command(c)
    }
    fn shutdown(&self) {
        self.0.shutdown()
    }
}
fn run(cpus: usize, seed: u64, f: impl FnOnce(&KernelRef) + Send + 'static) -> Outcome {
    Sim::builder()
        .cpus(cpus)
        .seed(seed)
        .run_upcalls(
            |m| {
                let k = Kernel::new(m);
                k.first_thread(move |k| {
                    f(k);
                    k.machine().power_off();
                });
                Box::new(Up(k))
            },
            &mut |_| {},
        )
        .unwrap()
}
fn seeds(n: u64, cpus: usize, f: impl Fn(&KernelRef) + Send + Sync + Clone + 'static) {
    for s in 0..n {
        let f = f.clone();
        let o = run(cpus, s, move |k| f(k));
        assert_eq!(o.ended, Ended::Done, "seed {s} {:?}", o.console);
        assert_eq!(o.abandoned, 0);
    }
}
#[test]
fn spawn_join() {
    seeds(300, 3, |k| {
        let n = Arc::new(AtomicU32::new(0));
        let ts: Vec<_> = (0..5)
            .map(|_| {
                let n = n.clone();
                k.spawn("t", 31, Policy::Fixed, move |_| {
                    n.fetch_add(1, Ordering::Relaxed);
                })
                .unwrap()
            })
            .collect();
        for t in ts {
            t.join(k);
        }
        assert_eq!(n.load(Ordering::Relaxed), 5);
    });
}
#[test]
fn gate_excludes() {
    seeds(500, 4, |k| {
        let lock = Arc::new(RecursiveLock::new(k));
        let v = Arc::new(AtomicU64::new(0));
        let ts: Vec<_> = (0..6)
            .map(|i| {
                let (lock, v) = (lock.clone(), v.clone());
                k.spawn("t", 20 + i, Policy::Fixed, move |k| {
                    for _ in 0..5 {
                        lock.lock(k);
                        lock.lock(k);
                        let x = v.load(Ordering::Relaxed);
                        k.yield_now();
                        v.store(x + 1, Ordering::Relaxed);
                        lock.unlock(k);
                        assert!(lock.is_mine(k));
                        lock.unlock(k);
                    }
                })
                .unwrap()
            })
            .collect();
        for t in &ts {
            t.join(k);
        }
        assert_eq!(v.load(Ordering::Relaxed), 30);
    });
}
#[test]
fn sleep_timeouts_and_wakeups() {
    seeds(300, 2, |k| {
        let e = k.new_event();
        k.assert_wait(e, WaitMode::Uninterruptible, Some(k.now() + 1000));
        assert_eq!(k.block(), WaitResult::TimedOut);
        let lock = Arc::new(RecursiveLock::new(k));
        let flag = Arc::new(AtomicU32::new(0));
        let t = {
            let (lock, flag) = (lock.clone(), flag.clone());
            k.spawn("w", 81, Policy::Fixed, move |k| {
                lock.lock(k);
                lock.lock(k);
                while flag.load(Ordering::Relaxed) == 0 {
                    assert_eq!(lock.sleep(k, e, WaitMode::Uninterruptible, None), WaitResult::Awakened);
                    assert_eq!(lock.levels(k), 2);
                }
                lock.unlock(k);
                lock.unlock(k);
            })
            .unwrap()
        };
        k.delay(5000);
        lock.lock(k);
        flag.store(1, Ordering::Relaxed);
        k.wakeup(e);
        lock.unlock(k);
        t.join(k);
    });
}
#[test]
fn push_through_chain() {
    seeds(300, 1, |k| {
        let a = Arc::new(RecursiveLock::new(k));
        let b = Arc::new(RecursiveLock::new(k));
        let go = k.new_event();
        let low = {
            let a = a.clone();
            k.spawn("low", 10, Policy::Fixed, move |k| {
                a.lock(k);
                k.assert_wait(go, WaitMode::Uninterruptible, None);
                k.block();
                a.unlock(k);
            })
            .unwrap()
        };
        k.delay(20_000_000);
        let mid = {
            let (a, b) = (a.clone(), b.clone());
            k.spawn("mid", 40, Policy::Fixed, move |k| {
                b.lock(k);
                a.lock(k);
                a.unlock(k);
                b.unlock(k);
            })
            .unwrap()
        };
        k.delay(20_000_000);
        let high = {
            let b = b.clone();
            k.spawn("high", 97, Policy::Fixed, move |k| {
                b.lock(k);
                b.unlock(k);
            })
            .unwrap()
        };
        k.delay(20_000_000);
        assert_eq!(low.priority(k), 95);
        assert_eq!(mid.priority(k), 95);
        k.wakeup(go);
        low.join(k);
        mid.join(k);
        high.join(k);
        assert_eq!(low.priority(k), 10);
        assert_eq!(mid.priority(k), 40);
    });
}
#[test]
fn thread_calls() {
    seeds(300, 2, |k| {
        let n = Arc::new(AtomicU32::new(0));
        let n2 = n.clone();
        let c = ThreadCall::new(k, band::THREAD_CALL_HIGH, move |k| {
            k.delay(500);
            n2.fetch_add(1, Ordering::Relaxed);
        });
        assert!(!c.enter());
        k.delay(20_000_000);
        assert_eq!(n.load(Ordering::Relaxed), 1);
        assert!(!c.enter_at(k.now() + 50_000_000));
        assert!(c.enter_at(k.now() + 60_000_000));
        assert!(c.cancel());
        assert!(!c.cancel());
        c.enter_at(k.now() + 20_000);
        k.delay(20_000_000);
        assert_eq!(n.load(Ordering::Relaxed), 2);
        c.enter();
        c.cancel_wait();
        let x = n.load(Ordering::Relaxed);
        k.delay(20_000_000);
        assert_eq!(n.load(Ordering::Relaxed), x);
    });
}
#[test]
fn quantum_shares() {
    seeds(50, 1, |k| {
        let stop = Arc::new(AtomicU32::new(0));
        let c: Vec<_> = (0..3).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let ts: Vec<_> = c
            .iter()
            .map(|c| {
                let (c, stop) = (c.clone(), stop.clone());
                k.spawn("s", 31, Policy::Fixed, move |k| {
                    while stop.load(Ordering::Relaxed) == 0 {
                        c.fetch_add(1, Ordering::Relaxed);
                        k.relax();
                    }
                })
                .unwrap()
            })
            .collect();
        k.delay(100_000_000);
        stop.store(1, Ordering::Relaxed);
        for t in ts {
            t.join(k);
        }
        for c in &c {
            assert!(c.load(Ordering::Relaxed) > 100);
        }
    });
}
