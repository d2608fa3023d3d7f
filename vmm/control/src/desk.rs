//! The desk between the server's thread and the machine's: orders one way, answers and events the other.

use crate::commands::Command;
use crate::limits::WAITING;
use crate::message::Answer;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use vmm_sys_util::eventfd::EventFd;

/// A command on its way to the machine.
#[derive(Debug)]
pub struct Order {
    /// What is to be done.
    pub command: Command,
    pub(crate) client: u64,
}

/// What the machine has for the server.
#[derive(Debug)]
pub(crate) enum News {
    /// The answer to a client's order.
    Answer(u64, Answer),
    /// An event for all, and the host's time of it.
    Event(&'static str, Value, SystemTime),
    /// There will be no more.
    Over,
}

#[derive(Default)]
struct Orders {
    waiting: VecDeque<Order>,
    /// Nobody will carry out any more.
    closed: bool,
}

/// Both ends hold one.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    orders: Mutex<Orders>,
    came: Condvar,
    attention: Arc<AtomicBool>,
    wake: Mutex<Option<EventFd>>,
    news: Mutex<VecDeque<News>>,
    bell: EventFd,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// An empty desk; `bell` rings when there is news for the server.
    pub fn new(bell: EventFd) -> Self {
        Self(Arc::new(Shared {
            orders: Mutex::default(),
            came: Condvar::new(),
            attention: Arc::new(AtomicBool::new(false)),
            wake: Mutex::new(None),
            news: Mutex::default(),
            bell,
        }))
    }

    /// Set while there may be orders: for a machine that looks often.
    pub fn attention(&self) -> Arc<AtomicBool> {
        self.0.attention.clone()
    }

    /// What is written to when an order comes, for a machine that waits for events.
    pub fn wake_by(&self, event: EventFd) {
        *lock(&self.0.wake) = Some(event);
        self.ring_machine();
    }

    /// The next order, if one waits.
    pub fn take(&self) -> Option<Order> {
        let mut orders = lock(&self.0.orders);
        let order = orders.waiting.pop_front();
        if order.is_none() {
            // Under the lock, so that no order is put down between the look and this.
            self.0.attention.store(false, Ordering::Release);
        }
        order
    }

    /// Waits for an order.
    pub fn wait(&self) {
        let orders = lock(&self.0.orders);
        // Whatever ends the wait, the caller looks again.
        let waited = self.0.came.wait_while(orders, |orders| orders.waiting.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers an order.
    pub fn answer(&self, order: &Order, answer: Answer) {
        self.tell(News::Answer(order.client, answer));
    }

    /// Tells an event to all clients.
    pub fn event(&self, name: &'static str, data: Value) {
        self.tell(News::Event(name, data, SystemTime::now()));
    }

    /// The machine has ended: what waits is refused, as is what still comes.
    pub fn close(&self, refusal: impl Fn() -> Answer) {
        let waiting = {
            let mut orders = lock(&self.0.orders);
            orders.closed = true;
            std::mem::take(&mut orders.waiting)
        };
        for order in waiting {
            self.answer(&order, refusal());
        }
        self.tell(News::Over);
    }

    fn tell(&self, news: News) {
        let mut waiting = lock(&self.0.news);
        // A server that hangs far behind loses events; of answers there are never more than clients.
        if waiting.len() < WAITING || !matches!(news, News::Event(..)) {
            waiting.push_back(news);
        }
        drop(waiting);
        // It can only fail if it rings already.
        let _ = self.0.bell.write(1);
    }

    /// Puts an order down; false if nobody takes orders any more, or far too many wait.
    pub(crate) fn put(&self, client: u64, command: Command) -> bool {
        let mut orders = lock(&self.0.orders);
        if orders.closed || orders.waiting.len() >= WAITING {
            return false;
        }
        orders.waiting.push_back(Order { command, client });
        self.0.attention.store(true, Ordering::Release);
        drop(orders);
        self.0.came.notify_one();
        self.ring_machine();
        true
    }

    fn ring_machine(&self) {
        if let Some(event) = &*lock(&self.0.wake) {
            // It can only fail if it rings already.
            let _ = event.write(1);
        }
    }

    /// All news.
    pub(crate) fn news(&self) -> VecDeque<News> {
        std::mem::take(&mut *lock(&self.0.news))
    }
}
