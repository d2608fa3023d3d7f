//! Removals by state of the stack and by site: what was tried, and what broke.

use crate::phase::Phase;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A cell: removals tried, and those that broke a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Removals.
    pub tried: u64,
    /// Of these, the ones that showed a bug.
    pub broke: u64,
}

/// The matrix of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix(BTreeMap<(Phase, String), Cell>);

/// A cell with its place, for JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    /// State of the stack.
    pub state: &'static str,
    /// Site.
    pub site: String,
    /// What was tried there.
    #[serde(flatten)]
    pub cell: Cell,
}

impl Matrix {
    /// Counts a removal.
    pub fn add(&mut self, phase: Phase, site: &str, broke: bool) {
        let cell = self.0.entry((phase, site.to_owned())).or_default();
        cell.tried += 1;
        cell.broke += u64::from(broke);
    }

    /// The cells in order.
    pub fn cells(&self) -> Vec<Placed> {
        let placed = |((phase, site), cell): (&(Phase, String), &Cell)| Placed {
            state: phase.word(),
            site: site.clone(),
            cell: *cell,
        };
        self.0.iter().map(placed).collect()
    }

    /// Removals tried, and those of them that broke a rule.
    pub fn total(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |(tried, broke), cell| (tried + cell.tried, broke + cell.broke))
    }

    fn phases(&self) -> Vec<Phase> {
        Phase::ALL.into_iter().filter(|phase| self.0.keys().any(|(p, _)| p == phase)).collect()
    }

    fn sites(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(_, site)| site.as_str()).collect()
    }

    fn cell(&self, phase: Phase, site: &str) -> Option<Cell> {
        self.0.get(&(phase, site.to_owned())).copied()
    }

    /// As text: a row for each site, a column for each state; `tried` or `broke/tried`, and `.` where the reference run never was.
    pub fn text(&self) -> String {
        let phases = self.phases();
        let mut out = format!("{:<18}", "removed at");
        for phase in &phases {
            // Writing into a string cannot fail.
            _ = write!(out, " {:>10}", phase.word());
        }
        out.push('\n');
        for site in self.sites() {
            _ = write!(out, "{site:<18}");
            for phase in &phases {
                let told = match self.cell(*phase, site) {
                    None => ".".to_owned(),
                    Some(Cell { tried, broke: 0 }) => tried.to_string(),
                    Some(Cell { tried, broke }) => format!("{broke}/{tried}!"),
                };
                _ = write!(out, " {told:>10}");
            }
            out.push('\n');
        }
        out
    }

    /// As a table for a page.
    pub fn html(&self) -> String {
        let phases = self.phases();
        let heads: String = phases.iter().map(|phase| format!("<th>{}</th>", phase.word())).collect();
        let mut out = format!("<table><tr><th>removed at</th>{heads}</tr>\n");
        for site in self.sites() {
            _ = write!(out, "<tr><th>{}</th>", escaped(site));
            for phase in &phases {
                _ = match self.cell(*phase, site) {
                    None => write!(out, "<td class=\"none\"></td>"),
                    Some(Cell { tried, broke: 0 }) => write!(out, "<td class=\"held\">{tried}</td>"),
                    Some(Cell { tried, broke }) => write!(out, "<td class=\"broke\">{broke} of {tried}</td>"),
                };
            }
            out.push_str("</tr>\n");
        }
        out + "</table>\n"
    }
}

/// Text for a page.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_and_shown() {
        let mut matrix = Matrix::default();
        matrix.add(Phase::Idle, "gate.close", false);
        matrix.add(Phase::Idle, "gate.close", true);
        matrix.add(Phase::Starting, "mmio.read", false);
        let text = matrix.text();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["removed", "at", "starting", "idle"]);
        assert_eq!(rows[1], ["gate.close", ".", "1/2!"]);
        assert_eq!(rows[2], ["mmio.read", "1", "."]);
        assert!(matrix.html().contains("<td class=\"broke\">1 of 2</td>"));
        assert_eq!((matrix.cells().len(), matrix.total()), (2, (3, 1)));
        assert_eq!(escaped("<a&\">"), "&lt;a&amp;&quot;&gt;");
    }
}
