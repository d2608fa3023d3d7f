//! The nearest word to a misspelt one.

/// Longest word that is compared, in characters; longer ones have no neighbours.
const LONGEST: usize = 32;

/// The word of `words` that is nearest to `word`, if so near that it was probably meant: one edit in short
/// words, up to a third of the characters in longer ones.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).collect();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    words
        .into_iter()
        .filter(|other| other.len() <= LONGEST)
        .map(|other| (distance(&word, other), other))
        .filter(|(edits, other)| *edits <= allowed && *edits < other.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, other)| other)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let same = a[i].eq_ignore_ascii_case(&b[j]);
            let mut best = (last[j] + usize::from(!same)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_word() {
        let words = ["unplug", "replug", "storm", "plug", "eject"];
        assert_eq!(nearest("unpulg", words), Some("unplug"));
        assert_eq!(nearest("Storm", words), Some("storm"));
        assert_eq!(nearest("ejct", words), Some("eject"));
        assert_eq!(nearest("xyzzy", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"u".repeat(10_000), words), None);
    }
}
