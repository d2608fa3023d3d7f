//! Faults that a device cannot have, and faults that leave nothing of the run.

use crate::catalogue::model;
use crate::fault::plan::{Action, DeviceFault, GuestFault, Plan, PlanError, Plug, Rule, Trigger};
use crate::fault::plane::Site;

/// Files what is wrong with the fault of `rule`.
pub(super) fn check(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    match &rule.action {
        Action::Fault { device, fault } => {
            if let Some(plug) = plan.plug_named(device) {
                check_fault(plug, *fault, rule, errors);
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

fn check_fault(plug: &Plug, fault: DeviceFault, rule: &Rule, errors: &mut Vec<PlanError>) {
    let Some(model) = model(&plug.model) else { return };
    let default = model.option("irq").map_or("", |option| option.default);
    let irq = plug.options.get("irq").map_or(default, String::as_str);
    if matches!(fault, DeviceFault::Stick { .. }) && irq != "intx" {
        let message = format!("this does nothing: `{}` has no interrupt line with `irq={irq}`", plug.name);
        let error = PlanError::new(rule.span_of("action"), message);
        errors.push(error.expected(format!("`irq=intx` in the declaration of `{}`", plug.name)));
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
