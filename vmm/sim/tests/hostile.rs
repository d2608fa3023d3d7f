//! Hostile tasks: whatever they ask, in whatever order, and whenever they die, the kernel goes on and nothing of them is left.

use sim::hostile;

/// Pseudo-random bytes.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn assert_sound(bytes: &[u8], what: &str) {
    let report = hostile::task(bytes).expect("a machine");
    assert!(report.is_sound(), "{what}: {report:#?}");
}

#[test]
fn ht1_whatever_tasks_do_the_kernel_goes_on_and_nothing_is_left() {
    for seed in 0..400 {
        let mut script = bytes(seed, 60 + seed as usize * 3);
        script[0] = 0;
        assert_sound(&script, &format!("seed {seed}"));
    }
}

#[test]
fn ht1_nor_with_devices_behind_ports() {
    for seed in 0..150 {
        let mut script = bytes(seed, 60 + seed as usize * 8);
        script[0] = 1;
        assert_sound(&script, &format!("seed {seed} with devices"));
    }
}

#[test]
fn ht1_no_bytes_are_a_script_too() {
    for script in [&[][..], &[0], &[1], &[0, 9, 0, 0], &[1, 9, 255, 0, 1], &[0; 300], &[255; 300]] {
        assert_sound(script, &format!("{script:?}"));
    }
}

#[test]
fn ht1_the_same_bytes_give_the_same_run() {
    let mut script = bytes(77, 500);
    for mode in [0, 1] {
        script[0] = mode;
        let [first, second] = [(); 2].map(|()| hostile::task(&script).expect("a machine"));
        assert_eq!(first, second);
    }
}
