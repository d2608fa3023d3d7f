//! The picture: a pure function of the model, for any size.

use super::model::{Model, Row as ThreadRow};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

/// Rows of gates at the most.
const GATES: usize = 4;
/// Columns from which on a column is shown.
const WIDE: [u16; 3] = [36, 56, 84];

/// Draws everything that there is room for: the machine, the bands, the gates, and the threads in what is left.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let gates = model.gates.len().min(GATES);
    let few = area.height < 16;
    let heights = [
        Constraint::Length(1),
        Constraint::Length(if few { 0 } else { model.bands.len() as u16 + 1 }),
        Constraint::Length(if few || gates == 0 { 0 } else { gates as u16 + 1 }),
        Constraint::Min(0),
    ];
    let [head, bands, locks, threads] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(headline(model, area.width)).reversed(), head);
    draw_bands(frame, bands, model);
    draw_gates(frame, locks, model);
    draw_threads(frame, threads, model);
}

/// Rows that all of it needs.
pub fn height(model: &Model) -> u16 {
    let gates = model.gates.len().min(GATES);
    let rows = 3 + model.bands.len() + model.rows.len() + if gates == 0 { 0 } else { gates + 1 };
    u16::try_from(rows).unwrap_or(u16::MAX).clamp(16, 400)
}

fn headline(model: &Model, width: u16) -> Line<'static> {
    let time = verdict::time(model.time);
    let busy = share(model.busy);
    if width < WIDE[1] {
        return Line::from(format!("{time} {busy}"));
    }
    let (cpus, interrupts, order) = (model.cpus, count(model.interrupts), model.order.word());
    let keys = if width < WIDE[2] { "" } else { "   q quits, s sorts" };
    Line::from(format!("{time}  {busy} of {cpus}00%  {interrupts} interrupts/s  by {order}{keys}"))
}

fn draw_bands(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let wide = area.width >= WIDE[0];
    let row = |band: &super::model::BandRow| {
        let (woken, half, p99) = band.woken.unwrap_or_default();
        let latency =
            |bound: u64| if woken == 0 { "-".to_owned() } else { format!("<{}", verdict::time(bound)) };
        let mut cells = vec![band.name.clone(), share(band.cpu)];
        if wide {
            cells.extend([band.threads.to_string(), latency(half), latency(p99)]);
        }
        Row::new(cells)
    };
    let (names, widths) = match wide {
        true => (vec!["band", "cpu", "threads", "half wake", "99 of 100"], vec![10, 7, 7, 10, 10]),
        false => (vec!["band", "cpu"], vec![10, 7]),
    };
    let widths = widths.into_iter().map(Constraint::Length);
    let table = Table::new(model.bands.iter().map(row), widths).header(Row::new(names).bold());
    frame.render_widget(table, area);
}

