//! Plans from Rhai scripts: before boot, with bounded work, and without a clock, files or a network.
//!
//! A script says one statement after the other with `say`; what it says is a plan like any other. Mistakes in it point into the script: at the
//! call that said the line, with the line as it came out.

use crate::exit::Failure;
use devices::fault::plan::{Plan, PlanError, limits};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicMapPackage, BasicStringPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Engine, EvalAltResult, INT, NativeCallContext, Position};
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

/// Steps of a script.
const MAX_OPERATIONS: u64 = 5_000_000;
/// Bytes of all that a script says: those of a plan's text.
const MAX_TEXT: usize = 1 << 20;
/// Depth of calls.
const MAX_CALLS: usize = 64;
/// Bytes of a string, and entries of an array or a map.
const MAX_SIZE: usize = 1 << 16;
/// The ending by which a script is known.
pub const EXTENSION: &str = "rhai";

/// What the person gives a script.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ScriptArgs {
    /// A parameter for a script (`param("NAME", default)` in it); may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Seed of a script's `random`
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub script_seed: u64,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What a script has said.
#[derive(Debug, Default)]
struct Said {
    text: String,
    /// Where in the script each line of the text was said.
    places: Vec<Position>,
    used: Vec<String>,
}

/// The plan's text, and where in the script its lines come from.
pub struct Generated {
    /// The text.
    pub text: String,
    places: Vec<Position>,
}

/// Runs the script `source`, called `name`.
///
/// # Errors
/// Status 2: the script is wrong (with line and column), does too much, or was given a parameter that it does not ask for.
pub fn generate(name: &str, source: &str, args: &ScriptArgs) -> Result<Generated, Failure> {
    let said = Rc::new(RefCell::new(Said::default()));
    engine(&said, args).run(source).map_err(|error| wrong(name, source, &error))?;
    let said = std::mem::take(&mut *said.borrow_mut());
    if let Some((unused, _)) = args.set.iter().find(|(name, _)| !said.used.contains(name)) {
        let asked = if said.used.is_empty() { "no parameter".to_owned() } else { said.used.join(", ") };
        return Err(Failure::request(format_args!(
            "{name} does not ask for a parameter `{unused}`; it asks for {asked}"
        )));
    }
    Ok(Generated { text: said.text, places: said.places })
}

fn engine(said: &Rc<RefCell<Said>>, args: &ScriptArgs) -> Engine {
    let mut engine = Engine::new_raw();
    CorePackage::new().register_into_engine(&mut engine);
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALLS)
        .set_max_string_size(MAX_SIZE)
        .set_max_array_size(MAX_SIZE)
        .set_max_map_size(MAX_SIZE)
        .disable_symbol("eval");
    engine.on_print(|text| eprintln!("{text}"));
    register_say(&mut engine, said.clone());
    register_param(&mut engine, said.clone(), args);
    let rng = Rc::new(RefCell::new(sim::Rng::new(args.script_seed)));
    engine.register_fn("random", move |below: INT| -> Fallible<INT> {
        match u32::try_from(below) {
            Ok(below) if below > 0 => Ok(rng.borrow_mut().below(below).into()),
            _ => Err("random(N) takes a number from 1 to 4294967295".into()),
        }
    });
    engine
}

type Fallible<T> = Result<T, Box<EvalAltResult>>;

fn register_say(engine: &mut Engine, said: Rc<RefCell<Said>>) {
    engine.register_fn("say", move |context: NativeCallContext<'_>, text: &str| -> Fallible<()> {
        let mut said = said.borrow_mut();
        for line in text.split('\n') {
            if said.text.len() + line.len() >= MAX_TEXT || said.places.len() >= limits::LINES {
                return Err(format!("a plan has at most {} lines and {MAX_TEXT} bytes", limits::LINES).into());
            }
            said.text.push_str(line);
            said.text.push('\n');
            said.places.push(context.call_position());
        }
        Ok(())
    });
}

