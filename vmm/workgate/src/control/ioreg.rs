//! `workgate ioreg` and `workgate classcount`: the registry of a machine that runs.

use super::client::Client;
use crate::cli::{ClassCountArgs, LookArgs};
use crate::exit::{Exit, Failure};
use crate::output;
use serde_json::{Value, json};
use std::fmt::Write;

/// Prints the registry as a tree.
pub fn ioreg(args: &LookArgs) -> Result<Exit, Failure> {
    let tree = Client::connect(&args.socket)?.ask("x-workgate-registry", json!({}))?;
    let text = match args.json {
        true => crate::run::to_json(&tree)? + "\n",
        false => render(&tree),
    };
    output::print(&text)?;
    Ok(Exit::Held)
}

/// The tree, a line an entry.
pub fn render(tree: &Value) -> String {
    let mut out = String::new();
    nodes(tree, &mut String::new(), &mut out);
    out
}

/// Entries that stand side by side, and what is attached to each; `lead`: what stands before them in their lines.
fn nodes(entries: &Value, lead: &mut String, out: &mut String) {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    for (n, entry) in entries.iter().enumerate() {
        // Writing into a string cannot fail.
        _ = writeln!(out, "{lead}+-o {}", line(entry));
        // A line leads down to the next one.
        lead.push_str(if n + 1 < entries.len() { "| " } else { "  " });
        nodes(&entry["children"], lead, out);
        lead.truncate(lead.len() - 2);
    }
}

fn line(entry: &Value) -> String {
    let text = |key: &str| shown(entry[key].as_str().unwrap_or_default());
    let id = entry["id"].as_u64().unwrap_or(0);
    let states = entry["state"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let name = match text("name") {
        name if name.is_empty() => "(no name)".to_owned(),
        name => name,
    };
    let mut facts = vec![format!("id {id}")];
    match text("class") {
        class if class.is_empty() => {}
        class => facts.insert(0, format!("class {class}")),
    }
    facts.extend(states.map(str::to_owned));
    format!("{name}  <{}>", facts.join(", "))
}

/// A name is the guest's: nothing in it may reach the terminal as a control sequence.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Prints how many instances each class has.
pub fn classcount(args: &ClassCountArgs) -> Result<Exit, Failure> {
    let counts = Client::connect(&args.look.socket)?.ask("x-workgate-classcount", json!({}))?;
    let count = |class: &str| counts[class].as_u64().unwrap_or(0);
    let all: Vec<String> = counts.as_object().into_iter().flatten().map(|(class, _)| class.clone()).collect();
    let wanted = if args.classes.is_empty() { &all } else { &args.classes };
    if args.look.json {
        let wanted: serde_json::Map<_, _> =
            wanted.iter().map(|class| (class.clone(), json!(count(class)))).collect();
        output::println(&crate::run::to_json(&wanted)?)?;
    } else {
        let lines: String =
            wanted.iter().map(|class| format!("{} = {}\n", shown(class), count(class))).collect();
        output::print(&lines)?;
    }
    Ok(Exit::Held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_a_line_for_each_entry_and_no_control_characters() {
        let leaf = |id: u64, name: &str| json!({"id": id, "name": name, "class": "C", "state": ["busy"], "children": []});
        let mut first = leaf(2, "a\u{1b}[31m");
        first["children"] = json!([leaf(4, "c")]);
        let root =
            json!([{"id": 1, "name": "Root", "class": "", "state": [], "children": [first, leaf(3, "")]}]);
        let text = render(&root);
        let expected = [
            "+-o Root  <id 1>",
            "  +-o a\\u{1b}[31m  <class C, id 2, busy>",
            "  | +-o c  <class C, id 4, busy>",
            "  +-o (no name)  <class C, id 3, busy>",
        ];
        let text: Vec<&str> = text.lines().collect();
        assert_eq!(text, expected);
    }
}
