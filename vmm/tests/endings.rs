//! Every way in which a guest can end, and what is told of it.

mod common;

use common::code::{CODE, Code};
use common::elf::{Image, image};
use common::{MEMORY, boot, on_this_host, options, plan, register, run};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use trace::ring::{BENCH_BYTES, HEAD, RECORDS};
use vmm::{Ending, Options, Tap, VmmError};

/// The bench's doorbell.
const DOORBELL: u16 = 0x520;

#[test]
fn a_guest_prints_and_powers_off() {
    let Some(outcome) = boot(&image(Code::new().print("one\r\ntwo").power_off())) else { return };
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.console, ["one", "two"]);
    assert_eq!(outcome.cpus.len(), 1);
    assert!(outcome.describe().contains("  | two"), "{}", outcome.describe());
}

/// Prints each byte that is typed, and powers off behind a line's end.
fn echo() -> Code {
    // Until the line status register says that there is a byte: mov edx, 0x3fd; in al, dx; test al, 1; jz.
    let code = Code::new().edx(0x3fd).bytes(&[0xec, 0xa8, 0x01, 0x74, 0xf6]);
    // mov edx, 0x3f8; in al, dx; out dx, al; cmp al, '\n'; jne to the beginning.
    code.edx(0x3f8).bytes(&[0xec, 0xee, 0x3c, b'\n', 0x75, 0xeb]).power_off()
}

#[test]
fn what_is_typed_elsewhere_reaches_the_guest_and_what_it_prints_goes_there() {
    let (typed, mut types) = std::io::pipe().expect("a pipe");
    let (mut printed, prints) = std::io::pipe().expect("a pipe");
    let input = Arc::new(File::from(OwnedFd::from(typed)));
    types.write_all(b"whoami\n").expect("a pipe");
    drop(types);
    let options = Options { tap: Some(Tap::new(prints, Some(input))), ..options() };
    let Some(outcome) = on_this_host(vmm::boot(&plan(""), &image(echo()), &options)) else { return };
    assert_eq!((outcome.ending, outcome.console), (Ending::PowerOff, vec!["whoami".to_owned()]));
    drop(options);
    let mut text = String::new();
    printed.read_to_string(&mut text).expect("a pipe");
    assert_eq!(text, "whoami\n");
}

#[test]
fn a_triple_fault_is_told_with_place_and_function() {
    let code = Code::new().print("going down\n");
    let fault = code.here();
    // lidt of six zero bytes at 0x500, then ud2: no gate can be read.
    let code = code.bytes(&[0x0f, 0x01, 0x1d, 0x00, 0x05, 0x00, 0x00, 0x0f, 0x0b]).spin();
    let file = Image::new(code.0)
        .symbol("_ZN5guest4boot17h0123456789abcdefE", CODE, fault - CODE)
        .symbol("_ZN5guest5fault17h0123456789abcdefE", fault, 11)
        .build();
    let Some(outcome) = boot(&file) else { return };
    assert_eq!(outcome.ending, Ending::TripleFault { cpu: 0 });
    assert_eq!(outcome.console, ["going down"]);
    // Hardware with an architectural shutdown resets the registers on some makers' processors; the report says what there is.
    if register(&outcome, "rip") == fault + 7 {
        assert_eq!(outcome.cpus[0].symbol.as_deref(), Some("guest::fault+0x7"));
        assert_eq!(outcome.cpus[0].code[..2], [0x0f, 0x0b]);
    }
    assert!(outcome.describe().starts_with("triple fault on cpu0\n"));
}

#[test]
fn code_where_no_memory_is_ends_in_an_internal_error_with_registers() {
    // mov ebx, 0x1234; mov eax, 0xd0000000; jmp eax
    let code = Code::new().bytes(&[0xbb, 0x34, 0x12, 0, 0]).eax(0xd000_0000).bytes(&[0xff, 0xe0]);
    let Some(outcome) = boot(&image(code)) else { return };
    assert!(matches!(outcome.ending, Ending::Internal { cpu: 0, .. }), "{}", outcome.describe());
    assert_eq!(register(&outcome, "rip"), 0xd000_0000);
    assert_eq!(register(&outcome, "rbx"), 0x1234);
    assert!(outcome.cpus[0].code.is_empty(), "nothing can be read there");
    assert!(outcome.describe().contains("not readable"));
}

#[test]
fn a_guest_that_never_gets_ready_is_ended_where_it_spins() {
    let code = Code::new().print("busy\n");
    let spin = code.here();
    let file = Image::new(code.spin().0).symbol("forever", spin, 2).build();
    let Some((outcome, events)) = run(&file, &options()) else { return };
    let Ending::Hang { what } = &outcome.ending else { panic!("{}", outcome.describe()) };
    assert!(what.contains("boot.ready"), "{what}");
    assert_eq!(register(&outcome, "rip"), spin);
    assert_eq!(outcome.cpus[0].symbol.as_deref(), Some("forever+0x0"));
    assert_eq!(outcome.cpus[0].code[..2], [0xeb, 0xfe]);
    assert_eq!((outcome.console, events), (vec!["busy".to_owned()], 0));
}