fn register_param(engine: &mut Engine, said: Rc<RefCell<Said>>, args: &ScriptArgs) {
    let (numbers, texts) = (args.set.clone(), args.set.clone());
    let used = said.clone();
    let given = |set: &[(String, String)], said: &RefCell<Said>, name: &str| {
        let mut said = said.borrow_mut();
        if !said.used.iter().any(|known| known == name) {
            said.used.push(name.to_owned());
        }
        set.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    engine.register_fn("param", move |name: &str, default: INT| -> Fallible<INT> {
        let Some(value) = given(&numbers, &used, name) else { return Ok(default) };
        value.parse().map_err(|_| format!("parameter `{name}` is `{value}`; expected a whole number").into())
    });
    engine.register_fn("param", move |name: &str, default: &str| -> String {
        given(&texts, &said, name).unwrap_or_else(|| default.to_owned())
    });
}

/// A script's own mistake.
fn wrong(name: &str, source: &str, error: &EvalAltResult) -> Failure {
    let place = error.position();
    let mut plain = error.to_string();
    // The position stands in front, as for every other message.
    if let Some(end) = plain.rfind(" (line ") {
        plain.truncate(end);
    }
    Failure::snippet(pointed(name, source, place, &plain))
}

/// A message with the script's line under it.
fn pointed(name: &str, source: &str, place: Position, message: &str) -> String {
    let (line, column) = (place.line().unwrap_or(1), place.position().unwrap_or(1));
    let shown = source.lines().nth(line - 1).unwrap_or_default();
    let mut text = format!("error: {message}\n --> {name}:{line}:{column}\n  | {shown}\n");
    // Writing into a string cannot fail.
    _ = writeln!(text, "  | {}^", " ".repeat(column.saturating_sub(1)));
    text
}

/// The mistakes of what a script said, each at the call that said it.
pub fn render(name: &str, source: &str, generated: &Generated, errors: &[PlanError]) -> String {
    let lines: Vec<&str> = generated.text.lines().collect();
    let one = |error: &PlanError| {
        let index = error.line.saturating_sub(1);
        let place = generated.places.get(index).copied().unwrap_or(Position::NONE);
        let said = lines.get(index).copied().unwrap_or_default();
        let message = format!("the script says `{said}`: {error}");
        pointed(name, source, place, &message)
    };
    errors.iter().map(one).collect()
}

/// The plan that a script generates.
///
/// # Errors
/// As [`generate`]; and what it says is no plan, or one that the models do not fit.
pub fn plan(name: &str, source: &str, args: &ScriptArgs) -> Result<Plan, Failure> {
    let generated = generate(name, source, args)?;
    let failed = |errors: &[PlanError]| Failure::snippet(render(name, source, &generated, errors));
    let plan = Plan::parse(name, &generated.text).map_err(|errors| failed(&errors))?;
    match devices::catalogue::check(&plan) {
        errors if errors.is_empty() => Ok(plan),
        errors => Err(failed(&errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(set: &[(&str, &str)]) -> ScriptArgs {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ScriptArgs { set, script_seed: 1 }
    }

    const SCRIPT: &str = r#"
        // Cards in so many slots, each pulled out at a time of its own.
        fn card(n) { say(`plug edu${n} edu slot=${n}`); say(`load edu${n} clients=1 depth=1`); }
        let cards = param("cards", 2);
        for n in 1..cards + 1 {
            card(n);
            say(`at ${1 + random(3)}ms unplug edu${n}`);
        }
        say("run for=" + param("time", "5ms"));
    "#;

    #[test]
    fn a_script_makes_a_plan() {
        let made = |set: &[(&str, &str)]| plan("s.rhai", SCRIPT, &args(set)).map_err(|f| f.message);
        let two = made(&[]).expect("a good script");
        assert_eq!((two.plugs.len(), two.rules.len(), two.run_for), (2, 2, 5_000_000));
        let five = made(&[("cards", "5"), ("time", "9ms")]).expect("a good script");
        assert_eq!((five.plugs.len(), five.run_for), (5, 9_000_000));
        assert_eq!(five, made(&[("cards", "5"), ("time", "9ms")]).expect("the same again"));
        for (set, expected) in [
            (("cards", "x"), "expected a whole number"),
            (("cord", "1"), "does not ask for a parameter `cord`; it asks for cards, time"),
            (("time", "5"), "s.rhai:9:9"),
        ] {
            let message = made(&[set]).expect_err("a mistake");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn mistakes_point_into_the_script() {
        for (script, place, part) in [
            ("let x = ;", "s:1:9", "error"),
            ("say(\"run for=1ms\");\nnonsense(1);", "s:2:1", "nonsense"),
            ("say(\"plug a edu slot=99\");", "s:1:1", "the script says `plug a edu slot=99`"),
            ("let n = 3;\n  say(`plug a edoo slot=${n}`);", "s:2:3", "edoo"),
            ("loop { }", "s:1", "operations"),
            ("let s = \"x\"; loop { s += s; }", "s:1", "too large"),
            ("fn f(n) { f(n + 1) }\nf(0);", "s:2:1", "Stack overflow"),
            ("loop { say(\"# x\"); }", "s:1:8", "at most"),
            ("eval(\"1\");", "s:1", "eval"),
            ("import \"x\";", "s:1", "import"),
            ("random(0);", "s:1:1", "takes a number"),
        ] {
            let message = match plan("s", script, &args(&[])) {
                Ok(plan) => panic!("{script} makes {plan:?}"),
                Err(failure) => failure.message,
            };
            assert!(message.contains(place) && message.contains(part), "{script}: {message}");
        }
    }
}
