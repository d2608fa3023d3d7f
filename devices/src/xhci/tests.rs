//! The controller with a driver: registers, ports, commands.

mod commands;
mod hub;
mod property;
mod storage;
mod transfers;

use super::testing::{Driver, code};
use super::{Settings, Signalling};
use crate::device::{Device, News};
use crate::spec::xhci as spec;

const STICK: (&str, &[(&str, &str)], Option<usize>, u8) = ("usb-storage", &[("size", "1M")], None, 1);

#[test]
fn capabilities_say_what_there_is() {
    let mut driver = Driver::with(&[]);
    assert_eq!(driver.get(0), 0x0120_0040);
    assert_eq!(driver.get(4), 32 | 4 << 8 | 8 << 24);
    assert_eq!(driver.get(0x14) as u64, spec::DOORBELLS);
    assert_eq!(driver.get(0x18) as u64, spec::RUNTIME);
    // A byte and a half word, as drivers read them.
    let mut byte = [0];
    driver.host.read(0, 0, &mut byte, &mut driver.world);
    let mut half = [0; 2];
    driver.host.read(0, 2, &mut half, &mut driver.world);
    assert_eq!((byte, half), ([0x40], [0x20, 0x01]));
    let at = u64::from(driver.get(0x10) >> 16) * 4;
    let words: Vec<u32> = (0..8).map(|index| driver.get(at + index * 4)).collect();
    assert_eq!(words[0], 0x0200_0402);
    assert_eq!(words[2], 1 | 4 << 8);
    assert_eq!(words[4], 0x0300_0002);
    assert_eq!(words[6], 5 | 4 << 8);
    assert_eq!(words[1].to_le_bytes(), *b"USB ");
}

#[test]
fn accesses_that_are_no_words_are_harmless() {
    let mut driver = Driver::with(&[]);
    for (offset, length) in [(1, 4), (3, 2), (0x41, 8), (0x3ffe, 2)] {
        let mut bytes = vec![0; length];
        driver.host.read(0, offset, &mut bytes, &mut driver.world);
        driver.host.write(0, offset, &vec![0xff; length], &mut driver.world);
    }
    assert_eq!(driver.get(spec::OPERATIONAL + spec::USBSTS) & spec::STS_HALTED, 0);
    assert_eq!(driver.get(spec::BAR_BYTES - 4), 0);
}

#[test]
fn a_usb_2_device_is_enabled_by_a_reset() {
    let mut driver = Driver::with(&[STICK]);
    let events = driver.events();
    assert_eq!(
        events.iter().map(|event| (event.kind(), event.parameter)).collect::<Vec<_>>(),
        [(34, 1 << 24)]
    );
    let status = driver.port(1);
    assert_eq!(status & (spec::PORT_CCS | spec::PORT_PED | spec::PORT_CSC), spec::PORT_CCS | spec::PORT_CSC);
    assert_eq!(status >> 10 & 0xf, spec::SPEED_HIGH);
    let at = spec::OPERATIONAL + spec::PORTS;
    driver.set(at, spec::PORT_PP | spec::PORT_CSC);
    driver.set(at, spec::PORT_PP | spec::PORT_PR);
    assert_ne!(driver.port(1) & spec::PORT_PR, 0);
    driver.wait(9_999_999);
    assert_ne!(driver.port(1) & spec::PORT_PR, 0, "a reset takes its time");
    driver.wait(1);
    let status = driver.port(1);
    assert_eq!(status & (spec::PORT_PR | spec::PORT_PED | spec::PORT_PRC), spec::PORT_PED | spec::PORT_PRC);
    assert_eq!(driver.events().len(), 1);
    // Writing one disables.
    driver.set(at, spec::PORT_PP | spec::PORT_PED | spec::PORT_PRC);
    assert_eq!(driver.port(1) & (spec::PORT_PED | spec::PORT_CHANGES), 0);
}

