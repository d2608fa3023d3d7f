//! A machine for the control socket's tests: a platform without processors, on a thread of its own.
#![allow(dead_code, reason = "each of the tests uses a part of it")]

use control::commands::View;
use control::{Controller, Cpu, Failure, Machine, Over, Server, Story};
use devices::fault::plan::{Plan, Rule};
use devices::platform::{Host, Platform};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::JoinHandle;
use trace::Kind;
use vm_memory::{GuestAddress, GuestMemoryMmap};

const PLAN: &str =
    "plug edu0 edu slot=1\nplug disk0 virtio-blk slot=2 absent=yes\nat 900ms plug disk0\nrun for=1s\n";

pub fn plan() -> Plan {
    Plan::parse("control.plan", PLAN).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The world around the platform.
struct World {
    now: u64,
    memory: GuestMemoryMmap,
    told: Vec<(u32, &'static str)>,
}

impl Host for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }
    fn message(&mut self, _: u64, _: u32) {}
    fn line(&mut self, _: u32, _: bool) {}
    fn fault(&mut self, slot: u32, word: &'static str) {
        self.told.push((slot, word));
    }
}

pub struct Fake {
    platform: Platform,
    world: World,
    pub held: bool,
    pub ended: bool,
}

impl Fake {
    pub fn new() -> Self {
        let mut platform = Platform::new(&plan()).expect("devices");
        platform.firmware();
        platform.start_plan(0);
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).expect("memory");
        Self {
            platform,
            world: World { now: 2_000_000, memory, told: Vec::new() },
            held: false,
            ended: false,
        }
    }
}

impl Machine for Fake {
    fn word(&self) -> &'static str {
        "fake"
    }
    fn now(&self) -> u64 {
        self.world.now
    }
    fn cpus(&self) -> Vec<Cpu> {
        vec![Cpu { host_thread: 7, halted: Some(false), guest_thread: None }]
    }
    fn platform(&mut self, call: &mut dyn FnMut(&mut Platform, &mut dyn Host)) {
        call(&mut self.platform, &mut self.world);
    }
    fn rules_changed(&mut self) {}
    fn hold(&mut self) {
        self.held = true;
    }
    fn go(&mut self) {
        self.held = false;
    }
    fn end(&mut self) {
        self.ended = true;
    }
    fn reset(&mut self) -> Result<(), Failure> {
        Err(Failure::generic("no reset line"))
    }
    fn power_down(&mut self) -> Result<(), Failure> {
        self.ended = true;
        Ok(())
    }
    fn nmi(&mut self) -> Result<(), Failure> {
        Err(Failure::generic("no NMI"))
    }
    fn dump(&mut self, path: &std::path::Path) -> Result<(), Failure> {
        if path.exists() {
            Ok(())
        } else {
            Err(Failure::generic(format_args!("{}: no such file", path.display())))
        }
    }
    fn show_stacks(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    fn console(&mut self) -> Vec<String> {
        vec!["hello".to_owned()]
    }
    fn stop_at_time(&mut self, _: u64) {}
    fn stop_at_event(&mut self, _: Kind, _: Option<u32>, _: u64) -> Result<(), Failure> {
        Ok(())
    }
}

/// Knows of threads, and of nothing else.
#[derive(Default)]
pub struct Told(pub Vec<String>);

impl Story for Told {
    fn view(&self, view: View) -> Option<Value> {
        (view == View::Threads).then(|| json!([]))
    }
    fn said(&mut self, rule: &Rule) {
        self.0.push(rule.to_string());
    }
}

/// A server and a machine behind it, until `quit`.
pub struct Running {
    pub path: PathBuf,
    machine: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    pub fn start(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wg-{}-{name}", std::process::id()));
        let server = Server::start(&path).expect("a server");
        let machine = std::thread::spawn(move || {
            let (mut fake, mut told) = (Fake::new(), Told::default());
            let mut controller = Controller::new(server.desk(), &plan(), true);
            while !fake.ended {
                controller.turn(&mut fake, &mut told);
                if !fake.ended {
                    server.desk().wait();
                }
            }
            controller.over(Over::Guest);
            controller.verdict(true, "PASS", 0);
            controller.close();
            server.finish();
            told.0
        });
        Self { path, machine: Some(machine) }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.path)
    }

    /// Waits for the machine's end, which somebody has asked for; what was said to it.
    pub fn join(mut self) -> Vec<String> {
        self.machine.take().expect("it runs").join().expect("the machine ends in order")
    }
}

/// A client that waits for each answer.
pub struct Client {
    pub stream: UnixStream,
    reader: BufReader<UnixStream>,
    pub events: Vec<Value>,
}

impl Client {
    pub fn connect(path: &std::path::Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody listens");
        let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut client = Self { stream, reader, events: Vec::new() };
        assert!(client.read().expect("a greeting")["QMP"]["version"]["qemu"]["major"].is_u64());
        client.ask("qmp_capabilities", json!({})).expect("it is the first");
        client
    }

    /// The next message; `None`: the end.
    pub fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        let bytes = self.reader.read_line(&mut line).expect("a line");
        (bytes > 0).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server reads");
    }

    /// What a command returns, or the class of its error and the text.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, (String, String)> {
        self.send(&json!({"execute": command, "arguments": arguments, "id": command}).to_string());
        loop {
            let message = self.read().expect("an answer");
            if message["event"].is_string() {
                self.events.push(message);
                continue;
            }
            assert_eq!(message["id"], command);
            let text = |key| message["error"][key].as_str().unwrap_or_default().to_owned();
            return match message.get("return") {
                Some(value) => Ok(value.clone()),
                None => Err((text("class"), text("desc"))),
            };
        }
    }

    /// The names of the events so far.
    pub fn heard(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event["event"].as_str()).collect()
    }
}
