//! `workgate boot`: an image in the KVM machine, its serial console on this terminal.

use crate::cli::BootArgs;
use crate::collect::Line;
use crate::console::Console;
use crate::control::{Control, Debugger, Watched};
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::places::Places;
use control::Over;
use devices::fault::plan::Plan;

/// Boots the image; ends when the guest powers off.
pub fn boot(args: &BootArgs) -> Result<Exit, Failure> {
    let plan = plan(args)?;
    let image = crate::load::bytes("image", &args.image)?;
    let initrd =
        args.initrd.as_deref().map(|path| crate::load::bytes("initial RAM disk", path)).transpose()?;
    let name = args.image.display().to_string();
    let mut places = Places::open(&name, &args.console, &args.debug)?;
    if let Some(told) = places.told() {
        eprint!("workgate: {told}");
    }
    let options = vmm::Options {
        core: places.core.take(),
        tap: places.console.as_ref().map(Console::tap),
        command_line: args.cmdline.clone(),
        initrd,
        // A console that goes somewhere else is not here.
        terminal: args.console.console.is_none(),
        // A guest that is not ours knows nothing of machine time: it gets the host's.
        slow_down: 1,
        ..vmm::Options::default()
    };
    let mut control = Control::open(&args.control, &plan)?;
    // A guest that is not ours tells nothing of what it does.
    let silent = Watched::new(&plan, None, false);
    let mut debugger = Debugger::open(&args.debug)?;
    let gdb = debugger.as_mut().and_then(|debugger| debugger.gdb(&silent));
    let mut steering = control.as_mut().map(|control| control.steering(&silent));
    let steer = steering.as_mut().map(|steering| steering as &mut dyn vmm::Steer);
    let outcome = vmm::boot_steered(&plan, &image, &options, steer, gdb).map_err(machine::kvm_failure)?;
    let quit = control.as_ref().is_some_and(Control::ended);
    if let Some(mut control) = control {
        control.over(over(&outcome.ending), &silent);
        control.close(None);
    }
    leave(&name, &outcome, quit, places)
}

/// Tells how the guest ended, and then what became of what it leaves behind: a console, a core or a list that could not be written hides no outcome.
fn leave(name: &str, outcome: &vmm::Outcome, quit: bool, places: Places) -> Result<Exit, Failure> {
    let held = is_held(outcome, quit);
    if !held {
        eprintln!("workgate: {}", outcome.describe());
    }
    let say = |line: &str| {
        eprint!("workgate: {line}");
        Ok(())
    };
    places.leave(line(name, outcome, quit), outcome.core.as_ref(), say)?;
    Ok(if held { Exit::Held } else { Exit::Found })
}

/// Whether the guest, or who steers it, ended it in order.
fn is_held(outcome: &vmm::Outcome, quit: bool) -> bool {
    quit || matches!(outcome.ending, vmm::Ending::PowerOff | vmm::Ending::Reset)
}

/// What the list of a collection says of a guest that is not ours: nobody judges it, unless it came to a bad end.
fn line<'a>(name: &'a str, outcome: &vmm::Outcome, quit: bool) -> Line<'a> {
    Line {
        what: name,
        machine: "kvm",
        seed: None,
        verdict: if is_held(outcome, quit) { "NONE" } else { "FAIL" },
        ended: outcome.ending.to_string(),
        rules: Vec::new(),
        core: matches!(outcome.core, Some(Ok(_))),
    }
}

/// How a machine ended, as clients of the control socket are told.
pub fn over(ending: &vmm::Ending) -> Over {
    match ending {
        vmm::Ending::PowerOff => Over::Guest,
        vmm::Ending::Reset => Over::GuestReset,
        _ => Over::Panic,
    }
}

