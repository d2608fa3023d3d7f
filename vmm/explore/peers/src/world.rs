//! What the model needs of a world: threads and gates. Each peer is one.

/// Threads, and gates to sleep in.
pub trait World: Clone + Send + Sync + 'static {
    /// A lock with a place to sleep.
    type Gate<T: Send + 'static>: Send + Sync + 'static;
    /// A thread that can be waited for.
    type Thread;

    /// An open gate around `value`.
    fn gate<T: Send + 'static>(&self, value: T) -> Self::Gate<T>;

    /// Closes the gate, calls `action`, opens it.
    fn run<T: Send + 'static, R>(&self, gate: &Self::Gate<T>, action: impl FnOnce(&mut T) -> R) -> R;

    /// As [`World::run`], and wakes everyone who sleeps in the gate.
    fn change<T: Send + 'static, R>(&self, gate: &Self::Gate<T>, action: impl FnOnce(&mut T) -> R) -> R;

    /// Closes the gate and sleeps in it, which opens it, until `ready` answers something.
    fn sleep<T: Send + 'static, R>(&self, gate: &Self::Gate<T>, ready: impl FnMut(&mut T) -> Option<R>) -> R;

    /// Closes `outer`, and `inner` inside of it.
    fn nested<T: Send + 'static, U: Send + 'static>(&self, outer: &Self::Gate<T>, inner: &Self::Gate<U>);

    /// Starts a thread.
    fn spawn(&self, name: &'static str, body: impl FnOnce() + Send + 'static) -> Self::Thread;

    /// Waits until it has ended.
    fn join(&self, thread: Self::Thread);
}

/// Ends the run: the model found that a rule was broken.
#[track_caller]
pub fn rule(holds: bool, rule: &str) {
    assert!(holds, "{rule}");
}
