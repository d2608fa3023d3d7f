//! The dispatcher of user clients (UC1): any selector, any four sizes, from two threads, while clients die and the card may go.
//!
//! The table of the edu driver's user client is the specification: what does not fit must be refused with the right code, and what fits must come back
//! right, or with the news that the device or the port is gone.

use crate::target::{Features, Target, Trouble};
use arbitrary::{Arbitrary, Unstructured};
use devices::fault::plan::Plan;
use explore::coverage::Coverage;
use explore::{Cause, execute};
use iokit::driver::edu::regs::CARD_BUFFER_BYTES;
use iokit::driver::edu::{EDU_DRIVER, client};
use iokit::matching::NotificationKind;
use iokit::user_client::{Arguments, Connection};
use iokit::{IOResult, IOReturn, IoKit, Properties, ServiceRef};
use mach::{KernelRef, Policy, band};
use std::sync::Arc;
use verdict::Verifier;

/// Calls of one input.
const MAX_CALLS: usize = 48;
/// Bytes of an input.
const MOST: usize = 512;
/// Connections.
const CLIENTS: usize = 3;
/// Machine time of a run, in microseconds.
const RUN_MICROS: u16 = 1_500;

/// How many, of scalars or of bytes: mostly what some method takes.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Size {
    None,
    One,
    Few(u8),
    Buffer,
    Over(u16),
}

impl Size {
    fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Few(n) => n.into(),
            Self::Buffer => CARD_BUFFER_BYTES as usize,
            Self::Over(n) => n.into(),
        }
    }

    /// Scalars are fewer.
    fn scalars(self) -> usize {
        self.count() % 18
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    Call {
        client: u8,
        selector: u8,
        scalars: (Size, Size),
        bytes: (Size, Size),
        value: u64,
    },
    /// A selector that is none.
    Beyond {
        client: u8,
        selector: u32,
    },
    /// A factorial as it should be.
    Factorial {
        client: u8,
        n: u8,
    },
    /// A copy as it should be.
    Copy {
        client: u8,
        length: u16,
    },
    /// The client's process dies.
    Kill {
        client: u8,
    },
}

/// One input.
#[derive(Clone, Debug, Default)]
struct Script {
    seed: u16,
    /// Microseconds until the card is pulled; 0 = it stays.
    unplug: u16,
    ops: Vec<Op>,
}

/// The target.
pub struct UserClient;

impl Target for UserClient {
    fn name(&self) -> &'static str {
        "user_client"
    }

    fn about(&self) -> &'static str {
        "external methods with any selector and sizes, from two threads, while clients die and the card goes"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        super::machine::noise(&[48, 200, 400])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        run(&script(input), features)
    }

    fn describe(&self, input: &[u8]) -> String {
        let script = script(input);
        let lines: String = script.ops.iter().map(|op| format!("# {op:?}\n")).collect();
        format!("# seed {}\n{}{lines}", script.seed, plan(&script))
    }
}

fn script(input: &[u8]) -> Script {
    let mut bytes = Unstructured::new(&input[..input.len().min(MOST)]);
    let mut number = || u16::arbitrary(&mut bytes).unwrap_or_default();
    let (seed, unplug) = (number(), number());
    let mut ops = Vec::new();
    while ops.len() < MAX_CALLS && !bytes.is_empty() {
        ops.extend(Op::arbitrary(&mut bytes).ok());
    }
    Script { seed, unplug, ops }
}

fn plan(script: &Script) -> String {
    let unplug = match script.unplug % RUN_MICROS {
        0 => String::new(),
        micros => format!("at {micros}us unplug edu0\n"),
    };
    format!(
        "machine cpus=2 memory=16M\nplug edu0 edu slot=1\n{unplug}expect no-leaks\nrun for={RUN_MICROS}us\n"
    )
}

