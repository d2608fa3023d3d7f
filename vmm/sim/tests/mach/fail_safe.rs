//! S6 as it was: eight seconds of computing, which a host that interprets the guest's ring 0 would take minutes for.

use conformance::rules::fail_safe::{FIXED, user_runs_beside};
use mach::{FAIL_SAFE_800_QUANTA, QUANTUM};
use sim::harness::for_seeds;

#[test]
fn s6_so_is_a_fixed_one_after_800_quanta_where_that_is_the_rule() {
    for_seeds(1, 0..1, |kernel| {
        kernel.set_fail_safe(FAIL_SAFE_800_QUANTA);
        let took = user_runs_beside(kernel, FIXED);
        assert_eq!(FAIL_SAFE_800_QUANTA, 8_000_000_000);
        assert!((FAIL_SAFE_800_QUANTA..FAIL_SAFE_800_QUANTA + 4 * QUANTUM).contains(&took), "{took} ns");
    });
}
