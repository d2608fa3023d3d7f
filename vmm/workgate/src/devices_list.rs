//! `workgate devices`: the models, their options, the sites and the actions of rules.

use crate::cli::ListArgs;
use crate::exit::{Exit, Failure};
use devices::catalogue::{ACTIONS, ActionSpec, Model, catalogue, guest_sites};
use devices::fault::plane::Site;
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
struct Listing {
    models: Vec<ModelEntry>,
    device_sites: Vec<&'static str>,
    usb_sites: Vec<&'static str>,
    guest_sites: Vec<&'static str>,
    actions: Vec<ActionEntry>,
}

#[derive(Serialize)]
struct ActionEntry {
    action: &'static str,
    form: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct ModelEntry {
    model: &'static str,
    description: &'static str,
    options: Vec<OptionEntry>,
}

#[derive(Serialize)]
struct OptionEntry {
    option: &'static str,
    default: &'static str,
    accepts: String,
    description: &'static str,
}

/// Prints the catalogue of device models.
pub fn devices(args: &ListArgs) -> Result<Exit, Failure> {
    let listing = Listing {
        models: catalogue().iter().map(entry).collect(),
        device_sites: Site::CARD.iter().map(|site| site.word()).collect(),
        usb_sites: Site::USB.iter().map(|site| site.word()).collect(),
        guest_sites: guest_sites().collect(),
        actions: ACTIONS.iter().map(action).collect(),
    };
    match args.json {
        true => crate::output::println(&crate::run::to_json(&listing)?)?,
        false => crate::output::print(&text(&listing))?,
    }
    Ok(Exit::Held)
}

fn action(spec: &ActionSpec) -> ActionEntry {
    ActionEntry { action: spec.word, form: spec.form, description: spec.description }
}

fn entry(model: &Model) -> ModelEntry {
    let options = model.all_options().map(|option| OptionEntry {
        option: option.name,
        default: option.default,
        accepts: option.accepts.expected(),
        description: option.description,
    });
    ModelEntry { model: model.word, description: model.description, options: options.collect() }
}

fn text(listing: &Listing) -> String {
    let mut out = String::new();
    for model in &listing.models {
        _ = writeln!(out, "{}: {}", model.model, model.description);
        for option in &model.options {
            let default = if option.default.is_empty() { "none" } else { option.default };
            let OptionEntry { option, accepts, description, .. } = option;
            _ = writeln!(out, "  {option:<10} {description} ({accepts}; default {default})");
        }
    }
    _ = writeln!(
        out,
        "\nsites of every card, for `on NAME.SITE #N` or `on NAME.SITE p=P`:\n  {}",
        listing.device_sites.join(" ")
    );
    _ = writeln!(out, "sites of every USB device, for the same:\n  {}", listing.usb_sites.join(" "));
    _ = writeln!(out, "sites of the guest, for the same:");
    for line in listing.guest_sites.chunks(6) {
        _ = writeln!(out, "  {}", line.join(" "));
    }
    _ = writeln!(out, "actions, behind a trigger:");
    for ActionEntry { form, description, .. } in &listing.actions {
        _ = writeln!(out, "  {form:<52} {description}");
    }
    out
}
