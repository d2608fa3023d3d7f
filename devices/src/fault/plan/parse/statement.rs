//! One statement: `machine`, `plug`, `load`, `expect`, `run`; rules are in the `action` module.

use super::Parser;
use super::arguments::{Arguments, Opt, is_name, is_word, one_of, shorten};
use crate::fault::plan::lex::Word;
use crate::fault::plan::units::{NUMBER, SIZE, TIME};
use crate::fault::plan::{
    Era, Expect, Item, Load, ON, PORT, PlanError, Plug, Preemption, Span, limits, words,
};

impl Parser {
    /// Reads the statement on one line. `None` for an empty line and for one that is wrong.
    pub(super) fn statement(&mut self, words: &[Word]) -> Option<Item> {
        let first = words.first()?;
        match first.text.as_str() {
            "machine" => self.machine(words),
            "plug" => self.plug(words),
            "load" => self.load(words),
            "thread" => self.thread(words),
            "expect" => self.expect(words),
            "run" => self.run(words),
            "at" | "every" | "on" => self.rule(words),
            other => {
                let error = PlanError::new(first.span, format!("unknown statement `{}`", shorten(other)));
                let known_action = words::ACTIONS.contains(&other) || words::LATER_ACTIONS.contains(&other);
                self.errors.push(if known_action {
                    error.expected(format!("a trigger before it, such as `at 5ms {other} …`"))
                } else {
                    error
                        .expected(one_of(words::STATEMENTS))
                        .nearest(other, words::STATEMENTS.iter().copied())
                });
                None
            }
        }
    }

    /// Files an error if a statement that may stand once was there before.
    fn once(&mut self, before: Option<Span>, first: &Word) -> Option<()> {
        let Some(before) = before else { return Some(()) };
        let message =
            format!("`{}` stands here for the second time; the first is in line {}", first.text, before.line);
        self.errors.push(PlanError::new(first.span, message).expected(format!("one `{}`", first.text)));
        None
    }

    fn machine(&mut self, words: &[Word]) -> Option<Item> {
        self.once(self.machine, &words[0])?;
        self.machine = Some(words[0].span);
        let mut arguments = Arguments::new(words, &mut self.errors);
        let cpus = arguments.optional("cpus", NUMBER, &limits::CPUS)?;
        let memory = arguments.optional("memory", SIZE, &limits::MEMORY)?;
        let era = match arguments.take("era") {
            None => Some(Era::default()),
            Some(option) => era(&option, arguments.errors),
        };
        let preemption = match arguments.take("preemption") {
            None => Some(Preemption::default()),
            Some(option) => preemption(&option, arguments.errors),
        };
        let push = match arguments.take("push") {
            None => Some(true),
            Some(option) => on_or_off(&option, arguments.errors),
        };
        let fail_safe = arguments.optional("fail-safe", TIME, &limits::FAIL_SAFE)?;
        let overstay = arguments.optional("overstay", TIME, &limits::TIME)?;
        let debounce = arguments.optional("debounce", TIME, &limits::TIME)?;
        if memory.is_some_and(|m| !m.is_multiple_of(limits::MEMORY_UNIT)) {
            let at = arguments.marks.0.get("memory").copied().unwrap_or_default();
            let error = PlanError::new(at, "the memory is not a whole number of megabytes");
            arguments.errors.push(error.expected("a multiple of 1M"));
        }
        arguments.finish();
        self.plan.cpus = cpus.map_or(limits::DEFAULT_CPUS, |n| n as usize);
        self.plan.memory = memory.unwrap_or(limits::DEFAULT_MEMORY);
        self.plan.era = era?;
        self.plan.preemption = preemption?;
        self.plan.push = push?;
        self.plan.fail_safe = fail_safe;
        self.plan.overstay = overstay;
        self.plan.debounce = debounce;
        Some(Item::Machine)
    }

    fn plug(&mut self, words: &[Word]) -> Option<Item> {
        let mut arguments = Arguments::new(words, &mut self.errors);
        let name = arguments.name("name")?;
        let model = arguments.name_of_model()?;
        let mut options = std::collections::BTreeMap::new();
        let slot = match arguments.take(ON) {
            None => arguments.required("slot", NUMBER, &limits::SLOTS)?,
            Some(option) => {
                options.insert(ON.into(), arguments.plug_option(&option)?);
                let port = arguments.required(PORT, NUMBER, &limits::PORTS)?;
                options.insert(PORT.into(), port.to_string());
                0
            }
        };
        for option in arguments.rest() {
            let value = arguments.plug_option(&option)?;
            options.insert(option.key.into(), value);
        }
        let (span, marks) = arguments.finish();
        let slot = u32::try_from(slot).ok()?;
        self.plan.plugs.push(Plug { name, model, slot, options, span, marks });
        Some(Item::Plug(self.plan.plugs.len() - 1))
    }

    fn load(&mut self, words: &[Word]) -> Option<Item> {
        let mut arguments = Arguments::new(words, &mut self.errors);
        let device = arguments.name("device")?;
        let clients = arguments.required("clients", NUMBER, &limits::CLIENTS)?;
        let depth = arguments.required("depth", NUMBER, &limits::DEPTH)?;
        let size =
            arguments.optional("size", SIZE, &limits::REQUEST)?.and_then(|bytes| bytes.try_into().ok());
        let tasks = match arguments.take("as").map(|option| (option.value, option.span)) {
            None | Some(("threads", _)) => false,
            Some(("tasks", _)) => true,
            Some((other, span)) => {
                let error = PlanError::new(span, format!("clients are not `{}`", shorten(other)));
                let known = words::CLIENTS;
                arguments.errors.push(error.expected(one_of(known)).nearest(other, known.iter().copied()));
                return None;
            }
        };
        let (span, marks) = arguments.finish();
        let (clients, depth) = (u32::try_from(clients).ok()?, u32::try_from(depth).ok()?);
        self.plan.loads.push(Load { device, clients, depth, size, tasks, span, marks });
        Some(Item::Load(self.plan.loads.len() - 1))
    }

