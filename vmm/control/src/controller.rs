//! The controller: carries orders out on a machine, on the machine's own thread.

use crate::commands::{Command, Until, View};
use crate::desk::Desk;
use crate::machine::{Machine, Story};
use crate::message::{Answer, Class, Failure};
use crate::monitor::{self, Line};
use crate::{devices_of, pci};
use devices::fault::plan::units::TIME;
use devices::fault::plan::{Action, Plan, PlanError, Rule, Spoken, Trigger, limits};
use devices::fault::plane::Site;
use devices::platform::{Function, TooLate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use trace::Kind;

/// Where a machine is (QEMU's `RunState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has not begun.
    Prelaunch,
    Running,
    Paused,
    Shutdown,
}

/// How a machine ended, for the SHUTDOWN event (QEMU's `ShutdownCause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// `quit`.
    Quit,
    /// The guest powered off.
    Guest,
    /// The guest reset the machine.
    GuestReset,
    /// `system_reset`.
    Reset,
    /// The guest panicked, hung, or the machine failed.
    Panic,
}

impl Over {
    const fn word(self) -> &'static str {
        match self {
            Over::Quit => "host-qmp-quit",
            Over::Guest => "guest-shutdown",
            Over::GuestReset => "guest-reset",
            Over::Reset => "host-qmp-system-reset",
            Over::Panic => "guest-panic",
        }
    }

    const fn by_guest(self) -> bool {
        matches!(self, Over::Guest | Over::GuestReset | Over::Panic)
    }
}

/// Carries out orders.
pub struct Controller {
    desk: Desk,
    plan: Plan,
    state: State,
    /// Who ended the machine, if a client did.
    ended: Option<Over>,
    /// The devices that were in their places when they were last looked at.
    present: Option<u32>,
}

