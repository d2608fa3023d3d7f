//! Faults that a device cannot have, and faults that leave nothing of the run.

use super::places;
use crate::catalogue::{Model, model};
use crate::fault::plan::{Action, DeviceFault, GuestFault, Plan, PlanError, Plug, Rule, Trigger, What};
use crate::fault::plane::Site;

/// Models that can deliver a completion twice ([`crate::env::Env::twice`]).
const DELIVERS_TWICE: [&str; 2] = ["edu", "virtio-blk"];

/// Files what is wrong with the fault of `rule`.
pub(super) fn check(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    match &rule.action {
        Action::Fault { device, fault } => {
            if let Some(plug) = plan.plug_named(device) {
                check_fault(plan, plug, *fault, rule, errors);
            }
        }
        Action::Guest(GuestFault::Stall { duration, .. }) => {
            if matches!(rule.trigger, Trigger::Every(period) if period <= *duration) {
                let error = PlanError::new(rule.span_of("for"), "the CPU would never run again");
                errors.push(error.expected("a stall that is shorter than the period"));
            }
        }
        Action::Race { device, .. } | Action::Kill(device)
            if !plan.loads.iter().any(|l| l.device == *device) =>
        {
            let message = format!("this does nothing: `{device}` has no load");
            let error = PlanError::new(rule.span_of("action"), message);
            errors.push(error.expected(format!("a statement `load {device} clients=N depth=N`")));
        }
        _ => {}
    }
}

/// Why a device cannot have this fault, and what could.
fn misplaced(model: &Model, plug: &Plug, fault: DeviceFault) -> Option<(String, String)> {
    let word = fault.word();
    match fault {
        DeviceFault::UsbStall { .. }
        | DeviceFault::UsbError { .. }
        | DeviceFault::Babble { .. }
        | DeviceFault::Nak { .. } => (!model.is_usb()).then(|| {
            (format!("`{}` is no USB device: `{word}` is not for it", plug.name), "a USB device".into())
        }),
        DeviceFault::DisconnectPort { .. } | DeviceFault::Overcurrent { .. } => {
            (model.ports().is_none() || model.has_firewire()).then(|| {
                (
                    format!("`{}` has no USB ports: `{word}` is not for it", plug.name),
                    "an `xhci` or `usb-hub`".into(),
                )
            })
        }
        DeviceFault::BusReset | DeviceFault::NewRoot => (!model.has_firewire()).then(|| {
            (
                format!("`{}` has no FireWire: `{word}` is not for it", plug.name),
                "an `ohci` or a FireWire node".into(),
            )
        }),
        DeviceFault::CablePull { .. } | DeviceFault::LostAck { .. } => (!model.is_firewire()).then(|| {
            (format!("`{}` is no FireWire node: `{word}` is not for it", plug.name), "a FireWire node".into())
        }),
        _ => model.is_behind().then(|| {
            let message = format!("`{}` has no interrupt, DMA or link: `{word}` is not for it", plug.name);
            (message, "a card, such as the controller that it is plugged into".into())
        }),
    }
}

/// A port of a fault that the controller or hub does not have, or has nothing on.
fn check_port(plan: &Plan, plug: &Plug, fault: DeviceFault, rule: &Rule, errors: &mut Vec<PlanError>) {
    let (DeviceFault::DisconnectPort { port, .. } | DeviceFault::Overcurrent { port, .. }) = fault else {
        return;
    };
    let most = places::ports(plug).unwrap_or(0);
    let error = if port > most {
        let error = PlanError::new(rule.span_of("port"), format!("`{}` has no port {port}", plug.name));
        error.expected(format!("from 1 to {most}"))
    } else if matches!(fault, DeviceFault::DisconnectPort { .. })
        && !plan.plugs.iter().any(|other| other.on() == Some(plug.name.as_str()) && other.port() == port)
    {
        let message = format!("this does nothing: nothing is on port {port} of `{}`", plug.name);
        PlanError::new(rule.span_of("port"), message).expected("a port that a device of the plan is on")
    } else {
        return;
    };
    errors.push(error);
}

fn check_fault(plan: &Plan, plug: &Plug, fault: DeviceFault, rule: &Rule, errors: &mut Vec<PlanError>) {
    let Some(model) = model(&plug.model) else { return };
    if let Some((message, expected)) = misplaced(model, plug, fault) {
        let error = PlanError::new(rule.span_of("action"), message);
        errors.push(error.expected(expected));
        return;
    }
    check_port(plan, plug, fault, rule, errors);
    if model.is_behind() {
        return;
    }
    let default = model.option("irq").map_or("", |option| option.default);
    let irq = plug.options.get("irq").map_or(default, String::as_str);
    if matches!(fault, DeviceFault::Stick { .. }) && irq != "intx" {
        let message = format!("this does nothing: `{}` has no interrupt line with `irq={irq}`", plug.name);
        let error = PlanError::new(rule.span_of("action"), message);
        errors.push(error.expected(format!("`irq=intx` in the declaration of `{}`", plug.name)));
    }
    if let (DeviceFault::Stick { duration }, Trigger::Every(period)) = (fault, &rule.trigger)
        && *period <= duration
    {
        let error = PlanError::new(rule.span_of("for"), "the line would never fall again");
        errors.push(error.expected("a time that is shorter than the period"));
    }
    if matches!(fault, DeviceFault::Duplicate { what: What::Completion, .. })
        && !DELIVERS_TWICE.contains(&model.word)
    {
        let message = format!("this never happens: no `{}` delivers a completion twice", plug.model);
        let error = PlanError::new(rule.span_of("what"), message);
        errors.push(error.expected(format!("`what=interrupt`, or one of {}", DELIVERS_TWICE.join(", "))));
    }
    let writes = matches!(
        fault,
        DeviceFault::Corrupt { .. } | DeviceFault::ShortDma { .. } | DeviceFault::LateDma { .. }
    );
    if writes && !model.sites.contains(&Site::DmaWrite) {
        let message = format!("this never happens: `{}` writes no memory", plug.model);
        errors.push(PlanError::new(rule.span_of("action"), message).expected("a device with `dma.write`"));
    }
}