#[test]
fn a_halt_without_interrupts_is_told_as_such() {
    let Some((outcome, _)) = run(&image(Code::new().bytes(&[0xfa, 0xf4]).spin()), &options()) else { return };
    assert!(matches!(outcome.ending, Ending::Hang { .. }));
    assert!(outcome.cpus[0].halted);
    assert_eq!(register(&outcome, "rip"), CODE + 2);
    assert!(outcome.describe().contains("halted, interrupts off"), "{}", outcome.describe());
}

#[test]
fn resets_end_the_machine() {
    for (port, value) in [(0xcf9, 6), (0x64, 0xfe)] {
        let Some(outcome) = boot(&image(Code::new().port_out(port, value, 1).spin())) else { return };
        assert_eq!(outcome.ending, Ending::Reset, "port {port:#x}");
    }
}

#[test]
fn an_image_without_a_pvh_note_is_refused() {
    let file = Image::new(Code::new().power_off().0).without_note().build();
    assert!(matches!(vmm::boot(&plan(""), &file, &options()), Err(VmmError::NoPvhNote)));
}

#[test]
fn an_image_that_does_not_fit_is_refused() {
    let file = Image::new(Code::new().power_off().0).segment(0x20_0000, vec![1], MEMORY).build();
    let error = vmm::boot(&plan(""), &file, &options()).expect_err("too large");
    assert!(matches!(error, VmmError::ImageTooLarge { has: MEMORY, .. }), "{error}");
    assert!(!error.is_host());
}

#[test]
fn a_damaged_image_is_refused_or_runs_but_does_no_harm() {
    let good = Image::new(Code::new().power_off().0).symbol("start", CODE, 4).build();
    let mut limited = options();
    limited.limits.silence = Duration::from_millis(20);
    // Bytes all over the headers, turned over; the stride is prime to the sizes of all fields.
    for at in (0..64 + 2 * 56).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        // The watchdog ends what still loads and then goes astray.
        match vmm::run(&plan(""), &bad, &limited, &mut |_| {}) {
            Ok(outcome) => assert_eq!(outcome.cpus.len(), 1),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn garbage_in_the_ring_is_counted_and_survived() {
    let bench = (MEMORY - (BENCH_BYTES as u64).next_multiple_of(4096)) as u32;
    // The header and a few hundred records: an emulated guest takes its time.
    let words = (RECORDS as u32 + 10_000) / 4;
    let mut code = Code::new();
    for value in [0xffff_ffff, 0, 0x0101_0101, 1] {
        code = code.fill(bench, value, words).port_out(DOORBELL, 0, 4);
    }
    // Heads that run away, with records that claim to be published.
    for head in [1, 16_384, 16_385, 0x7fff_ffff] {
        code = code.fill(bench + HEAD as u32, head, 2).port_out(DOORBELL, 0, 1);
        code = code.fill(bench + RECORDS as u32, head + 1, 10).port_out(DOORBELL, 0, 2);
    }
    let Some((outcome, events)) = run(&image(code.print("done\n").power_off()), &Options::default()) else {
        return;
    };
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    assert_eq!(outcome.console, ["done"]);
    assert!(outcome.garbled > 0);
    assert!(events <= 16 * 16_384, "{events} events");
}

#[test]
fn strings_of_port_accesses_go_through() {
    // mov esi, text; mov ecx, 3; mov edx, 0x3f8; rep outsb — then rep insd and rep outsw at ports with and without registers.
    let mut code = Code::new().bytes(&[0xbe]).bytes(&((CODE + 0x800) as u32).to_le_bytes());
    code = code.ecx(3).edx(0x3f8).bytes(&[0xf3, 0x6e]);
    for port in [0xcf8, 0xcfc, 0x3f8, 0x3ff, 0x520, 0x600, 0x9999, 0xfffe] {
        code = code.edi((CODE + 0x1000) as u32).ecx(300).edx(port).bytes(&[0xf3, 0x6d]);
        code = code.ecx(300).edx(port).bytes(&[0xf3, 0x66, 0x6f]);
    }
    let file = Image::new(code.power_off().0).segment(CODE + 0x800, b"abc".to_vec(), 0x1000).build();
    let Some(outcome) = boot(&file) else { return };
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    assert!(outcome.console[0].starts_with("abc"), "{:?}", outcome.console);
}

#[test]
fn the_power_management_registers_keep_what_they_are_to_keep() {
    let code = Code::new().port_out(0x602, 0x0120, 2).port_in(0x602, 2).bytes(&[0x89, 0xc3]);
    let code = code.port_in(0x600, 4).bytes(&[0x89, 0xc6]).port_in(0x604, 2).bytes(&[0x89, 0xc7]);
    let Some(outcome) = boot(&image(code.power_off())) else { return };
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(register(&outcome, "rbx") as u16, 0x0120);
    assert_eq!(register(&outcome, "rsi"), 0x0120_0000);
    assert_eq!(register(&outcome, "rdi") as u16, 1, "ACPI mode is on");
}
