//! What comes back from inside the svm machine: reports with their lengths in front, so that no output of a
//! command can be taken for a marker.

/// What one command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name that the lab gave it.
    pub name: String,
    /// Its exit status (143 or 124: it ran into the time limit).
    pub status: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Everything that came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// The kernel inside, and whether its KVM device is there.
    pub ready: Option<String>,
    /// The commands, in order.
    pub reports: Vec<Report>,
    /// The last word was received: nothing is missing.
    pub whole: bool,
}

/// The line prefix of everything that the inner machine says.
pub const MARK: &str = "@@lab";

/// Reads the serial line's text. What is cut off or damaged is left out, and `whole` stays false.
pub fn read(text: &[u8]) -> Reports {
    let mut reports = Reports::default();
    let mut rest = text;
    while let Some((line, after)) = take_line(rest) {
        rest = after;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [MARK, "ready", told @ ..] => reports.ready = Some(told.join(" ")),
            [MARK, "done"] => {
                reports.whole = true;
                return reports;
            }
            [MARK, "report", name, status, out, err] => {
                let numbers = (status.parse(), out.parse::<usize>(), err.parse::<usize>());
                let (Ok(status), Ok(out), Ok(err)) = numbers else { return reports };
                let Some((out, after)) = take(rest, out) else { return reports };
                let Some((err, after)) = take(after, err) else { return reports };
                rest = after;
                reports.reports.push(Report { name: (*name).into(), status, out, err });
            }
            _ => {}
        }
    }
    reports
}

fn take_line(text: &[u8]) -> Option<(String, &[u8])> {
    let end = text.iter().position(|&b| b == b'\n')?;
    Some((String::from_utf8_lossy(&text[..end]).into_owned(), &text[end + 1..]))
}

fn take(text: &[u8], bytes: usize) -> Option<(String, &[u8])> {
    let (taken, rest) = text.split_at_checked(bytes)?;
    Some((String::from_utf8_lossy(taken).into_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_looks_like_a_marker_is_output() {
        let text = b"noise\n@@lab ready 6.1 kvm\n@@lab report a 1 11 2\n@@lab done\nhi\n@@lab report b 0 0 0\n\n@@lab done\n";
        let reports = read(text);
        assert!(reports.whole);
        assert_eq!(reports.ready.as_deref(), Some("6.1 kvm"));
        let report = Report { name: "a".into(), status: 1, out: "@@lab done\n".into(), err: "hi".into() };
        assert_eq!((reports.reports.len(), &reports.reports[0]), (2, &report));
    }

    #[test]
    fn a_cut_text_is_not_whole() {
        let text = b"@@lab report a 0 1000 0\nshort\n";
        assert_eq!(read(text), Reports::default());
        assert!(!read(b"@@lab done").whole);
    }
}