#[test]
fn a_super_speed_device_trains_by_itself() {
    let mut driver = Driver::with(&[("usb-storage", &[("speed", "super")], None, 2)]);
    assert_eq!(driver.port(2) & spec::PORT_CCS, 0);
    let status = driver.port(6);
    assert_eq!(status & (spec::PORT_CCS | spec::PORT_PED | spec::PORT_PLS), spec::PORT_CCS | spec::PORT_PED);
    assert_eq!(status >> 10 & 0xf, spec::SPEED_SUPER);
    let at = spec::OPERATIONAL + spec::PORTS + 5 * spec::PORT_BYTES;
    driver.set(at, spec::PORT_PP | spec::PORT_CHANGES);
    driver.set(at, spec::PORT_PP | spec::PORT_WPR);
    driver.wait(10_000_000);
    let both = spec::PORT_WRC | spec::PORT_PRC;
    assert_eq!(driver.port(6) & (both | spec::PORT_PED), both | spec::PORT_PED);
    // Suspend and resume.
    driver.set(at, spec::PORT_PP | spec::PORT_LWS | spec::LINK_U3 << 5 | spec::PORT_CHANGES);
    assert_eq!(driver.port(6) >> 5 & 0xf, spec::LINK_U3);
    driver.set(at, spec::PORT_PP | spec::PORT_LWS);
    assert_eq!(driver.port(6) & (spec::PORT_PLS | spec::PORT_PLC), spec::PORT_PLC);
}

#[test]
fn devices_come_and_go_and_ports_tell() {
    let mut driver = Driver::with(&[STICK]);
    driver.reset_port(1);
    driver.news(News::Detach(0));
    assert_eq!(driver.port(1) & (spec::PORT_CCS | spec::PORT_PED | spec::PORT_CSC), spec::PORT_CSC);
    assert_eq!(driver.events().len(), 1);
    // No second event while the change is not cleared.
    driver.news(News::Attach(0));
    assert_eq!(driver.events().len(), 0);
    assert_eq!(driver.port(1) & (spec::PORT_CCS | spec::PORT_PED), spec::PORT_CCS);
    assert_eq!(driver.world.sites.last(), Some(&(0, crate::fault::plane::Site::UsbConnect)));
}

#[test]
fn too_much_current_takes_the_power() {
    let mut driver = Driver::with(&[STICK]);
    driver.reset_port(1);
    driver.news(News::Current { hub: None, port: 1, over: true });
    let status = driver.port(1);
    let all = spec::PORT_OCA | spec::PORT_OCC | spec::PORT_PP | spec::PORT_CCS | spec::PORT_PED;
    assert_eq!(status & all, spec::PORT_OCA | spec::PORT_OCC);
    let at = spec::OPERATIONAL + spec::PORTS;
    driver.set(at, spec::PORT_PP | spec::PORT_CHANGES);
    assert_eq!(driver.port(1) & spec::PORT_PP, 0, "not while it lasts");
    driver.news(News::Current { hub: None, port: 1, over: false });
    assert_eq!(driver.port(1) & (spec::PORT_OCA | spec::PORT_OCC), spec::PORT_OCC);
    driver.set(at, spec::PORT_PP | spec::PORT_CHANGES);
    assert_eq!(driver.port(1) & (spec::PORT_PP | spec::PORT_CCS), spec::PORT_PP | spec::PORT_CCS);
}

#[test]
fn interrupts_wait_for_the_handler_and_for_their_interval() {
    let mut driver = Driver::with(&[STICK]);
    let runtime = spec::RUNTIME + spec::INTERRUPTERS;
    assert_eq!(driver.world.raised, [0], "the connection");
    driver.command(spec::NO_OP_COMMAND, 0, 0, 0);
    assert_eq!(driver.world.raised, [0], "the handler was busy, and has read all");
    driver.command(spec::NO_OP_COMMAND, 0, 0, 0);
    assert_eq!(driver.world.raised, [0, 0]);
    // A handler that leaves something in the ring hears of it again.
    for _ in 0..2 {
        driver.push(super::testing::COMMANDS, 0, 0, spec::NO_OP_COMMAND << 10);
    }
    driver.set(spec::DOORBELLS, 0);
    driver.wait(100_000);
    assert_eq!(driver.world.raised, [0, 0, 0]);
    assert!(driver.poll().is_some());
    driver.acknowledge();
    assert_eq!(driver.world.raised, [0, 0, 0, 0]);
    assert_eq!(driver.events().len(), 1);
    driver.set(runtime + spec::IMOD, 4000);
    driver.command(spec::NO_OP_COMMAND, 0, 0, 0);
    let before = driver.world.raised.len();
    driver.push(super::testing::COMMANDS, 0, 0, spec::NO_OP_COMMAND << 10);
    driver.set(spec::DOORBELLS, 0);
    driver.wait(100_000);
    assert_eq!(driver.world.raised.len(), before, "not within a millisecond");
    driver.wait(1_000_000);
    assert_eq!(driver.world.raised.len(), before + 1);
    assert_eq!(driver.get(runtime + spec::IMAN) & spec::IMAN_IP, 0, "a message takes it along");
}