impl Controller {
    /// A controller for a machine that was built from `plan`. `paused`: it does not begin before `cont`.
    pub fn new(desk: Desk, plan: &Plan, paused: bool) -> Self {
        let state = if paused { State::Prelaunch } else { State::Running };
        Self { desk, plan: plan.clone(), state, ended: None, present: None }
    }

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Whether the machine must stand still now.
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Prelaunch | State::Paused)
    }

    /// Who ended the machine, if a client did.
    pub fn ended(&self) -> Option<Over> {
        self.ended
    }

    /// Carries out all orders that wait.
    pub fn turn(&mut self, machine: &mut dyn Machine, story: &mut dyn Story) {
        self.look_at_devices(machine);
        while let Some(order) = self.desk.take() {
            let answer = self.carry_out(&order.command, machine, story);
            self.desk.answer(&order, answer);
            self.look_at_devices(machine);
        }
    }

    /// The machine has come to where it was to stop.
    pub fn reached(&mut self, machine: &mut dyn Machine) {
        if self.state == State::Running {
            self.stop(machine);
        }
    }

    /// The machine has ended; a client may have ended it, whatever the machine says.
    pub fn over(&mut self, how: Over) {
        let how = self.ended.unwrap_or(how);
        self.state = State::Shutdown;
        if matches!(how, Over::GuestReset | Over::Reset) {
            self.desk.event("RESET", json!({"guest": how.by_guest(), "reason": how.word()}));
        }
        self.desk.event("SHUTDOWN", json!({"guest": how.by_guest(), "reason": how.word()}));
    }

    /// Events of the trace, as `x-workgate-trace` tells them: at the end, what those who follow it were not given yet.
    pub fn last_events(&self, batch: Value) {
        self.desk.event("X_WORKGATE_TRACE", batch);
    }

    /// The verdict of the run, for all.
    pub fn verdict(&self, passed: bool, word: &str, findings: u64) {
        let data = json!({"passed": passed, "verdict": word, "findings": findings});
        self.desk.event("X_WORKGATE_VERDICT", data);
    }

    /// Nothing more is carried out.
    pub fn close(&self) {
        self.desk.close(|| Err(over()));
    }

    fn look_at_devices(&mut self, machine: &mut dyn Machine) {
        let (present, _) = devices(machine);
        let before = self.present.replace(present).unwrap_or(present);
        let gone = before & !present;
        if gone == 0 {
            return;
        }
        for plug in self.plan.plugs.iter().filter(|plug| devices_of::is_in(plug, gone)) {
            let path = format!("/machine/peripheral/{}", plug.name);
            self.desk.event("DEVICE_DELETED", json!({"device": plug.name, "path": path}));
        }
    }

    fn carry_out(&mut self, command: &Command, machine: &mut dyn Machine, story: &mut dyn Story) -> Answer {
        if self.state == State::Shutdown && !matches!(command, Command::Status | Command::Name) {
            return Err(over());
        }
        match command {
            Command::Name => Ok(json!({"name": self.plan.name})),
            Command::Status => Ok(self.status(machine)),
            Command::Stop => Ok(self.stop(machine)),
            Command::Cont => Ok(self.cont(machine)),
            Command::Quit => Ok(self.end(Over::Quit, machine)),
            Command::Reset => machine.reset().map(|()| self.end(Over::Reset, machine)),
            Command::PowerDown => machine.power_down().map(|()| {
                self.desk.event("POWERDOWN", Value::Null);
                json!({})
            }),
            Command::Cpus => Ok(cpus(machine)),
            Command::Pci => Ok(pci::query(&functions(machine), &self.plan)),
            Command::Add { driver, id } => {
                let action = devices_of::addition(&self.plan, driver, id, devices(machine).0)?;
                self.act(action, machine, story).map(|_| json!({}))
            }
            Command::Delete { id } => {
                let (present, leaving) = devices(machine);
                let action = devices_of::removal(&self.plan, id, present, leaving)?;
                self.act(action, machine, story).map(|_| json!({}))
            }
            Command::Dump { protocol, detach, format } => {
                let path = dump_file(protocol, *detach, format.as_deref())?;
                machine.dump(path).map(|()| json!({}))
            }
            Command::Nmi => machine.nmi().map(|()| json!({})),
            Command::Monitor(line) => self.monitor(line, machine, story),
            Command::Fault(statement) => self.fault(statement, machine, story),
            Command::Until(until) => self.until(until, machine),
            Command::View(view) => look(*view, story),
            Command::Sites => Ok(self.sites(machine)),
            Command::Devices => {
                let (present, leaving) = devices(machine);
                Ok(devices_of::list(&self.plan, present, leaving))
            }
            Command::Console => Ok(json!(machine.console())),
            Command::Stacks => machine.show_stacks().map(|()| json!({})),
        }
    }

    fn status(&self, machine: &mut dyn Machine) -> Value {
        let word = match self.state {
            State::Prelaunch => "prelaunch",
            State::Running => "running",
            State::Paused => "paused",
            State::Shutdown => "shutdown",
        };
        let now = machine.now();
        json!({
            "running": self.state == State::Running, "status": word,
            "x-workgate-machine": machine.word(), "x-workgate-time": now,
            "x-workgate-plan-time": plan_time(machine),
        })
    }

    fn stop(&mut self, machine: &mut dyn Machine) -> Value {
        if self.state == State::Running {
            machine.hold();
            self.state = State::Paused;
            self.desk.event("STOP", Value::Null);
        }
        json!({})
    }

    fn cont(&mut self, machine: &mut dyn Machine) -> Value {
        if self.holds() {
            self.state = State::Running;
            self.desk.event("RESUME", Value::Null);
            machine.go();
        }
        json!({})
    }

    fn end(&mut self, how: Over, machine: &mut dyn Machine) -> Value {
        self.ended = Some(how);
        self.state = State::Shutdown;
        machine.end();
        json!({})
    }

    /// Carries out an action of the plan language now; what the plan would have had to say for it.
    fn act(&mut self, action: Action, machine: &mut dyn Machine, story: &mut dyn Story) -> Answer {
        let (present, leaving) = devices(machine);
        devices_of::possible(&self.plan, &action, present, leaving)?;
        let time = plan_time(machine).unwrap_or(0);
        let rule =
            Rule { trigger: Trigger::At(time), action, span: Default::default(), marks: Default::default() };
        // Before the fault is told in the trace: whoever follows that must know of it.
        story.said(&rule);
        let plan = &self.plan;
        machine.platform(&mut |platform, host| platform.perform(plan, &rule.action, host));
        Ok(json!({"plan-time": time, "statement": rule.to_string()}))
    }

    fn fault(&mut self, text: &str, machine: &mut dyn Machine, story: &mut dyn Story) -> Answer {
        let rule = match self.plan.speak("statement", text).map_err(|errors| mistakes(&errors))? {
            Spoken::Now(action) => return self.act(action, machine, story),
            Spoken::Rule(rule) => rule,
        };
        let mut added = Ok(());
        let plan = &self.plan;
        machine.platform(&mut |platform, host| added = platform.add_rule(plan, &rule, host));
        added.map_err(|late: TooLate| Failure::generic(format_args!("`{rule}`: {late}")))?;
        machine.rules_changed();
        story.said(&rule);
        self.plan.rules.push(rule.clone());
        Ok(json!({"plan-time": plan_time(machine), "statement": rule.to_string()}))
    }

    fn until(&self, until: &Until, machine: &mut dyn Machine) -> Answer {
        match until {
            Until::Time(text) => {
                let time = TIME.parse(text, &limits::TIME).map_err(|error| {
                    Failure::generic(format_args!("'time': {error}; expected a plan time such as 5ms"))
                })?;
                if let Some(now) = plan_time(machine).filter(|now| *now > time) {
                    return Err(Failure::generic(TooLate { now }));
                }
                machine.stop_at_time(time);
            }
            Until::Event { word, device, count } => {
                let words = || Kind::ALL.iter().map(|kind| kind.word());
                let kind = Kind::from_word(word).ok_or_else(|| {
                    let near = devices::fault::plan::nearest::nearest(word, words());
                    let hint = near.map(|word| format!("; did you mean '{word}'?")).unwrap_or_default();
                    let word = crate::commands::shorten(word);
                    Failure::generic(format_args!("'event': there is no event '{word}'{hint}"))
                })?;
                let slot = device.as_deref().map(|id| devices_of::find(&self.plan, id)).transpose()?;
                machine.stop_at_event(kind, slot.map(|plug| plug.slot), *count)?;
            }
        }
        Ok(json!({}))
    }

    fn sites(&self, machine: &mut dyn Machine) -> Value {
        let mut counts = Vec::new();
        machine.platform(&mut |platform, _| counts = platform.site_counts());
        let name = |slot: u32| {
            let plug = self.plan.plugs.iter().find(|plug| plug.slot == slot);
            plug.map_or_else(|| format!("slot{slot}"), |plug| plug.name.clone())
        };
        let words = |passed: &[u64]| -> BTreeMap<&str, u64> {
            Site::ALL.iter().zip(passed).filter(|(_, n)| **n > 0).map(|(site, n)| (site.word(), *n)).collect()
        };
        let by_name: BTreeMap<String, _> =
            counts.iter().map(|(slot, passed)| (name(*slot), words(passed))).collect();
        json!(by_name)
    }

    fn monitor(&mut self, line: &str, machine: &mut dyn Machine, story: &mut dyn Story) -> Answer {
        let text = match monitor::read(line)? {
            Line::Text(text) => text.to_owned(),
            Line::Pci => pci::text(&functions(machine), &self.plan),
            Line::As(Command::Status) => {
                let status = self.status(machine);
                format!("VM status: {}\n", status["status"].as_str().unwrap_or_default())
            }
            Line::As(command) => match self.carry_out(&command, machine, story)? {
                Value::Object(members) if members.is_empty() => String::new(),
                value => format!("{value:#}\n"),
            },
        };
        // As QEMU's: its clients look for line ends of a terminal.
        Ok(Value::String(text.replace('\n', "\r\n")))
    }
}

