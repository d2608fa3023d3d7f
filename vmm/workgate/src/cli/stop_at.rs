//! `--stop-at`: an event of a run.

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAt {
    /// What happens there, such as `willTerminate`, `alarm` or `edu0.unplug`; `None`: anything.
    pub site: Option<String>,
    /// Which one, from 1.
    pub number: u64,
}

/// What is expected of an event.
pub const EXPECTED: &str =
    "the number of an event, or a word with #N, such as willTerminate#2, alarm, removal or edu0.io.issue#40";

/// Letters of a site at the most: a name of a plan and a word.
const MAX_SITE: usize = 128;

/// Reads an event.
///
/// # Errors
/// What was expected.
pub fn stop_at(text: &str) -> Result<StopAt, String> {
    let wrong = || format!("expected {EXPECTED}");
    let count = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    if let Some(number) = count(text) {
        return Ok(StopAt { site: None, number });
    }
    let (word, number) = match text.split_once('#') {
        Some((word, number)) => (word, count(number).ok_or_else(wrong)?),
        None => (text, 1),
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_word = word.len() <= MAX_SITE
        && word.chars().all(letter)
        && word.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word { Ok(StopAt { site: Some(word.to_owned()), number }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbers_or_words_with_a_number() {
        let site = |word: &str, number| Ok(StopAt { site: Some(word.to_owned()), number });
        assert_eq!(stop_at("17"), Ok(StopAt { site: None, number: 17 }));
        assert_eq!(stop_at("alarm"), site("alarm", 1));
        assert_eq!(stop_at("edu0.gate.close#3"), site("edu0.gate.close", 3));
        for wrong in
            ["", "0", "#1", "alarm#", "alarm#0", "alarm#x", "a b", "17x", "-1", "é", &"a".repeat(200)]
        {
            assert!(stop_at(wrong).is_err_and(|what| what.contains("willTerminate#2")), "{wrong}");
        }
    }
}
