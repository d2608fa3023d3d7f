//! The data-acquisition driver, under plans and many seeds.

mod common;

use common::{judge, passes};

#[test]
fn a_stream_flows() {
    passes("machine cpus=1\nplug daq0 daq slot=1\nload daq0 clients=1 depth=1\nrun for=3ms\n", 0..20);
}

#[test]
fn several_clients_and_threads_get_every_sample() {
    passes("machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=4 depth=4\nrun for=3ms\n", 0..20);
}

#[test]
fn a_slow_rate_and_one_sample_at_a_time() {
    passes(
        "machine cpus=2\nplug daq0 daq slot=1 period=700us\nload daq0 clients=2 depth=2\nrun for=5ms\n",
        0..10,
    );
}

#[test]
fn a_card_that_goes_and_comes_back() {
    passes(
        "machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=4 depth=4\n\
         on daq0.dma.write #150 unplug daq0\nat 10ms replug daq0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=15ms\n",
        0..20,
    );
}

#[test]
fn a_card_goes_at_any_register_of_its_start() {
    for access in 1..30 {
        for site in ["mmio.read", "mmio.write", "config.read", "config.write"] {
            passes(
                &format!(
                    "machine cpus=2\nplug daq0 daq slot=1 absent=yes\nload daq0 clients=1 depth=1\nat 1ms plug daq0\n\
                     on daq0.{site} #{access} unplug daq0\nat 5ms replug daq0\n\
                     expect no-leaks\nrun for=7ms\n"
                ),
                0..1,
            );
        }
    }
}

#[test]
fn a_card_is_ejected_at_work_and_torn_out_meanwhile() {
    passes(
        "machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=2 depth=3\nat 2ms eject daq0\nat 8ms replug daq0\n\
         at 12ms eject daq0\non daq0.willTerminate #2 unplug daq0\n\
         expect offline within=20ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=16ms\n",
        0..15,
    );
}

#[test]
fn spurious_interrupts_and_both_vectors() {
    passes(
        "machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=2 depth=2\n\
         at 1ms storm daq0 rate=200kHz for=3ms\nrun for=5ms\n",
        0..10,
    );
}

#[test]
fn a_line_shared_with_an_edu_card() {
    passes(
        "machine cpus=2\nplug daq0 daq slot=1 irq=intx\nplug edu0 edu slot=5 irq=intx\n\
         load daq0 clients=2 depth=2\nload edu0 clients=2 depth=4\n\
         at 1ms storm edu0 rate=50kHz for=3ms\nat 5ms unplug daq0\nat 8ms replug daq0\nat 10ms unplug edu0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=14ms\n",
        0..10,
    );
}

/// The ring is smaller than what comes between two looks: samples are lost, counted, and nobody fails for it.
#[test]
fn overruns_are_accounted_for() {
    let text = "machine cpus=1\nplug daq0 daq slot=1 period=1us ring=8\nplug edu0 edu slot=2\n\
                load daq0 clients=2 depth=2\nload edu0 clients=2 depth=4\n\
                expect no-leaks\nrun for=4ms\n";
    passes(text, 0..10);
    let (_, outcome) = judge(text, 1);
    let told = outcome.console.iter().any(|line| line.contains("daq0: overruns="));
    assert!(told, "{:#?}", outcome.console);
}