    fn expect(&mut self, words: &[Word]) -> Option<Item> {
        let mut arguments = Arguments::new(words, &mut self.errors);
        let span = arguments.span;
        let what = arguments.word("what", &one_of(words::EXPECTATIONS))?;
        let expect = match what.text.as_str() {
            "offline" => Expect::Offline(arguments.required("within", TIME, &limits::DURATION)?, span),
            "quiet" => Expect::Quiet(arguments.required("within", TIME, &limits::DURATION)?, span),
            "turn" => {
                let thread = arguments.name("thread")?;
                let within = arguments.required("within", TIME, &limits::DURATION)?;
                let marks = arguments.marks.clone();
                Expect::Turn { thread, within, span, marks }
            }
            "no-leaks" => Expect::NoLeaks(span),
            other => {
                let error = PlanError::new(what.span, format!("unknown expectation `{}`", shorten(other)));
                let known = words::EXPECTATIONS;
                arguments.errors.push(error.expected(one_of(known)).nearest(other, known.iter().copied()));
                return None;
            }
        };
        arguments.finish();
        if self.plan.expects.len() >= limits::EXPECTS {
            let error = PlanError::new(span, "too many expectations");
            self.errors.push(error.expected(format!("at most {}", limits::EXPECTS)));
            return None;
        }
        self.plan.expects.push(expect);
        Some(Item::Expect(self.plan.expects.len() - 1))
    }

    fn run(&mut self, words: &[Word]) -> Option<Item> {
        self.once(self.run, &words[0])?;
        self.run = Some(words[0].span);
        let mut arguments = Arguments::new(words, &mut self.errors);
        let run_for = arguments.required("for", TIME, &limits::DURATION)?;
        arguments.finish();
        self.plan.run_for = run_for;
        Some(Item::Run)
    }
}

impl Arguments<'_> {
    /// The next word as the name of a model.
    fn name_of_model(&mut self) -> Option<String> {
        let word = self.word("model", "the name of a device model")?;
        if is_name(&word.text) {
            return Some(word.text.clone());
        }
        let error = PlanError::new(word.span, format!("`{}` is not a device model", shorten(&word.text)));
        self.errors.push(error.expected("a model, such as `edu` or `virtio-blk`"));
        None
    }

    /// The canonical value of an option of `plug`.
    fn plug_option(&mut self, option: &Opt<'_>) -> Option<String> {
        if !is_name(option.key) {
            let error = PlanError::new(option.span, format!("`{}` is not an option", shorten(option.key)));
            self.errors.push(error.expected("a word of small letters before the `=`"));
            return None;
        }
        let wrong = match option.key {
            "size" => {
                let bytes = self.value(SIZE, option.value, option.span, &limits::SIZE)?;
                return Some(SIZE.show(bytes).to_string());
            }
            "absent" if !matches!(option.value, "yes" | "no") => "`yes` or `no`".into(),
            ON if !is_name(option.value) => "the name of a controller or hub".into(),
            "driver" if !is_word(option.value, limits::DRIVER_CHARS) => "a word of small letters".into(),
            "irq" if !is_name(option.value) => "a word of small letters".into(),
            _ if option.value.is_empty() => "a value behind the `=`".into(),
            _ if option.value.len() > limits::VALUE_BYTES => format!("at most {} bytes", limits::VALUE_BYTES),
            _ => return Some(option.value.into()),
        };
        let message = format!("`{}` is not a value of `{}`", shorten(option.value), option.key);
        self.errors.push(PlanError::new(option.span, message).expected(wrong));
        None
    }
}

fn on_or_off(option: &Opt<'_>, errors: &mut Vec<PlanError>) -> Option<bool> {
    match option.value {
        "on" => Some(true),
        "off" => Some(false),
        other => {
            let message = format!("`{}` is not a value of `{}`", shorten(other), option.key);
            errors.push(PlanError::new(option.span, message).expected("`on` or `off`"));
            None
        }
    }
}

fn era(option: &Opt<'_>, errors: &mut Vec<PlanError>) -> Option<Era> {
    let known = [Era::E103, Era::E104, Era::E105, Era::Modern];
    let era = known.into_iter().find(|era| era.word() == option.value);
    era.or_else(|| unknown(option, words::ERAS, errors))
}

fn preemption(option: &Opt<'_>, errors: &mut Vec<PlanError>) -> Option<Preemption> {
    let known = [Preemption::Tasks, Preemption::Strict, Preemption::Full];
    let preemption = known.into_iter().find(|preemption| preemption.word() == option.value);
    preemption.or_else(|| unknown(option, words::PREEMPTIONS, errors))
}

/// The value of `option` is none of `known`.
fn unknown<T>(option: &Opt<'_>, known: &[&str], errors: &mut Vec<PlanError>) -> Option<T> {
    let error = PlanError::new(option.span, format!("unknown {} `{}`", option.key, shorten(option.value)));
    errors.push(error.expected(one_of(known)).nearest(option.value, known.iter().copied()));
    None
}
