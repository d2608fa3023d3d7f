//! Services whose overrides are closures.

use alloc::{boxed::Box, sync::Arc};

use iokit::{
    Class, Driver, IOResult, IOReturn, IoKit, Message, Options, Service, ServiceBuilder, ServiceRef,
    class::{IO_SERVICE, IO_USER_CLIENT},
    interrupts::InterruptProvider,
    user_client::{Arguments, UserClient},
    work_loop::WorkLoop,
};

use crate::sync::OnceLock;

/// What P is.
pub static BUS: Class = Class::new("MockBus", &IO_SERVICE);
/// What N is.
pub static NUB: Class = Class::new("MockNub", &IO_SERVICE);
/// What D is.
pub static DRIVER: Class = Class::new("MockDriver", &IO_SERVICE);
/// Called U so that clients made by `new_user_client` read like those that tests make.
pub static USER: Class = Class::new("U", &IO_USER_CLIENT);

type Two<R> = Box<dyn Fn(&ServiceRef, &ServiceRef) -> R + Send + Sync>;
type One<R> = Box<dyn Fn(&ServiceRef) -> R + Send + Sync>;
type Did = Box<dyn Fn(&ServiceRef, &ServiceRef, &mut bool) + Send + Sync>;
type Heard = Box<dyn Fn(&ServiceRef, Message, &ServiceRef) -> IOResult + Send + Sync>;
type Look = Box<dyn Fn(&mut i32) -> bool + Send + Sync>;
type Call = Box<dyn Fn(&ServiceRef, u32, &mut Arguments<'_>) -> IOResult + Send + Sync>;

/// A driver of any class with some methods overridden.
pub struct Mock {
    class: &'static Class,
    user: bool,
    /// The loop that it answers with, once it has one.
    pub work_loop: OnceLock<Arc<WorkLoop>>,
    /// The interrupts that it answers with.
    pub interrupts: Option<Arc<dyn InterruptProvider>>,
    start: Option<Two<bool>>,
    stop: Option<Two<()>>,
    request: Option<Two<bool>>,
    will: Option<Two<()>>,
    did: Option<Did>,
    message: Option<Heard>,
    probe: Option<Look>,
    new_user: Option<Box<dyn Fn() -> Mock + Send + Sync>>,
    open: Option<Two<bool>>,
    call: Option<Call>,
    close: Option<One<IOResult>>,
}

impl Mock {
    /// A driver of `class` that overrides nothing.
    pub fn new(class: &'static Class) -> Self {
        Self {
            class,
            user: class.is_a("IOUserClient"),
            work_loop: OnceLock::new(),
            interrupts: None,
            start: None,
            stop: None,
            request: None,
            will: None,
            did: None,
            message: None,
            probe: None,
            new_user: None,
            open: None,
            call: None,
            close: None,
        }
    }

    /// Overrides start.
    pub fn start(mut self, f: impl Fn(&ServiceRef, &ServiceRef) -> bool + Send + Sync + 'static) -> Self {
        self.start = Some(Box::new(f));
        self
    }
    /// Overrides stop.
    pub fn stop(mut self, f: impl Fn(&ServiceRef, &ServiceRef) + Send + Sync + 'static) -> Self {
        self.stop = Some(Box::new(f));
        self
    }
    /// Overrides requestTerminate.
    pub fn request(mut self, f: impl Fn(&ServiceRef, &ServiceRef) -> bool + Send + Sync + 'static) -> Self {
        self.request = Some(Box::new(f));
        self
    }
    /// Overrides willTerminate.
    pub fn will(mut self, f: impl Fn(&ServiceRef, &ServiceRef) + Send + Sync + 'static) -> Self {
        self.will = Some(Box::new(f));
        self
    }
    /// Overrides didTerminate.
    pub fn did(mut self, f: impl Fn(&ServiceRef, &ServiceRef, &mut bool) + Send + Sync + 'static) -> Self {
        self.did = Some(Box::new(f));
        self
    }
    /// Overrides message.
    pub fn message(
        mut self,
        f: impl Fn(&ServiceRef, Message, &ServiceRef) -> IOResult + Send + Sync + 'static,
    ) -> Self {
        self.message = Some(Box::new(f));
        self
    }
    /// Overrides probe, whose answer says whether it wants to be matched.
    pub fn probe(mut self, f: impl Fn(&mut i32) -> bool + Send + Sync + 'static) -> Self {
        self.probe = Some(Box::new(f));
        self
    }
    /// Overrides handleOpen; true goes on to what the class does by default.
    pub fn open(mut self, f: impl Fn(&ServiceRef, &ServiceRef) -> bool + Send + Sync + 'static) -> Self {
        self.open = Some(Box::new(f));
        self
    }
    /// Overrides newUserClient: a user client of this kind.
    pub fn new_user(mut self, f: impl Fn() -> Mock + Send + Sync + 'static) -> Self {
        self.new_user = Some(Box::new(f));
        self
    }
    /// Overrides externalMethod.
    pub fn call(
        mut self,
        f: impl Fn(&ServiceRef, u32, &mut Arguments<'_>) -> IOResult + Send + Sync + 'static,
    ) -> Self {
        self.call = Some(Box::new(f));
        self
    }
    /// Overrides clientClose.
    pub fn close(mut self, f: impl Fn(&ServiceRef) -> IOResult + Send + Sync + 'static) -> Self {
        self.close = Some(Box::new(f));
        self
    }

    /// As a service of no provider yet.
    pub fn service(self, kit: &IoKit, name: &str) -> ServiceRef {
        ServiceBuilder::new(kit, Box::new(self)).named(name).build()
    }

    /// As a started client of `provider`; without matching.
    pub fn under(self, provider: &ServiceRef, name: &str) -> ServiceRef {
        let service = ServiceBuilder::under(provider, Box::new(self)).named(name).build();
        assert!(service.attach(provider));
        assert!(service.driver().start(&service, provider));
        service
    }
}

/// Makes the work loop that a mock answers with.
pub fn make_work_loop(me: &Service) -> Arc<WorkLoop> {
    let mock = me.driver_as::<Mock>().unwrap();
    mock.work_loop.get_or_init(|| WorkLoop::new(me)).clone()
}

impl Driver for Mock {
    fn class(&self) -> &'static Class {
        self.class
    }
    fn probe(&self, _: &ServiceRef, _: &ServiceRef, score: &mut i32) -> iokit::Probe {
        match &self.probe {
            Some(f) if !f(score) => iokit::Probe::No,
            _ => iokit::Probe::Yes,
        }
    }
    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        self.start.as_ref().is_none_or(|f| f(me, provider))
    }
    fn stop(&self, me: &ServiceRef, provider: &ServiceRef) {
        if let Some(f) = &self.stop {
            f(me, provider);
        }
    }
    fn request_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _: Options) -> bool {
        match &self.request {
            Some(f) => f(me, provider),
            None => me.default_request_terminate(provider),
        }
    }
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _: Options) {
        if let Some(f) = &self.will {
            f(me, provider);
        }
    }
    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if let Some(f) = &self.did {
            f(me, provider, defer);
        }
        me.default_did_terminate(provider, options, *defer);
    }
    fn message(&self, me: &ServiceRef, message: Message, provider: &ServiceRef, _: u64) -> IOResult {
        self.message.as_ref().map_or(Err(IOReturn::Unsupported), |f| f(me, message, provider))
    }
    fn handle_open(&self, me: &ServiceRef, client: &ServiceRef, options: Options) -> bool {
        self.open.as_ref().is_none_or(|f| f(me, client)) && me.default_handle_open(client, options)
    }
    fn new_user_client(&self, me: &ServiceRef, _: u32) -> IOResult<ServiceRef> {
        let make = self.new_user.as_ref().ok_or(IOReturn::Unsupported)?;
        me.make_user_client(Box::new(make()))
    }
    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.work_loop.get().cloned()
    }
    fn interrupts(&self) -> Option<Arc<dyn InterruptProvider>> {
        self.interrupts.clone()
    }
    fn as_user_client(&self) -> Option<&dyn UserClient> {
        self.user.then_some(self)
    }
}

impl UserClient for Mock {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        self.call.as_ref().map_or(Err(IOReturn::Unsupported), |f| f(me, selector, arguments))
    }
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        self.close.as_ref().map_or(Err(IOReturn::Unsupported), |f| f(me))
    }
}

/// P ← N, attached below the root.
pub fn bus_and_nub(kit: &IoKit) -> (ServiceRef, ServiceRef) {
    let bus = Mock::new(&BUS).service(kit, "P");
    assert!(bus.attach(&kit.root().unwrap()));
    let nub = Mock::new(&NUB).under(&bus, "N");
    (bus, nub)
}

/// A user client that stands for a test's own thread.
pub fn user() -> Mock {
    Mock::new(&USER)
}
