//! Smaller inputs with the same cause: chunks go, then bytes become zero.

use super::attempt::attempt;
use crate::target::Target;
use explore::Cause;

/// The smallest input found that shows `cause`. `more` is asked before each run: false = stop with what there is.
pub fn minimize(target: &dyn Target, input: &[u8], cause: &Cause, more: &mut dyn FnMut() -> bool) -> Vec<u8> {
    let mut shows =
        |input: &[u8]| more() && attempt(target, input).1.is_some_and(|trouble| trouble.cause == *cause);
    let mut best = input.to_vec();
    let mut chunk = best.len().div_ceil(2);
    while chunk > 0 {
        let before = best.len();
        let mut end = best.len();
        while end > 0 {
            let start = end.saturating_sub(chunk);
            let rest = [&best[..start], &best[end..]].concat();
            if shows(&rest) {
                best = rest;
            }
            end = start.min(best.len());
        }
        chunk = if best.len() < before && chunk == 1 { 1 } else { chunk / 2 };
    }
    for at in 0..best.len() {
        let byte = std::mem::take(&mut best[at]);
        if byte != 0 && !shows(&best) {
            best[at] = byte;
        }
    }
    best
}
