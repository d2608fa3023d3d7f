//! The picture of a run: what each device completed over plan time, what the plan did to it, and how long each teardown took.

use devices::fault::plan::Plan;
use std::collections::BTreeMap;
use std::fmt::Write;
use trace::{Event, Kind};
use verdict::Verdict;

/// Columns of the picture: each counts what came back in its share of the plan's time.
const COLUMNS: usize = 240;
/// Width of a column, pixels.
const COLUMN: usize = 4;
/// Height of a device's lane, pixels.
const LANE: usize = 64;
/// Room for names on the left, pixels.
const LEFT: usize = 90;
/// Room above the lanes, pixels.
const TOP: usize = 34;

#[derive(Clone, Copy, Default)]
struct Column {
    completed: u64,
    offline: u64,
    other: u64,
}

/// Collects what the picture shows while a run goes on; bounded by the columns.
pub struct Timeline {
    run_for: u64,
    zero: Option<u64>,
    lanes: BTreeMap<u32, Vec<Column>>,
    names: BTreeMap<u32, String>,
}

impl Timeline {
    /// A picture for a run of `plan`.
    pub fn new(plan: &Plan) -> Self {
        let names: BTreeMap<u32, String> =
            plan.plugs.iter().map(|plug| (plug.slot, plug.name.clone())).collect();
        let lanes = names.keys().map(|&slot| (slot, vec![Column::default(); COLUMNS])).collect();
        Self { run_for: plan.run_for.max(1), zero: None, lanes, names }
    }

    /// Counts the event.
    pub fn event(&mut self, event: &Event) {
        if event.kind == Kind::Ready {
            self.zero = Some(event.time);
        }
        let (Some(zero), Some(lane)) = (self.zero, self.lanes.get_mut(&event.slot)) else { return };
        let at = column(event.time.saturating_sub(zero), self.run_for);
        match event.kind {
            Kind::IoDone => lane[at].completed += 1,
            Kind::IoOffline => lane[at].offline += 1,
            Kind::IoError | Kind::IoCorrupt => lane[at].other += 1,
            _ => {}
        }
    }

    /// The picture as SVG, readable on light and dark grounds.
    pub fn svg(&self, verdict: &Verdict) -> String {
        let width = LEFT + COLUMNS * COLUMN + 20;
        let height = TOP + self.lanes.len() * LANE + 30;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <style>text{{fill:#222}}.ground{{fill:#fff}}.axis{{stroke:#888}}.done{{fill:#3b7dd8}}.offline{{fill:#d1495b}}\
             .other{{fill:#e6a100}}.fault{{stroke:#d1495b}}.teardown{{fill:#d1495b;opacity:.25}}\
             @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.ground{{fill:#161616}}}}</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n"
        );
        for (n, (slot, lane)) in self.lanes.iter().enumerate() {
            self.lane(&mut svg, TOP + n * LANE, *slot, lane, verdict);
        }
        self.axis(&mut svg, height);
        svg.push_str("</svg>\n");
        svg
    }

    fn lane(&self, svg: &mut String, top: usize, slot: u32, lane: &[Column], verdict: &Verdict) {
        let name = self.names.get(&slot).map_or("", String::as_str);
        let shown = explore::matrix::escaped(name);
        let base = top + LANE - 6;
        let room = (LANE - 24) as u64;
        let most = lane.iter().map(|c| c.completed + c.offline + c.other).max().unwrap_or(0).max(1);
        _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{shown}</text>", base - 14);
        _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>",
            LEFT + COLUMNS * COLUMN
        );
        for removal in verdict.removals.iter().filter(|removal| removal.slot == slot) {
            let from = LEFT + column(removal.time, self.run_for) * COLUMN;
            let took = removal.quiet_after.unwrap_or(self.run_for);
            let wide = (column(removal.time.saturating_add(took), self.run_for) * COLUMN + LEFT + COLUMN)
                .saturating_sub(from);
            _ = writeln!(
                svg,
                "<rect class=\"teardown\" x=\"{from}\" y=\"{}\" width=\"{wide}\" height=\"{}\"/>",
                top + 18,
                LANE - 24
            );
        }
        for (n, column) in lane.iter().enumerate() {
            let mut y = base;
            for (class, count) in
                [("done", column.completed), ("offline", column.offline), ("other", column.other)]
            {
                let tall = (count * room).div_ceil(most) as usize;
                if tall > 0 {
                    y = y.saturating_sub(tall);
                    let x = LEFT + n * COLUMN;
                    _ = writeln!(
                        svg,
                        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{tall}\"/>",
                        COLUMN - 1
                    );
                }
            }
        }
        let mine = verdict.faults.iter().filter(|(_, device, _)| device == name);
        for (n, (time, _, word)) in mine.take(64).enumerate() {
            let x = LEFT + column(*time, self.run_for) * COLUMN;
            // Every second word stands lower, so that two that follow closely can both be read.
            let y = top + 8 + n % 2 * 10;
            _ = writeln!(svg, "<line class=\"fault\" x1=\"{x}\" x2=\"{x}\" y1=\"{y}\" y2=\"{base}\"/>");
            _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" font-size=\"10\">{}</text>",
                x + 2,
                explore::matrix::escaped(word)
            );
        }
    }

    fn axis(&self, svg: &mut String, height: usize) {
        for tenth in 0..=10 {
            let x = LEFT + COLUMNS * COLUMN * tenth / 10;
            let time = self.run_for / 10 * tenth as u64;
            _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
                height - 8,
                verdict::time(time)
            );
        }
        _ = writeln!(
            svg,
            "<text x=\"8\" y=\"16\">requests that came back, over plan time: <tspan fill=\"#3b7dd8\">completed</tspan>, <tspan fill=\"#d1495b\">Offline</tspan>; shaded: teardown</text>"
        );
    }
}

/// The column of a plan time; what lies behind the end goes into the last.
fn column(time: u64, run_for: u64) -> usize {
    let at = u128::from(time) * COLUMNS as u128 / u128::from(run_for);
    usize::try_from(at).unwrap_or(COLUMNS).min(COLUMNS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_column() {
        assert_eq!(column(0, 100), 0);
        assert_eq!(column(50, 100), COLUMNS / 2);
        assert_eq!(column(100, 100), COLUMNS - 1);
        assert_eq!(column(u64::MAX, 1), COLUMNS - 1);
    }
}
