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

#[cfg(test)]
mod tests {
    use crate::catalogue::check;
    use crate::fault::plan::Plan;

    const USB: &str = "plug usb0 xhci slot=1 ports=2\nplug hub0 usb-hub on=usb0 port=1\nplug kb0 usb-keyboard on=hub0 port=4\n";

    fn only(text: &str, part: &str) {
        let plan = Plan::parse("t", text).expect("the parser has nothing against it");
        let found: Vec<String> = check(&plan).iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
    }

    #[test]
    fn what_goes_where() {
        only("plug stick0 usb-storage slot=1\n", "is a USB device and goes into no slot");
        only(&format!("{USB}plug edu0 edu on=usb0 port=2\n"), "is a card and goes into no port");
        only(
            &format!("{USB}plug m usb-mouse on=usb0 port=3\n"),
            "`usb0` has no port 3; expected from 1 to 2",
        );
        only(
            &format!("{USB}plug m usb-mouse on=hub0 port=5\n"),
            "`hub0` has no port 5; expected from 1 to 4",
        );
        only(&format!("{USB}plug m usb-mouse on=kb0 port=1\n"), "`kb0` has no USB ports");
    }

    #[test]
    fn what_can_happen_to_whom() {
        for (rule, part) in [
            ("eject kb0", "`kb0` has no attention button; expected `unplug kb0`"),
            ("storm kb0 rate=1kHz for=1ms", "no interrupt of its own"),
            ("drop kb0", "no interrupt, DMA or link"),
            ("usb-stall usb0", "`usb0` is no USB device"),
            ("disconnect-port kb0 port=1", "`kb0` has no USB ports"),
            ("disconnect-port hub0 port=9", "`hub0` has no port 9"),
            ("disconnect-port hub0 port=3", "nothing is on port 3 of `hub0`"),
            ("overcurrent usb0 port=3", "`usb0` has no port 3"),
        ] {
            only(&format!("{USB}at 1ms {rule}\n"), part);
        }
        only(&format!("{USB}on kb0.mmio.read unplug kb0\n"), "`usb-keyboard` has no `mmio.read`");
        only(&format!("{USB}on usb0.usb.in unplug kb0\n"), "`xhci` has no `usb.in`");
        let good = format!("{USB}on kb0.usb.in #3 babble kb0\nat 1ms overcurrent hub0 port=3\n");
        assert_eq!(check(&Plan::parse("t", &good).expect("a plan")), []);
    }
}
