//! `query-pci` and `info pci`: functions on the bus in QEMU's form (QEMU, `qapi/pci.json`).

use devices::fault::plan::Plan;
use devices::platform::{Bar, Bridge, Function};
use serde_json::{Value, json};
use std::fmt::Write;

/// The answer to `query-pci`.
pub fn query(functions: &[Function], plan: &Plan) -> Value {
    json!([{"bus": 0, "devices": on_bus(functions, 0, plan)}])
}

fn on_bus(functions: &[Function], bus: u8, plan: &Plan) -> Vec<Value> {
    functions.iter().filter(|f| f.bus == bus).map(|function| device(function, functions, plan)).collect()
}

fn device(function: &Function, functions: &[Function], plan: &Plan) -> Value {
    let (vendor, id) = function.id;
    let mut device = json!({
        "bus": function.bus, "slot": function.device, "function": 0,
        "class_info": {"class": function.class, "desc": class(function.class)},
        "id": {
            "vendor": vendor, "device": id,
            "subsystem-vendor": function.subsystem.0, "subsystem": function.subsystem.1,
        },
        "irq_pin": function.pin,
        "qdev_id": name(function, plan),
        "regions": function.bars.iter().map(region).collect::<Vec<_>>(),
    });
    if function.pin != 0 {
        device["irq"] = json!(function.line);
    }
    if let Some(bridge) = &function.bridge {
        // A bus that leads back up would have no end; a guest can program one.
        let below = if bridge.secondary > function.bus {
            on_bus(functions, bridge.secondary, plan)
        } else {
            Vec::new()
        };
        device["pci_bridge"] = json!({"bus": bus(bridge, function.bus), "devices": below});
    }
    device
}

fn bus(bridge: &Bridge, number: u8) -> Value {
    let window = |window: Option<(u64, u64)>| {
        // A closed window is one that ends before it begins.
        let (base, limit) = window.unwrap_or((0xfff0_0000, 0xf_ffff));
        json!({"base": base, "limit": limit})
    };
    json!({
        "number": number, "secondary": bridge.secondary, "subordinate": bridge.subordinate,
        "io_range": {"base": 0xf000, "limit": 0xfff},
        "memory_range": window(bridge.windows[0]), "prefetchable_range": window(bridge.windows[1]),
    })
}

fn region(bar: &Bar) -> Value {
    json!({
        "bar": bar.index, "type": "memory", "address": bar.address, "size": bar.size,
        "prefetch": bar.prefetchable, "mem_type_64": bar.wide,
    })
}

/// The plan's name of a card; `portN` for the port of slot N.
fn name(function: &Function, plan: &Plan) -> String {
    let card = plan.cards().find(|plug| plug.slot == function.slot);
    match (function.slot, &function.bridge, card) {
        (0, ..) => String::new(),
        (slot, Some(_), _) => format!("port{slot}"),
        (_, None, Some(plug)) => plug.name.clone(),
        (slot, None, None) => format!("slot{slot}"),
    }
}

/// Base class and subclass in words (PCI Code and ID Assignment 1.11), for those that this bench has.
fn class(class: u16) -> &'static str {
    match class {
        0x0100 => "SCSI controller",
        0x0180 => "Storage controller",
        0x0600 => "Host bridge",
        0x0604 => "PCI bridge",
        0x0c00 => "FireWire controller",
        0x0c03 => "USB controller",
        0x1180 => "Signal processing controller",
        _ => "Device",
    }
}

/// `info pci`
pub fn text(functions: &[Function], plan: &Plan) -> String {
    let mut out = String::new();
    for function in functions {
        let (vendor, id) = function.id;
        // Writing into a string cannot fail.
        _ = writeln!(
            out,
            "  Bus {:>2}, device {:>3}, function 0: {} {vendor:04x}:{id:04x} {}",
            function.bus,
            function.device,
            class(function.class),
            name(function, plan)
        );
        for bar in &function.bars {
            let last = bar.address.saturating_add(bar.size - 1);
            _ = writeln!(out, "      BAR{}: {:#x} - {last:#x}", bar.index, bar.address);
        }
    }
    out
}
