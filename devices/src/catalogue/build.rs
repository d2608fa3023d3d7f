//! From `plug` statements to devices.

use super::{Build, Model, ModelError, Settings, Store, is_place, model};
use crate::device::Device;
use crate::fault::plan::Plug;
use crate::firewire::Cabled;
use crate::firewire::node::Node;
use crate::usb::{Gadget, Plugged};

/// The model of a `plug` statement, whose options exist and have values that it takes.
fn checked(plug: &Plug) -> Result<&'static Model, ModelError> {
    let model = model(&plug.model).ok_or_else(|| ModelError::UnknownModel(plug.model.clone()))?;
    for (name, value) in plug.options.iter().filter(|(name, _)| !is_place(plug, name)) {
        let option = model
            .option(name)
            .ok_or_else(|| ModelError::UnknownOption { model: plug.model.clone(), option: name.clone() })?;
        if !option.accepts.takes(value) {
            return Err(ModelError::BadValue {
                option: name.clone(),
                value: value.clone(),
                expected: option.accepts.expected(),
            });
        }
    }
    Ok(model)
}

/// Makes the card of a `plug` statement. `store`: its storage, if it has any and the machine provides it; `plugged`: what is behind it, if
/// it is a controller.
///
/// # Errors
/// Model, option or value do not exist, or the model is no card.
pub fn build(plug: &Plug, store: Store, plugged: Vec<Plugged>) -> Result<Box<dyn Device>, ModelError> {
    let model = checked(plug)?;
    let settings = Settings::new(model, plug);
    match model.build {
        Build::Card(_) if !plugged.is_empty() => {
            Err(ModelError::Place(plug.model.clone(), "no USB controller"))
        }
        Build::Card(build) => Ok(build(&settings, store)),
        Build::Controller(build) => Ok(build(&settings, plugged)),
        Build::FireWire(_) if !plugged.is_empty() => {
            Err(ModelError::Place(plug.model.clone(), "no USB controller"))
        }
        Build::FireWire(build) => build(&settings, Vec::new()),
        Build::Usb(_) | Build::Node(_) => {
            Err(ModelError::Place(plug.model.clone(), "no card: it has no slot, but `on=` and `port=`"))
        }
    }
}

/// Makes the USB device of a `plug` statement.
///
/// # Errors
/// Model, option or value do not exist, or the model is no USB device.
pub fn build_usb(plug: &Plug, store: Store) -> Result<Box<dyn Gadget>, ModelError> {
    let model = checked(plug)?;
    match model.build {
        Build::Usb(build) => Ok(build(&Settings::new(model, plug), store)),
        _ => Err(ModelError::Place(plug.model.clone(), "no USB device")),
    }
}

/// Makes the FireWire controller of a `plug` statement, with the nodes on its bus.
///
/// # Errors
/// Model, option or value do not exist, the model is no FireWire controller, or a node does not go where the plan has it.
pub fn build_firewire(plug: &Plug, cabled: Vec<Cabled>) -> Result<Box<dyn Device>, ModelError> {
    let model = checked(plug)?;
    match model.build {
        Build::FireWire(build) => build(&Settings::new(model, plug), cabled),
        _ => Err(ModelError::Place(plug.model.clone(), "no FireWire controller")),
    }
}

/// Makes the FireWire node of a `plug` statement.
///
/// # Errors
/// Model, option or value do not exist, or the model is no FireWire node.
pub fn build_node(plug: &Plug, store: Store) -> Result<Box<dyn Node>, ModelError> {
    let model = checked(plug)?;
    match model.build {
        Build::Node(build) => Ok(build(&Settings::new(model, plug), store)),
        _ => Err(ModelError::Place(plug.model.clone(), "no FireWire node")),
    }
}
