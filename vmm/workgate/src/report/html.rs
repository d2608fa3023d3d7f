//! What all pages share: one file each, which loads nothing, and whose own policy forbids it to.

use explore::matrix::escaped;
use std::fmt::Display;

/// The policy, and what a browser needs to know first.
const HEAD: &str = include_str!("head.html");
const STYLE: &str = include_str!("page.css");

/// A page: `body` is markup, `title` text.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head>{HEAD}\
         <title>{}</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n",
        escaped(title)
    )
}

/// The heading: a word in a class of colours, and what it is about.
pub fn heading((class, word): (&str, &str), about: &str) -> String {
    format!("<h1><span class=\"{class}\">{word}</span> {}</h1>\n", escaped(about))
}

/// Text as it stands.
pub fn block(title: &str, text: &str) -> String {
    format!("<h2>{title}</h2>\n<pre>{}</pre>\n", escaped(text))
}

/// A table of rows in markup under heads in markup; nothing without rows.
pub fn table(title: &str, heads: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2>\n<div class=\"wide\"><table><tr>{heads}</tr>\n{rows}</table></div>\n")
}

/// Heads of a table.
pub fn heads<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("<th>{}</th>", escaped(word))).collect()
}

/// A cell in a class of colours.
pub fn cell(class: &str, content: impl Display) -> String {
    format!("<td class=\"{class}\">{}</td>", escaped(&content.to_string()))
}

/// JSON in a script element: nothing in it may end the element (HTML, 4.12.1.3), so `<` is told by its number.
pub fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_style_asks_for_nothing_from_outside() {
        for word in ["http:", "https:", "url(", "@import"] {
            assert!(!STYLE.contains(word), "{word}");
        }
        assert!(HEAD.contains("default-src 'none'"));
    }

    /// The style's colours by name, of each scheme, as red, green and blue.
    fn colours(scheme: &'static str) -> BTreeMap<&'static str, [f64; 3]> {
        let (_, rest) = scheme.split_once(":root{").expect("the colours of a scheme");
        let (names, _) = rest.split_once('}').expect("their end");
        let colour = |pair: &'static str| {
            let (name, hex) = pair.split_once(":#").expect("a name and a colour");
            let digits =
                if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
            let part =
                |at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")) / 255.0;
            (name.trim_start_matches("--"), [part(0), part(2), part(4)])
        };
        names.split(';').map(colour).collect()
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear =
            |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn text_is_readable_in_light_and_dark() {
        let dark = STYLE.find("prefers-color-scheme:dark").expect("a dark scheme");
        for (scheme, colours) in [("light", colours(STYLE)), ("dark", colours(&STYLE[dark..]))] {
            let on_ground = ["text", "ending", "ended", "fault"].map(|ink| (ink, "ground"));
            let on_faint = ["text", "ending", "ended"].map(|ink| (ink, "faint"));
            let on_cells = ["held", "broke", "never"].map(|ground| ("text", ground));
            let on_lanes = ["cpu", "thread", "device"].map(|ground| ("ground", ground));
            for (ink, ground) in [&on_ground[..], &on_faint, &on_cells, &on_lanes].concat() {
                let (one, other) = (luminance(colours[ink]) + 0.05, luminance(colours[ground]) + 0.05);
                let contrast = one.max(other) / one.min(other);
                assert!(contrast >= 4.5, "{scheme}: {ink} on {ground} is {contrast:.2} (WCAG 2.2, 1.4.3)");
            }
        }
    }

    #[test]
    fn text_stays_text() {
        let body = [heading(("held", "PASS"), "<a>"), block("B", "</pre><b>"), cell("held", "<c>")].concat();
        let page = document("<t>", &body);
        for text in ["<t>", "<a>", "</pre><b>", "<c>"] {
            assert!(!page.contains(text), "{text}");
        }
    }

    #[test]
    fn data_cannot_end_the_script() {
        let data = serde_json::json!({"name": "</script><script>alert(1)</script><!--"}).to_string();
        let told = in_script(&data);
        assert!(!told.contains('<'));
        let back: serde_json::Value = serde_json::from_str(&told).expect("still JSON");
        assert_eq!(back["name"], "</script><script>alert(1)</script><!--");
    }
}
