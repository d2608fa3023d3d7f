//! What was drawn, as text and as a picture, for where there is no terminal.

use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use std::fmt::Write;

/// Size of a character, in pixels.
const CELL: (u32, u32) = (8, 17);

/// The lines, without what is empty at their ends.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y: u16| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let lines: Vec<String> = (0..area.height).map(|y| line(y).trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// A picture of it.
pub fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (u32::from(area.width) * CELL.0 + 16, u32::from(area.height) * CELL.1 + 16);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1b1f27\"/>\n"
    );
    for y in 0..area.height {
        let at = |x: u16| &buffer[(x, y)];
        let line: String = (0..area.width).map(|x| at(x).symbol()).collect();
        let has = |modifier: Modifier| (0..area.width).any(|x| at(x).modifier.contains(modifier));
        let top = 8 + u32::from(y) * CELL.1;
        let reversed = has(Modifier::REVERSED);
        // Writing into a string cannot fail.
        if reversed {
            _ = writeln!(
                out,
                "<rect x=\"8\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"#c8d0dc\"/>",
                width - 16,
                CELL.1
            );
        }
        let colour = if reversed { "#1b1f27" } else { "#c8d0dc" };
        let weight = if has(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        _ = writeln!(
            out,
            "<text x=\"8\" y=\"{}\" fill=\"{colour}\"{weight} xml:space=\"preserve\">{}</text>",
            top + 13,
            escaped(line.trim_end())
        );
    }
    out + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
