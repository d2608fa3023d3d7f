//! Commands, and what is wrong with them.

use super::STICK;
use crate::env::Mishap;
use crate::fault::plane::Site;
use crate::spec::xhci as spec;
use crate::xhci::Settings;
use crate::xhci::testing::{COMMANDS, Driver, INPUT, code};

fn of(slot: u8) -> u32 {
    u32::from(slot) << 24
}

fn pipe(slot: u8, endpoint: u8) -> u32 {
    of(slot) | u32::from(endpoint) << 16
}

#[test]
fn a_slot_goes_through_its_states() {
    for wide_contexts in [false, true] {
        let settings = Settings { wide_contexts, ..Settings::default() };
        let mut driver = Driver::new(settings, &[STICK]);
        driver.reset_port(1);
        let (enabled, slot) = driver.command(spec::ENABLE_SLOT, 0, 0, 0);
        assert_eq!((enabled, slot), (spec::SUCCESS, 1));
        driver.address_input(slot, 1, 0, spec::SPEED_HIGH);
        let blocked = driver.command(spec::ADDRESS_DEVICE, INPUT, 0, of(slot) | spec::TRB_OPTION);
        assert_eq!(blocked.0, spec::SUCCESS);
        assert_eq!(driver.slot_state(slot), spec::SLOT_DEFAULT);
        assert_eq!(driver.command(spec::ADDRESS_DEVICE, INPUT, 0, of(slot)).0, spec::SUCCESS);
        assert_eq!(driver.slot_state(slot), spec::SLOT_ADDRESSED);
        assert_eq!(driver.endpoint_state(slot, 1), spec::EP_RUNNING);
        assert_eq!(driver.configure(slot, &[(3, 6, 512, 0), (4, 2, 512, 0)]), spec::SUCCESS);
        assert_eq!(driver.slot_state(slot), spec::SLOT_CONFIGURED);
        assert_eq!(driver.endpoint_state(slot, 4), spec::EP_RUNNING);
        let stopped = driver.command(spec::STOP_ENDPOINT, 0, 0, pipe(slot, 3));
        assert_eq!((stopped.0, driver.endpoint_state(slot, 3)), (spec::SUCCESS, spec::EP_STOPPED));
        assert_eq!(
            driver.command(spec::CONFIGURE_ENDPOINT, 0, 0, of(slot) | spec::TRB_OPTION).0,
            spec::SUCCESS
        );
        assert_eq!((driver.slot_state(slot), driver.endpoint_state(slot, 3)), (spec::SLOT_ADDRESSED, 0));
        assert_eq!(driver.command(spec::RESET_DEVICE, 0, 0, of(slot)).0, spec::SUCCESS);
        assert_eq!(driver.slot_state(slot), spec::SLOT_DEFAULT);
        assert_eq!(driver.command(spec::DISABLE_SLOT, 0, 0, of(slot)).0, spec::SUCCESS);
        assert_eq!(driver.command(spec::DISABLE_SLOT, 0, 0, of(slot)).0, spec::SLOT_NOT_ENABLED);
    }
}

