//! `workgate bundles`: the driver bundles of the guest, looked at before anything is loaded, as `kextload -tn` does.

use crate::cli::BundlesArgs;
use crate::exit::{Exit, Failure, hint};
use iokit::Class;
use iokit::driver::bundles::all;
use iokit::registry::bundle::{Bundle, check_bundle};
use serde::Serialize;
use std::fmt::Write;

/// A bundle, as it is told.
#[derive(Debug, Serialize)]
struct Entry {
    identifier: &'static str,
    version: &'static str,
    /// The oldest version whose users can use this one.
    compatible: Option<&'static str>,
    libraries: Vec<Library>,
    classes: Vec<Defined>,
    personalities: Vec<Matched>,
    /// What the checker says, errors and warnings.
    complaints: Vec<String>,
    /// Whether it can be loaded.
    loads: bool,
}

#[derive(Debug, Serialize)]
struct Library {
    identifier: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Defined {
    class: &'static str,
    superclass: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Matched {
    personality: &'static str,
    class: &'static str,
    provider: &'static str,
    category: &'static str,
    score: i32,
}

/// Lists the bundles, or those that were asked for, and checks them.
pub fn bundles(args: &BundlesArgs) -> Result<Exit, Failure> {
    let all = all();
    let known: Vec<&Bundle> = all.iter().collect();
    let chosen = choose(&known, &args.bundles)?;
    let entries: Vec<Entry> = chosen.iter().map(|bundle| entry(bundle, &known)).collect();
    match args.json {
        true => crate::output::println(&crate::run::to_json(&entries)?)?,
        false => crate::output::print(&entries.iter().map(text).collect::<String>())?,
    }
    Ok(if entries.iter().all(|entry| entry.loads) { Exit::Held } else { Exit::Found })
}

/// Those whose identifiers are, or end with, one of `names`; all without any.
fn choose<'a>(known: &[&'a Bundle], names: &[String]) -> Result<Vec<&'a Bundle>, Failure> {
    if names.is_empty() {
        return Ok(known.to_vec());
    }
    let is = |bundle: &Bundle, name: &str| {
        let rest = bundle.identifier.strip_suffix(name);
        !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut chosen = Vec::new();
    for name in names {
        match known.iter().find(|bundle| is(bundle, name)) {
            Some(bundle) => chosen.push(*bundle),
            None => {
                let known: Vec<_> = known.iter().map(|bundle| bundle.identifier).collect();
                let words = known.iter().flat_map(|of| [Some(*of), of.rsplit('.').next()]).flatten();
                let (expected, hint) = (known.join(", "), hint(name, words));
                return Err(Failure::request(format_args!(
                    "no bundle {name:?}: expected one of {expected}{hint}"
                )));
            }
        }
    }
    Ok(chosen)
}

fn entry(bundle: &Bundle, known: &[&Bundle]) -> Entry {
    let complaints = check_bundle(bundle, known);
    let defined = |class: &&'static Class| Defined {
        class: class.name,
        superclass: class.superclass.map(|superclass| superclass.name),
    };
    let matched = bundle.personalities.iter().map(|(personality, p)| Matched {
        personality,
        class: p.class,
        provider: p.provider_class,
        category: p.category,
        score: p.score,
    });
    let library = |&(identifier, version): &(&'static str, &'static str)| Library { identifier, version };
    Entry {
        identifier: bundle.identifier,
        version: bundle.version,
        compatible: bundle.compatible,
        libraries: bundle.libraries.iter().map(library).collect(),
        classes: bundle.classes.iter().map(defined).collect(),
        personalities: matched.collect(),
        loads: !complaints.iter().any(|complaint| complaint.is_error()),
        complaints: complaints.iter().map(ToString::to_string).collect(),
    }
}

fn text(entry: &Entry) -> String {
    let mut out = format!("{} {}\n", entry.identifier, entry.version);
    // Writing to a string does not fail.
    for Library { identifier, version } in &entry.libraries {
        _ = writeln!(out, "  needs    {identifier} {version}");
    }
    for Defined { class, superclass } in &entry.classes {
        _ = writeln!(out, "  class    {class}{}", superclass.map_or(String::new(), |s| format!(": {s}")));
    }
    for Matched { personality, class, provider, score, .. } in &entry.personalities {
        _ = writeln!(out, "  matches  {personality}: {class} on {provider}, score {score}");
    }
    entry.complaints.iter().for_each(|complaint| _ = writeln!(out, "  {complaint}"));
    _ = writeln!(out, "  {}", if entry.loads { "can be loaded" } else { "cannot be loaded" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_found_by_the_end_of_its_identifier() {
        let all = all();
        let known: Vec<&Bundle> = all.iter().collect();
        let found = |name: &str| choose(&known, &[name.to_owned()]);
        assert_eq!(found("edu").unwrap()[0].identifier, "org.workgate.driver.edu");
        assert_eq!(found("family.usb").unwrap()[0].identifier, "org.workgate.family.usb");
        for wrong in ["", "du", "org.workgate", "driver.edu.x"] {
            let failure = found(wrong).err().expect("no such bundle");
            assert!(failure.exit == Exit::Request && failure.message.contains("org.workgate.driver.edu"));
        }
        assert_eq!(choose(&known, &[]).unwrap().len(), known.len());
    }

    #[test]
    fn what_is_wrong_with_a_bundle_is_told() {
        let broken = Bundle::new("nothing", "x").property("OSBundleDebugLevel", 1u64);
        let entry = entry(&broken, &[&broken]);
        assert!(!entry.loads);
        let text = text(&entry);
        for part in [
            "nothing x\n",
            "  error: the identifier is not a reversed domain name: nothing\n",
            "  error: the version is not of the form 1.2.3fc4: x\n",
            "  warning: a debugging property was left in: OSBundleDebugLevel\n",
            "  cannot be loaded\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
