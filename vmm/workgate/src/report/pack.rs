//! Stretches as text: a third of what their numbers would be as JSON, and a browser reads a lane only when it shows it.
//!
//! For each stretch: the gap between the end of the one before and its start (first: plan time zero), with its sign in the lowest bit; its length; its
//! label; how many were joined; and if that is not one, their time together. All in ns of plan time. A number is digits of five bits, the lowest first, each
//! but the last with the sixth bit set; a digit of six bits is a character of base 64 (RFC 4648, table 1), as in source maps.

use super::lane::Span;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The stretches; `at` is plan time from machine time.
pub fn pack(spans: &[Span], at: impl Fn(u64) -> i64) -> String {
    let (mut text, mut before) = (String::new(), 0_i64);
    for span in spans {
        let start = at(span.start);
        let length = at(span.end).saturating_sub(start).max(0);
        signed(&mut text, start.saturating_sub(before));
        for number in [length.unsigned_abs(), span.label.into(), span.count] {
            unsigned(&mut text, number);
        }
        if span.count != 1 {
            unsigned(&mut text, span.busy);
        }
        before = start.saturating_add(length);
    }
    text
}

fn signed(text: &mut String, number: i64) {
    unsigned(text, (number << 1 ^ number >> 63).cast_unsigned());
}

fn unsigned(text: &mut String, mut number: u64) {
    loop {
        let (digit, rest) = ((number & 31) as usize, number >> 5);
        text.push(char::from(DIGITS[if rest == 0 { digit } else { digit | 32 }]));
        if rest == 0 {
            return;
        }
        number = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The numbers in `text`, as the page's script reads them.
    fn numbers(text: &str) -> Vec<u64> {
        let (mut numbers, mut number, mut shift) = (Vec::new(), 0, 0);
        for letter in text.bytes() {
            let digit = DIGITS.iter().position(|digit| *digit == letter).expect("a digit") as u64;
            number |= (digit & 31) << shift;
            shift += 5;
            if digit < 32 {
                numbers.push(std::mem::take(&mut number));
                shift = 0;
            }
        }
        numbers
    }

    #[test]
    fn stretches_are_told_by_the_gaps_between_them() {
        let span = |start, end, count, busy| Span { start, end, label: 3, count, busy };
        let spans = [span(900, 1_000, 1, 100), span(1_040, 2_000, 5, 70), span(1_990, 2_000, 1, 10)];
        let text = pack(&spans, |time| time.cast_signed() - 1_000);
        // -100, 40 and -10 with the sign in the lowest bit.
        assert_eq!(numbers(&text), [199, 100, 3, 1, 80, 960, 3, 5, 70, 19, 10, 3, 1]);
    }

    #[test]
    fn a_known_number_has_the_digits_of_source_maps() {
        let mut text = String::new();
        for number in [0, 15, 16, 511, 512] {
            signed(&mut text, number);
        }
        assert_eq!(text, "AegB+fggB");
    }

    proptest! {
        #[test]
        fn any_number_comes_back(number: u64, sign: i64) {
            let (mut text, mut zigzag) = (String::new(), String::new());
            unsigned(&mut text, number);
            signed(&mut zigzag, sign);
            prop_assert_eq!(numbers(&text), [number]);
            let back = numbers(&zigzag)[0];
            prop_assert_eq!((back >> 1).cast_signed() ^ -((back & 1).cast_signed()), sign);
        }

        #[test]
        fn hostile_stretches_are_packed_too(times: Vec<(u64, u64, u64)>) {
            let span = |(start, end, count)| Span { start, end, label: u32::MAX, count, busy: start };
            let spans: Vec<Span> = times.into_iter().map(span).collect();
            let text = pack(&spans, |time| i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(1 << 40));
            let joined = spans.iter().filter(|span| span.count != 1).count();
            prop_assert_eq!(numbers(&text).len(), 4 * spans.len() + joined);
        }
    }
}