#[test]
fn what_is_wrong_is_told_by_its_code() {
    let mut driver = Driver::with(&[STICK]);
    assert_eq!(driver.command(spec::ADDRESS_DEVICE, INPUT, 0, of(5)).0, spec::SLOT_NOT_ENABLED);
    assert_eq!(driver.command(18, 0, 0, 0).0, spec::TRB_ERROR);
    let (_, slot) = driver.command(spec::ENABLE_SLOT, 0, 0, 0);
    driver.address_input(slot, 1, 0, spec::SPEED_HIGH);
    let address = |driver: &mut Driver| driver.command(spec::ADDRESS_DEVICE, INPUT, 0, of(slot)).0;
    assert_eq!(address(&mut driver), spec::TRANSACTION_ERROR, "the port is not enabled");
    driver.reset_port(1);
    driver.put32(INPUT + 4, 1);
    assert_eq!(address(&mut driver), spec::PARAMETER_ERROR, "no control endpoint");
    driver.address_input(slot, 9, 0, spec::SPEED_HIGH);
    assert_eq!(address(&mut driver), spec::PARAMETER_ERROR, "no such port");
    driver.address_input(slot, 1, 2, spec::SPEED_HIGH);
    assert_eq!(address(&mut driver), spec::TRANSACTION_ERROR, "no hub there");
    driver.address_input(slot, 1, 0, spec::SPEED_FULL);
    assert_eq!(address(&mut driver), spec::TRANSACTION_ERROR, "another speed");
    driver.address_input(slot, 1, 0, spec::SPEED_HIGH);
    driver.world.mishaps.push((Site::UsbSetup, Mishap::Error));
    assert_eq!(address(&mut driver), spec::TRANSACTION_ERROR, "spoilt on the way");
    assert_eq!(
        driver.command(spec::CONFIGURE_ENDPOINT, INPUT, 0, of(slot)).0,
        spec::CONTEXT_STATE_ERROR,
        "not addressed"
    );
    assert_eq!(address(&mut driver), spec::SUCCESS);
    assert_eq!(address(&mut driver), spec::CONTEXT_STATE_ERROR, "twice");
    assert_eq!(driver.configure(slot, &[(3, 2, 512, 0)]), spec::PARAMETER_ERROR, "OUT on an IN context");
    assert_eq!(driver.configure(slot, &[(4, 2, 0, 0)]), spec::PARAMETER_ERROR, "no packets");
    assert_eq!(driver.slot_state(slot), spec::SLOT_ADDRESSED);
    for kind in [spec::STOP_ENDPOINT, spec::SET_DEQUEUE, spec::RESET_ENDPOINT] {
        assert_eq!(driver.command(kind, 0, 0, pipe(slot, 7)).0, spec::ENDPOINT_NOT_ENABLED);
        assert_eq!(driver.command(kind, 0, 0, pipe(slot, 0)).0, spec::TRB_ERROR);
    }
    assert_eq!(driver.command(spec::SET_DEQUEUE, 0, 0, pipe(slot, 1)).0, spec::CONTEXT_STATE_ERROR);
    assert_eq!(driver.command(spec::RESET_ENDPOINT, 0, 0, pipe(slot, 1)).0, spec::CONTEXT_STATE_ERROR);
}

#[test]
fn slots_run_out() {
    let mut driver = Driver::with(&[]);
    let last = (0..spec::SLOTS).map(|_| driver.command(spec::ENABLE_SLOT, 0, 0, 0)).last();
    assert_eq!(last, Some((spec::SUCCESS, spec::SLOTS)));
    assert_eq!(driver.command(spec::ENABLE_SLOT, 0, 0, 0), (spec::NO_SLOTS, 0));
}

#[test]
fn the_command_ring_is_stopped_and_goes_on_elsewhere() {
    let mut driver = Driver::with(&[]);
    assert_eq!(driver.command(spec::NO_OP_COMMAND, 0, 0, 0).0, spec::SUCCESS);
    let crcr = spec::OPERATIONAL + spec::CRCR;
    assert_eq!(driver.get(crcr), spec::CRCR_RUNNING);
    driver.set(crcr, spec::CRCR_ABORT);
    let events = driver.events();
    assert_eq!((code(events[0]), events[0].parameter), (spec::RING_STOPPED, COMMANDS + 16));
    assert_eq!(driver.get(crcr), 0);
    let ring = driver.open(COMMANDS);
    driver.set64(crcr, ring);
    assert_eq!(driver.command(spec::NO_OP_COMMAND, 0, 0, 0).0, spec::SUCCESS);
}

#[test]
fn a_ring_of_links_is_an_error_and_no_more() {
    let mut driver = Driver::with(&[]);
    driver.push(COMMANDS, COMMANDS, 0, spec::LINK << spec::TRB_TYPE_SHIFT);
    driver.set(spec::DOORBELLS, 0);
    driver.wait(10_000_000);
    assert_eq!(driver.events().iter().map(|event| code(*event)).collect::<Vec<_>>(), [spec::TRB_ERROR]);
    assert!(driver.world.accesses < 100);
}
