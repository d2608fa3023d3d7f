//! Words that many stretches share.

use super::lane::SEVERAL;
use std::collections::HashMap;

/// Different words kept at the most; a guest names its threads as it likes.
const MAX_LABELS: usize = 4_096;

/// Words by number. Number [`SEVERAL`] is "several".
pub struct Labels {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { words: vec!["several".to_owned()], numbers: HashMap::new() }
    }
}

impl Labels {
    /// The number of `word`; [`SEVERAL`] when there are too many different ones.
    pub fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        if self.words.len() >= MAX_LABELS {
            return SEVERAL;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// All words, in order of their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_once_and_not_for_ever() {
        let mut labels = Labels::default();
        assert_eq!((labels.number("a"), labels.number("b"), labels.number("a")), (1, 2, 1));
        for n in 0..2 * MAX_LABELS {
            labels.number(&n.to_string());
        }
        assert_eq!(labels.words().len(), MAX_LABELS);
        assert_eq!(labels.number("one too many"), SEVERAL);
    }
}
