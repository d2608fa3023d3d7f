//! The page's section of removals: the order of each teardown, and the registry before, during and after it.

use super::tree::{Moment, Removed, Told, When};
use crate::control::Node;
use explore::matrix::escaped;
use std::collections::BTreeSet;
use std::fmt::Write;
use verdict::{Removal, time};

/// Removals shown.
const REMOVALS: usize = 64;
/// Lines of a removal's teardown shown.
const LINES: usize = 256;

/// The section; nothing without a removal. `told` has the trees of the first of them.
pub fn section(removals: &[Removal], told: &Told) -> String {
    if removals.is_empty() {
        return String::new();
    }
    let mut out = "<h2>Removals</h2>\n".to_owned();
    for (n, removal) in removals.iter().take(REMOVALS).enumerate() {
        out.push_str(&one(n == 0, removal, told.removals.get(n)));
    }
    // Writing into a string cannot fail.
    match removals.len().saturating_sub(REMOVALS) {
        0 => {}
        more => _ = writeln!(out, "<p>{more} more</p>"),
    }
    if told.more_removals > 0 {
        _ = writeln!(out, "<p>The registry is told of the first {} only.</p>", told.removals.len());
    }
    let end = nodes(&told.end, told.end_left_out, &BTreeSet::new());
    _ = writeln!(out, "<details><summary>The registry at the end of the run</summary>\n{end}</details>");
    out
}

fn one(is_open: bool, removal: &Removal, removed: Option<&Removed>) -> String {
    let took = |t: Option<u64>| t.map_or_else(|| "never".to_owned(), time);
    let order: Vec<&str> = removal.order.iter().take(LINES).map(String::as_str).collect();
    format!(
        "<details{}><summary>{} of {} at {}: {} in flight, all back after {}, stack quiet after {}</summary>\n{}\
         <details><summary>The order of its teardown: {} calls</summary>\n<pre>{}</pre></details></details>\n",
        if is_open { " open" } else { "" },
        escaped(&removal.action),
        escaped(&removal.device),
        time(removal.time),
        removal.in_flight,
        took(removal.offline_after),
        took(removal.quiet_after),
        removed.map_or_else(String::new, trees),
        order.len(),
        escaped(&order.join("\n")),
    )
}

/// The registry at each moment, side by side.
fn trees(removed: &Removed) -> String {
    let tree = |moment: &Moment| {
        let when = word(moment.when);
        let after = match moment.when {
            When::Before => "when the plan takes it away".to_owned(),
            _ => format!("{} after the removal", time(moment.time.saturating_sub(removed.time))),
        };
        let shown = nodes(&moment.tree, moment.left_out, &removed.stack);
        format!("<div><h3>{when}</h3><p>{after}</p>{shown}</div>\n")
    };
    let all: String = removed.moments.iter().map(tree).collect();
    let note = match (removed.stack.len(), removed.moments.last().map(|moment| moment.when)) {
        (0, _) => "<p>Nothing was attached in its slot.</p>\n".to_owned(),
        (_, Some(When::After)) => String::new(),
        (services, _) => format!(
            "<p class=\"broke\">Of its {services} services, some are still attached at the end of the run.</p>\n"
        ),
    };
    format!(
        "<p>The registry; the services of its stack are in bold.</p>\n<div class=\"many\">{all}</div>\n{note}"
    )
}

fn word(when: When) -> &'static str {
    match when {
        When::Before => "before",
        When::Did => "phase 2, at the first didTerminate",
        When::Detach => "phase 3, before the first detach",
        When::After => "after",
    }
}

fn nodes(tree: &[Node], left_out: usize, stack: &BTreeSet<u32>) -> String {
    let mut out = String::new();
    lines(tree, &mut String::new(), stack, &mut out);
    match left_out {
        0 => {}
        more => _ = writeln!(out, "{more} entries more"),
    }
    format!("<pre class=\"tree\">{out}</pre>")
}

fn lines(tree: &[Node], lead: &mut String, stack: &BTreeSet<u32>, out: &mut String) {
    for (n, node) in tree.iter().enumerate() {
        let name = escaped(&format!("{}@{}", node.name, node.id));
        let name = if stack.contains(&node.id) { format!("<b>{name}</b>") } else { name };
        let class =
            if node.class == node.name { String::new() } else { escaped(&format!(" {}", node.class)) };
        _ = writeln!(out, "{lead}+-o {name}{class}{}", state(node));
        lead.push_str(if n + 1 < tree.len() { "| " } else { "  " });
        lines(&node.children, lead, stack, out);
        lead.truncate(lead.len() - 2);
    }
}

/// What sets an entry apart from one that is at work: that its end has begun, and how far it is.
fn state(node: &Node) -> String {
    let has = |word: &&str| node.state.contains(word);
    let end = node.state.iter().filter(|word| !matches!(**word, "registered" | "started")).copied();
    let words: Vec<&str> = end.collect();
    let class = match (["finalized", "stopped"].iter().any(has), has(&"inactive")) {
        _ if words.is_empty() => return String::new(),
        (true, true) => "ended",
        (false, true) => "ending",
        (_, false) => "lively",
    };
    format!(" <span class=\"{class}\">{}</span>", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, name: &str, state: Vec<&'static str>, children: Vec<Node>) -> Node {
        Node {
            id,
            name: name.to_owned(),
            class: name.to_owned(),
            slot: 1,
            state,
            providers: vec![],
            children,
        }
    }

    #[test]
    fn each_state_has_its_word_and_colour_and_names_stay_text() {
        let leaf = node(4, "<i>", vec!["started", "inactive", "finalized"], vec![]);
        let driver =
            node(3, "Driver", vec!["registered", "started", "inactive", "willTerminate"], vec![leaf]);
        let tree = [node(
            1,
            "port",
            vec!["registered"],
            vec![driver, node(5, "other", vec!["started", "busy"], vec![])],
        )];
        let shown = nodes(&tree, 2, &BTreeSet::from([3]));
        let expected = "<pre class=\"tree\">+-o port@1\n\
            \x20 +-o <b>Driver@3</b> <span class=\"ending\">inactive, willTerminate</span>\n\
            \x20 | +-o &lt;i&gt;@4 <span class=\"ended\">inactive, finalized</span>\n\
            \x20 +-o other@5 <span class=\"lively\">busy</span>\n2 entries more\n</pre>";
        assert_eq!(shown, expected);
    }
}