/// The answer when there is no machine any more.
fn over() -> Failure {
    Failure::generic("the machine has ended")
}

/// The file that `dump-guest-memory` names.
fn dump_file<'a>(protocol: &'a str, detach: bool, format: Option<&str>) -> Result<&'a Path, Failure> {
    if detach {
        return Err(Failure::generic("'detach': the core is written before the answer; expected false"));
    }
    if let Some(other) = format.filter(|format| *format != "elf") {
        let other = crate::commands::shorten(other);
        return Err(Failure::generic(format_args!("'format': '{other}' is not written; expected 'elf'")));
    }
    let path = protocol.strip_prefix("file:").filter(|path| !path.is_empty());
    path.map(Path::new).ok_or_else(|| Failure::generic("'protocol': expected file:PATH"))
}

fn mistakes(errors: &[PlanError]) -> Failure {
    let lines: Vec<String> = errors.iter().map(PlanError::to_string).collect();
    Failure::new(Class::GenericError, lines.join("\n"))
}

/// The devices that are in their places, and those that were asked to leave.
fn devices(machine: &mut dyn Machine) -> (u32, u32) {
    let mut found = (0, 0);
    machine.platform(&mut |platform, _| found = (platform.present(), platform.leaving()));
    found
}

fn functions(machine: &mut dyn Machine) -> Vec<Function> {
    let mut found = Vec::new();
    machine.platform(&mut |platform, _| found = platform.functions());
    found
}

fn plan_time(machine: &mut dyn Machine) -> Option<u64> {
    let mut time = None;
    machine.platform(&mut |platform, host| time = platform.plan_time(host.now()));
    time
}

fn look(view: View, story: &mut dyn Story) -> Answer {
    story.view(view).ok_or_else(|| {
        Failure::generic("nothing is known of it: this guest has no bench that tells what it does")
    })
}

fn cpus(machine: &mut dyn Machine) -> Value {
    let entry = |(index, cpu): (usize, crate::Cpu)| {
        let mut entry = json!({
            "cpu-index": index, "qom-path": format!("/machine/cpu[{index}]"), "thread-id": cpu.host_thread,
            "target": "x86_64", "props": {"core-id": index, "thread-id": 0, "socket-id": 0},
        });
        if let Some(halted) = cpu.halted {
            entry["x-workgate-halted"] = json!(halted);
        }
        if let Some(thread) = cpu.guest_thread {
            entry["x-workgate-thread"] = json!(thread);
        }
        entry
    };
    machine.cpus().into_iter().enumerate().map(entry).collect()
}
