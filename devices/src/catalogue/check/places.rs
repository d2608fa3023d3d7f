//! Where devices are: cards in slots, USB devices on the ports of controllers and hubs.

use crate::catalogue::model;
use crate::fault::plan::{Action, ON, PORT, Plan, PlanError, Plug, Rule};

/// Files what is wrong with the place of a device.
pub(super) fn check(plan: &Plan, plug: &Plug, errors: &mut Vec<PlanError>) {
    let Some(model) = model(&plug.model) else { return };
    let Some(on) = plug.on() else {
        if model.is_usb() {
            let message = format!("`{}` is a USB device and goes into no slot", plug.model);
            let expected = "`on=NAME port=N`: a port of an `xhci` or a `usb-hub`";
            errors.push(PlanError::new(plug.span_of("slot"), message).expected(expected));
        }
        return;
    };
    if !model.is_usb() {
        let message = format!("`{}` is a card and goes into no port", plug.model);
        errors.push(PlanError::new(plug.span_of(ON), message).expected("`slot=N`"));
        return;
    }
    let Some(above) = plan.plug_named(on) else { return };
    let Some(most) = ports(above) else {
        let message = format!("`{on}` has no USB ports");
        errors.push(PlanError::new(plug.span_of(ON), message).expected("an `xhci` or a `usb-hub`"));
        return;
    };
    if plug.port() > most {
        let error = PlanError::new(plug.span_of(PORT), format!("`{on}` has no port {}", plug.port()));
        errors.push(error.expected(format!("from 1 to {most}")));
    }
}

/// How many USB ports a device has; `None`: it is neither a controller nor a hub.
pub(super) fn ports(plug: &Plug) -> Option<u8> {
    let option = model(&plug.model)?.ports()?;
    plug.options.get(option.name).map_or(option.default, String::as_str).parse().ok()
}

/// Files an action that a USB device cannot be the object of.
pub(super) fn check_action(plug: &Plug, rule: &Rule, errors: &mut Vec<PlanError>) {
    if !model(&plug.model).is_some_and(|model| model.is_usb()) {
        return;
    }
    let (what, expected) = match &rule.action {
        Action::Eject(_) => ("no attention button", format!("`unplug {}`", plug.name)),
        Action::Storm { .. } | Action::Race { .. } => {
            ("no interrupt of its own", "the controller that it is plugged into".to_owned())
        }
        _ => return,
    };
    let error = PlanError::new(rule.span_of("action"), format!("`{}` has {what}", plug.name));
    errors.push(error.expected(expected));
}