fn draw_gates(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let name = |id: u32| {
        let row = model.rows.iter().find(|row| row.thread.thread == id);
        row.map_or_else(|| format!("#{id}"), who)
    };
    let row = |gate: &super::sample::Gate| {
        let holder = match gate.holder {
            Some(id) => format!("{} for {}", name(id), verdict::time(gate.held)),
            // Whoever leaves hands the gate to a waiter, and says before that it leaves; the waiter says that it has it when a processor runs it.
            None if !gate.waiting.is_empty() => "changes hands".to_owned(),
            None => "open".to_owned(),
        };
        let waiting: Vec<String> = gate.waiting.iter().take(3).map(|id| name(*id)).collect();
        let waiting = if waiting.is_empty() {
            String::new()
        } else {
            format!(", {} waiting: {}", gate.waiting.len(), waiting.join(" "))
        };
        Line::from(clean(&format!("{} {holder}{waiting}", gate.name)))
    };
    let mut lines = vec![Line::from("gates").bold()];
    lines.extend(model.gates.iter().take(GATES).map(row));
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_threads(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = WIDE.iter().filter(|width| area.width >= **width).count();
    let row = |row: &ThreadRow| {
        let thread = &row.thread;
        let mut cells = vec![Cell::from(share(row.cpu)), Cell::from(clean(&who(row)))];
        if columns >= 1 {
            cells.push(Cell::from(thread.priority.to_string()));
        }
        if columns >= 2 {
            let cpu = thread.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.to_string());
            let state = clean(&thread.state);
            cells.extend([Cell::from(state), Cell::from(cpu), Cell::from(share(row.ready))]);
        }
        if columns >= 3 {
            cells.extend([Cell::from(count(row.wakeups)), Cell::from(clean(&row.gate))]);
        }
        let style = if thread.state == "running" { Style::new().bold() } else { Style::new() };
        Row::new(cells).style(style)
    };
    let names = ["cpu", "thread", "prio", "state", "on", "ready", "wake/s", "gate"];
    let widths = [7, 0, 4, 8, 3, 7, 8, 24];
    let shown = [2, 3, 6, 8][columns];
    let width = |width: u16| if width == 0 { Constraint::Min(8) } else { Constraint::Length(width) };
    let widths = widths[..shown].iter().map(|w| width(*w));
    let rows = model.rows.iter().take(usize::from(area.height)).map(row);
    let header = Row::new(names[..shown].to_vec()).bold();
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn who(row: &ThreadRow) -> String {
    format!("{}#{}", row.thread.name, row.thread.thread)
}

/// Thousandths as per cent.
fn share(thousandths: u64) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

/// A large number in a few signs.
fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// A name is the guest's: nothing in it may reach the terminal as a control sequence.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Model, Order, tests::samples};
    use super::*;
    use crate::top::picture::text;
    use ratatui::{Terminal, backend::TestBackend};

    fn drawn(width: u16, height: u16) -> String {
        let (before, now) = samples();
        let model = Model::new(Some(&before), &now, Order::Cpu);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal.draw(|frame| draw(frame, &model)).expect("it draws");
        text(terminal.backend().buffer())
    }

    #[test]
    fn a_wide_terminal_shows_all_and_no_control_character() {
        let shown = drawn(100, 24);
        for part in [
            "2ms  75.0% of 200%  30k interrupts/s  by cpu",
            "kernel     50.0%   1       <128ns     <128ns",
            "EduDriver@7 thread ?4#4 for 1.5us, 1 waiting: thread ?9#9",
            "> EduDriver@7",
        ] {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn a_gate_that_somebody_waits_for_is_never_open() {
        let (_, mut now) = samples();
        let shown = |now: &super::super::sample::Sample| {
            let mut terminal = Terminal::new(TestBackend::new(100, 24)).expect("a terminal in memory");
            let model = Model::new(None, now, Order::Cpu);
            terminal.draw(|frame| draw(frame, &model)).expect("it draws");
            text(terminal.backend().buffer())
        };
        now.gates[0].holder = None;
        let passed = shown(&now);
        assert!(passed.contains("EduDriver@7 changes hands, 1 waiting: thread ?9#9"), "{passed}");
        now.gates[0].waiting.clear();
        assert!(shown(&now).contains("EduDriver@7 open\n"));
    }

    #[test]
    fn every_size_draws_and_twenty_columns_have_shares_and_names() {
        for width in [1, 5, 20, 36, 56, 84, 200] {
            for height in [1, 2, 5, 16, 60] {
                drawn(width, height);
            }
        }
        let narrow = drawn(20, 16);
        assert!(narrow.starts_with("2ms 75.0%\n"), "{narrow}");
        assert!(narrow.contains("50.0%   thread ?4#4"), "{narrow}");
        let flat = drawn(60, 5);
        assert!(flat.contains("50.0%") && !flat.contains("band"), "{flat}");
    }

    #[test]
    fn numbers_stay_short() {
        assert_eq!([9_999, 10_000, 12_345_678].map(count), ["9999", "10k", "12M"]);
        assert_eq!(share(1_234), "123.4%");
    }
}
