//! The devices of a plan, as a client names them.

use crate::message::{Class, Failure};
use devices::fault::plan::{Action, Plan, Plug, nearest::nearest};
use serde_json::{Value, json};

/// The declaration of the device called `id`.
pub fn find<'a>(plan: &'a Plan, id: &str) -> Result<&'a Plug, Failure> {
    plan.plug_named(id).ok_or_else(|| {
        let names = || plan.plugs.iter().map(|plug| plug.name.as_str());
        let hint = nearest(id, names()).map(|name| format!("; did you mean '{name}'?")).unwrap_or_default();
        let id = crate::commands::shorten(id);
        Failure::new(Class::DeviceNotFound, format_args!("Device '{id}' not found{hint}"))
    })
}

/// Whether the device is among those of a mask of numbers.
pub fn is_in(plug: &Plug, mask: u32) -> bool {
    mask & 1u32.checked_shl(plug.slot).unwrap_or(0) != 0
}

/// What `device_add` does: the device of the plan with this name and model comes into its slot or port.
pub fn addition(plan: &Plan, driver: &str, id: &str, present: u32) -> Result<Action, Failure> {
    let Ok(plug) = find(plan, id) else {
        let out: Vec<&str> =
            plan.plugs.iter().filter(|plug| !is_in(plug, present)).map(|plug| plug.name.as_str()).collect();
        let expected = match out.as_slice() {
            [] => "none of them is out now".to_owned(),
            names => format!("expected one that is out now: {}", names.join(", ")),
        };
        let id = crate::commands::shorten(id);
        let what = format_args!(
            "'{id}' is no device of the plan; every slot has its card from the start; {expected}"
        );
        return Err(Failure::generic(what));
    };
    if plug.model != driver {
        let what = format_args!(
            "'{id}' is of the model '{}', not '{}'",
            plug.model,
            crate::commands::shorten(driver)
        );
        return Err(Failure::generic(what));
    }
    if is_in(plug, present) {
        return Err(Failure::generic(format_args!("Duplicate device ID '{id}'")));
    }
    Ok(if plug.absent() { Action::Plug(id.to_owned()) } else { Action::Replug(id.to_owned()) })
}

/// What `device_del` does: the guest is asked to let the device go.
pub fn removal(plan: &Plan, id: &str, present: u32, leaving: u32) -> Result<Action, Failure> {
    let plug = find(plan, id)?;
    if !is_in(plug, present) {
        return Err(Failure::new(Class::DeviceNotFound, format_args!("Device '{id}' not found: it is out")));
    }
    if is_in(plug, leaving) {
        return Err(Failure::generic(format_args!("Device {id} is already in the process of unplug")));
    }
    Ok(Action::Eject(id.to_owned()))
}

/// An action that the state of its device makes meaningless is refused, not left undone in silence.
pub fn possible(plan: &Plan, action: &Action, present: u32, leaving: u32) -> Result<(), Failure> {
    let (id, wants_in) = match action {
        Action::Unplug(id) | Action::Eject(id) => (id, true),
        Action::Plug(id) | Action::Replug(id) => (id, false),
        _ => return Ok(()),
    };
    let plug = find(plan, id)?;
    let waits = is_in(plug, leaving) && !wants_in;
    if is_in(plug, present) == wants_in || waits {
        return Ok(());
    }
    let state = if wants_in { "out already" } else { "in already" };
    Err(Failure::new(Class::DeviceNotActive, format_args!("`{}`: `{id}` is {state}", action.word())))
}

/// `x-workgate-devices`
pub fn list(plan: &Plan, present: u32, leaving: u32) -> Value {
    let state = |plug: &Plug| match (is_in(plug, present), is_in(plug, leaving)) {
        (false, _) => "out",
        (true, true) => "leaving",
        (true, false) => "in",
    };
    let of = |plug: &Plug| {
        json!({
            "id": plug.name, "driver": plug.model, "slot": plug.slot, "on": plug.on(),
            "port": plug.on().map(|_| plug.port()), "state": state(plug),
        })
    };
    plan.plugs.iter().map(of).collect()
}