fn run(script: &Script, features: &mut Features) -> Option<Trouble> {
    let plan = Plan::parse("user_client", &plan(script))
        .unwrap_or_else(|errors| panic!("the target's own plan: {errors:?}"));
    let mut verifier = Verifier::new(&plan);
    let mut coverage = Coverage::default();
    coverage.begin();
    let ops = Arc::new(script.ops.clone());
    let drivers = move |kit: &IoKit| attend(kit, ops);
    let outcome = sim::run_with(&plan, script.seed.into(), drivers, &mut |event| {
        verifier.event(event);
        coverage.event(event);
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Some(Trouble::new("no-start", error.to_string())),
    };
    coverage.take_fresh().into_iter().for_each(|state| features.note(state));
    let verdict = verifier.finish(execute::ended(&outcome));
    let cause = Cause::of(&verdict, &outcome)?;
    Some(Trouble { cause, told: format!("{}{}", verdict::render(&verdict), outcome.console.join("\n  | ")) })
}

/// Two threads act out the script as soon as the driver publishes.
fn attend(kit: &IoKit, script: Arc<Vec<Op>>) {
    let wanted = (EDU_DRIVER.name, Properties::new());
    kit.notifications().add(kit, NotificationKind::FirstPublish, wanted, 0, move |service| {
        let (script, service) = (script.clone(), service.clone());
        let kernel = service.kernel().clone();
        // Without memory for a thread nothing happens, which is no trouble.
        let _ = kernel
            .spawn("fuzz", band::DEFAULT, Policy::Timeshare, move |kernel| act(kernel, &service, &script));
    });
}

fn act(kernel: &KernelRef, service: &ServiceRef, script: &Arc<Vec<Op>>) {
    let open: Vec<_> = (0..CLIENTS).filter_map(|_| service.open_connection(0).ok()).collect();
    if open.is_empty() {
        return;
    }
    let open = Arc::new(open);
    let (second, others) = (open.clone(), script.clone());
    let body = move |_: &KernelRef| others.iter().skip(1).step_by(2).for_each(|op| op.act(&second));
    let _ = kernel.spawn("fuzz", band::DEFAULT, Policy::Timeshare, body);
    script.iter().step_by(2).for_each(|op| op.act(&open));
}

impl Op {
    fn act(self, open: &[Connection]) {
        let connection = |client: u8| &open[usize::from(client) % open.len()];
        match self {
            Self::Call { client, selector, scalars, bytes, value } => {
                let call = Call {
                    selector: u32::from(selector % 4),
                    input: vec![value; scalars.0.scalars()],
                    output: scalars.1.scalars(),
                    data: vec![value as u8; bytes.0.count()],
                    room: bytes.1.count(),
                };
                call.make(connection(client));
            }
            Self::Beyond { client, selector } => {
                let selector = selector.max(3);
                Call { selector, input: vec![], output: 0, data: vec![], room: 0 }.make(connection(client));
            }
            Self::Factorial { client, n } => {
                let selector = client::FACTORIAL;
                let input = vec![u64::from(n)];
                Call { selector, input, output: 1, data: vec![], room: 0 }.make(connection(client));
            }
            Self::Copy { client, length } => {
                let length = 1 + usize::from(length) % CARD_BUFFER_BYTES as usize;
                let data = (0..length).map(|n| n as u8).collect();
                let call = Call { selector: client::COPY, input: vec![], output: 0, data, room: length };
                call.make(connection(client));
            }
            Self::Kill { client } => {
                // Whoever is dead already stays so.
                let _ = connection(client).kill();
            }
        }
    }
}

/// One call.
struct Call {
    selector: u32,
    input: Vec<u64>,
    output: usize,
    data: Vec<u8>,
    room: usize,
}

impl Call {
    /// What the table says before the method is entered.
    fn refused(&self) -> Option<IOReturn> {
        let fits = match self.selector {
            client::FACTORIAL | client::LIVENESS => {
                (self.input.len(), self.output, self.data.len(), self.room) == (1, 1, 0, 0)
                    && u32::try_from(self.input[0]).is_ok()
            }
            client::COPY => {
                let length = self.data.len();
                let sizes = (1..=CARD_BUFFER_BYTES as usize).contains(&length) && length == self.room;
                (self.input.len(), self.output) == (0, 0) && sizes
            }
            _ => return Some(IOReturn::Unsupported),
        };
        (!fits).then_some(IOReturn::BadArgument)
    }

    /// Makes the call and looks at what comes back.
    ///
    /// # Panics
    /// It is not what the table says: the run ends there.
    fn make(&self, connection: &Connection) {
        let (mut output, mut room) = (vec![0; self.output], vec![0; self.room]);
        let mut arguments = Arguments {
            scalar_input: &self.input,
            struct_input: &self.data,
            scalar_output: &mut output,
            struct_output: &mut room,
            ..Arguments::default()
        };
        let result = connection.call(self.selector, &mut arguments);
        let selector = self.selector;
        match (result, self.refused()) {
            // The port may die at any time.
            (Err(IOReturn::DeadPort), _) => {}
            (result, Some(expected)) => {
                assert_eq!(result, Err(expected), "selector {selector}, refused for its sizes");
            }
            (result, None) => self.judge(result, &output, &room),
        }
    }

    fn judge(&self, result: IOResult, output: &[u64], room: &[u8]) {
        match result {
            Ok(()) => {
                let right = match self.selector {
                    client::FACTORIAL => output[0] == u64::from(factorial(self.input[0] as u32)),
                    client::LIVENESS => output[0] == u64::from(!(self.input[0] as u32)),
                    _ => room == self.data,
                };
                assert!(right, "selector {} came back wrong: {output:?}", self.selector);
            }
            Err(IOReturn::Offline | IOReturn::NoMemory | IOReturn::NoResources) => {}
            Err(error) => panic!("selector {} answers {error:?} to a call that fits", self.selector),
        }
    }
}

/// n! modulo 2³²; zero from 34 on.
fn factorial(n: u32) -> u32 {
    (1..=n.min(40)).fold(1, u32::wrapping_mul)
}