#[test]
fn the_line_stays_until_the_pending_bit_is_cleared() {
    let settings = Settings { signalling: Signalling::Intx, ..Settings::default() };
    let mut driver = Driver::new(settings, &[]);
    driver.world.messages = false;
    driver.command(spec::NO_OP_COMMAND, 0, 0, 0);
    assert!(driver.world.line);
    let iman = spec::RUNTIME + spec::INTERRUPTERS + spec::IMAN;
    assert_eq!(driver.get(iman) & spec::IMAN_IP, spec::IMAN_IP);
    driver.set(iman, spec::IMAN_IP | spec::IMAN_IE);
    assert!(!driver.world.line);
}

#[test]
fn a_full_event_ring_says_so_and_loses_nothing() {
    let mut driver = Driver::with(&[]);
    // Twice, so that the cycle state turns in between.
    for round in 0..2 {
        for _ in 0..63 {
            driver.push(super::testing::COMMANDS, 0, 0, spec::NO_OP_COMMAND << 10);
        }
        driver.set(spec::DOORBELLS, 0);
        driver.wait(1_000_000);
        let (mut done, mut full) = (0, 0);
        while let Some(event) = driver.poll() {
            match event.kind() {
                spec::COMMAND_EVENT => done += 1,
                kind => {
                    assert_eq!((kind, code(event)), (spec::CONTROLLER_EVENT, spec::RING_FULL));
                    assert_eq!(done, 62, "in the last place");
                    full += 1;
                }
            }
            if full == 0 {
                continue;
            }
            driver.acknowledge();
            driver.wait(1_000_000);
        }
        driver.acknowledge();
        assert_eq!((done, full), (63, 1), "round {round}");
    }
}

/// While it is halted, a controller writes nothing (5.4.1.1), even if the guest makes room for what waits.
#[test]
fn an_event_that_waits_for_room_waits_for_the_controller_to_run() {
    let mut driver = Driver::with(&[]);
    for _ in 0..63 {
        driver.push(super::testing::COMMANDS, 0, 0, spec::NO_OP_COMMAND << 10);
    }
    driver.set(spec::DOORBELLS, 0);
    driver.wait(1_000_000);
    let command = spec::OPERATIONAL + spec::USBCMD;
    driver.set(command, spec::CMD_INTE);
    assert_eq!(driver.events().len(), 63, "62 commands, and that the ring is full");
    driver.wait(1_000_000);
    assert_eq!(driver.poll(), None);
    driver.set(command, spec::CMD_RUN | spec::CMD_INTE);
    let kinds: Vec<u32> = driver.events().into_iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, [spec::COMMAND_EVENT]);
}

#[test]
fn memory_that_is_not_there_halts_the_controller() {
    let mut driver = Driver::with(&[]);
    driver.set(spec::OPERATIONAL + spec::USBCMD, 0);
    driver.set64(spec::OPERATIONAL + spec::CRCR, 0xdead_0000_0001);
    driver.set(spec::OPERATIONAL + spec::USBCMD, spec::CMD_RUN);
    driver.set(spec::DOORBELLS, 0);
    driver.wait(1_000_000);
    let status = driver.get(spec::OPERATIONAL + spec::USBSTS);
    assert_eq!(status & (spec::STS_HSE | spec::STS_HALTED), spec::STS_HSE | spec::STS_HALTED);
    driver.set(spec::OPERATIONAL + spec::USBCMD, spec::CMD_RUN);
    assert_ne!(driver.get(spec::OPERATIONAL + spec::USBSTS) & spec::STS_HALTED, 0, "only a reset helps");
    driver.set(spec::OPERATIONAL + spec::USBCMD, spec::CMD_RESET);
    driver.start();
    assert_eq!(driver.command(spec::NO_OP_COMMAND, 0, 0, 0).0, spec::SUCCESS);
}