/// The hardware that the options ask for, as a plan: so it is read and checked by the same code, with the same words.
fn plan(args: &BootArgs) -> Result<Plan, Failure> {
    if let Some(file) = &args.plan {
        return crate::load::hardware(file);
    }
    let mut text = format!("machine cpus={} memory={}\n", args.cpus, word(&args.memory)?);
    for (n, plug) in args.plug.iter().enumerate() {
        text.push_str(&statement(n, word(plug)?, &args.plug[..n])?);
    }
    crate::load::parse("the options of boot", &text)
}

/// Options become words of one line: nothing in them may end the line or begin a comment.
fn word(text: &str) -> Result<&str, Failure> {
    match text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '#') {
        None => Ok(text),
        Some(c) => {
            Err(Failure::request(format_args!("`{}`: unexpected character {c:?}", text.escape_debug())))
        }
    }
}

/// `SLOT=DEVICE[,k=v]…` as a `plug` statement; the device is called `devN`.
///
/// What stands before the `=` is a slot, or a slot and the ports from there on: `3.4.2` is port 2 of the hub at port 4 of the controller in slot 3.
fn statement(n: usize, plug: &str, before: &[String]) -> Result<String, Failure> {
    let mut parts = plug.split(',');
    let Some((place, model)) = parts.next().and_then(|first| first.split_once('=')) else {
        let message = format_args!(
            "--plug {plug}: expected SLOT=DEVICE[,option=value], such as 1=edu, or SLOT.PORT=DEVICE"
        );
        return Err(Failure::request(message));
    };
    let place = match place.rsplit_once('.') {
        None => format!("slot={place}"),
        Some((owner, port)) => {
            let found = before.iter().position(|other| place_of(other) == owner).ok_or_else(|| {
                Failure::request(format_args!("--plug {plug}: expected a --plug {owner}=DEVICE before it"))
            })?;
            format!("on=dev{found} port={port}")
        }
    };
    let options: Vec<&str> = parts.collect();
    Ok(format!("plug dev{n} {model} {place} {}\n", options.join(" ")))
}

/// Where the device of an option goes.
fn place_of(plug: &str) -> &str {
    plug.split_once('=').map_or(plug, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn args(memory: &str, plug: &[&str]) -> BootArgs {
        BootArgs {
            image: PathBuf::new(),
            plan: None,
            cpus: 2,
            memory: memory.to_owned(),
            initrd: None,
            cmdline: String::new(),
            plug: plug.iter().map(|p| (*p).to_owned()).collect(),
            console: Default::default(),
            control: Default::default(),
            debug: Default::default(),
        }
    }

    #[test]
    fn options_become_a_plan() {
        let plan = plan(&args("128M", &["1=edu", "3=virtio-blk,size=8M"])).expect("a good request");
        assert_eq!((plan.cpus, plan.memory), (2, 128 << 20));
        assert_eq!((plan.plugs[1].slot, plan.plugs[1].model.as_str()), (3, "virtio-blk"));
        assert_eq!(plan.plugs[1].options["size"], "8M");
    }

    #[test]
    fn devices_go_into_ports_of_others() {
        let plan = plan(&args("128M", &["3=xhci", "3.4=usb-hub,ports=4", "3.4.2=usb-keyboard"]))
            .expect("a good request");
        let (on, port) = (&plan.plugs[2].options["on"], &plan.plugs[2].options["port"]);
        assert_eq!((on.as_str(), port.as_str()), ("dev1", "2"));
    }

    #[test]
    fn bad_options_are_refused() {
        for (memory, plug) in [
            ("128Q", "1=edu"),
            ("64M", "edu"),
            ("64M", "1=nosuch"),
            ("64M", "99=edu"),
            ("64M", "3.1=usb-keyboard"),
            ("64M", "3.=usb-keyboard"),
            ("64M\n", "1=edu"),
            ("64M", "1=edu\nrun for=1s"),
        ] {
            let failure = plan(&args(memory, &[plug])).expect_err(plug);
            assert_eq!(failure.exit, Exit::Request, "{}", failure.message);
        }
    }
}
