//! What was exercised, as tables: the steps of a service's life as a matrix, the sites by device, the rules.

use super::html::{cell, heads};
use explore::matrix::escaped;
use explore::teardown::{Group, Item, STEPS, State};
use std::collections::BTreeMap;

/// The section; nothing if nothing is known.
pub fn section(items: &[Item]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let of = |group| -> Vec<&Item> { items.iter().filter(|item| item.group == group).collect() };
    let (steps, sites, checks) = (of(Group::Steps), of(Group::Sites), of(Group::Checks));
    let part = |(what, open): (&str, &str), items: &[&Item], about: &str, table: &str| {
        let hit = items.iter().filter(|item| item.hits > 0).count();
        let times: u64 = items.iter().map(|item| item.hits).sum();
        format!(
            "<details{open}><summary>{what}: {hit} of {} exercised, {times} times</summary>\n<p>{about}</p>\n\
             <div class=\"wide\"><table>{table}</table></div></details>\n",
            items.len()
        )
    };
    let legend = "Green: how often; yellow: never.";
    [
        "<h2>Exercised</h2>\n".to_owned(),
        part(
            ("Steps of a service's life", " open"),
            &steps,
            &format!(
                "From the state on the left to the one above. {legend} Red: seen, though no rule foresees it."
            ),
            &life(&steps),
        ),
        part(("Sites", ""), &sites, legend, &places(&sites)),
        part(
            ("Rule checks", ""),
            &checks,
            &format!("How often something happened that could have broken the rule. {legend}"),
            &rules(&checks),
        ),
    ]
    .concat()
}

/// From state to state.
fn life(items: &[&Item]) -> String {
    let hits: BTreeMap<(&str, &str), u64> =
        items.iter().filter_map(|item| Some((item.name.split_once(" → ")?, item.hits))).collect();
    let words = State::ALL.map(State::word);
    let is_foreseen =
        |from: &str, to: &str| STEPS.iter().any(|step| (step.0.word(), step.1.word()) == (from, to));
    let row = |from: &str| {
        let cells: String =
            words.iter().map(|to| counted(hits.get(&(from, *to)).copied(), is_foreseen(from, to))).collect();
        format!("<tr><th>{from}</th>{cells}</tr>\n")
    };
    let mut table = format!("<tr>{}</tr>\n", heads(["from"].into_iter().chain(words)));
    // Nothing leads on from there.
    table.extend(words.iter().filter(|word| **word != State::Freed.word()).map(|from| row(from)));
    table
}

fn counted(hits: Option<u64>, is_foreseen: bool) -> String {
    match (hits, is_foreseen) {
        (None, _) => cell("none", ""),
        (Some(0), _) => cell("never", 0),
        (Some(hits), true) => cell("held", hits),
        (Some(hits), false) => cell("broke", hits),
    }
}

/// Site by device.
fn places(items: &[&Item]) -> String {
    let mut devices: Vec<&str> = Vec::new();
    let mut sites: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (device, site, hits) in
        items.iter().filter_map(|item| item.name.split_once('.').map(|(d, s)| (d, s, item.hits)))
    {
        if !devices.contains(&device) {
            devices.push(device);
        }
        sites.entry(site).or_default().insert(device, hits);
    }
    let row = |(site, by_device): (&&str, &BTreeMap<&str, u64>)| {
        let cells: String =
            devices.iter().map(|device| counted(by_device.get(device).copied(), true)).collect();
        format!("<tr><th>{}</th>{cells}</tr>\n", escaped(site))
    };
    let rows: String = sites.iter().map(row).collect();
    format!("<tr>{}</tr>\n{rows}", heads(["site"].into_iter().chain(devices.iter().copied())))
}

/// Rules in rows of several: there are many, and each has a number only.
fn rules(items: &[&Item]) -> String {
    const ABREAST: usize = 4;
    let pair = |item: &&Item| {
        format!("<td class=\"left\">{}</td>{}", escaped(&item.name), counted(Some(item.hits), true))
    };
    items
        .chunks(ABREAST)
        .map(|row| format!("<tr>{}</tr>\n", row.iter().map(pair).collect::<String>()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_and_what_nobody_foresees_are_told_apart() {
        let item = |group, name: &str, hits| Item { group, name: name.to_owned(), hits };
        let items = [
            item(Group::Steps, "starting → started", 3),
            item(Group::Steps, "starting → failed", 0),
            item(Group::Steps, "stopped → started", 7),
            item(Group::Sites, "edu0.mmio.read", 5),
            item(Group::Sites, "disk0.dma.read", 0),
            item(Group::Checks, "io-lost", 0),
        ];
        let page = section(&items);
        let row = |from: &str| {
            page.lines().find(|line| line.starts_with(&format!("<tr><th>{from}</th>"))).unwrap_or_default()
        };
        assert!(
            row("starting").contains("<td class=\"held\">3</td>")
                && row("starting").contains("<td class=\"never\">0</td>")
        );
        assert!(row("stopped").contains("<td class=\"broke\">7</td>"), "{page}");
        assert_eq!(
            row("mmio.read"),
            "<tr><th>mmio.read</th><td class=\"held\">5</td><td class=\"none\"></td></tr>"
        );
        assert!(page.contains("<th>site</th><th>edu0</th><th>disk0</th>"));
        assert!(page.contains("<td class=\"left\">io-lost</td><td class=\"never\">0</td>"));
        assert!(page.contains("2 of 3 exercised, 10 times") && section(&[]).is_empty());
    }
}
