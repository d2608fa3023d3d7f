//! The block device under a driver, good and bad.

use super::testing::*;
use crate::fault::plan::{Action, DeviceFault, What};
use crate::platform::testing::{at, on};
use crate::spec::{pci, virtio as spec};

#[test]
fn what_is_written_reads_back_and_interrupts_once_each() {
    let mut disk = Disk::ready(&[], vec![]);
    let data: Vec<u8> = (0..8192u32).map(|i| (i * 7) as u8).collect();
    disk.put(DATA, &data);
    disk.submit(0, spec::BLK_T_OUT, 3, DATA, 8192);
    disk.kick();
    assert_eq!(disk.used(), 0, "it takes its time");
    disk.wait();
    assert_eq!((disk.used(), disk.request_status(0), disk.used_entry(0)), (1, 0, (0, 1)));
    disk.submit(1, spec::BLK_T_IN, 3, DATA + 0x8000, 8192);
    disk.kick();
    disk.wait();
    assert_eq!((disk.request_status(1), disk.used_entry(1)), (0, (3, 8193)));
    assert_eq!(disk.get::<8192>(DATA + 0x8000)[..], data[..]);
    assert_eq!(disk.bench.machine.messages, [(0xfee0_0000, 0x41); 2]);
}

#[test]
fn capabilities_and_configuration_are_those_of_a_disk() {
    let mut disk = Disk::new(&[], vec![]);
    assert_eq!(disk.bench.config32(2, 0, 0), 0x1042_1af4);
    assert_eq!(u64::from_le_bytes(disk.bench.read(disk.bar + 0x2000)), 2048);
    assert_eq!(disk.bench.read32(disk.bar + 0x2014), 512);
    assert_eq!(disk.read16(spec::NUM_QUEUES), 1);
    assert_eq!(disk.read16(spec::QUEUE_SIZE), 256);
    disk.write(spec::QUEUE_SELECT, &1u16.to_le_bytes());
    assert_eq!(disk.read16(spec::QUEUE_SIZE), 0);
    assert_eq!(disk.bench.platform.doorbells().len(), 1);
    assert_eq!(disk.bench.platform.doorbells()[0].address, disk.bar + 0x3000);
}

#[test]
fn status_follows_the_rules() {
    let mut disk = Disk::new(&[], vec![]);
    disk.features = 0;
    disk.negotiate();
    assert_eq!(disk.status(), 3, "version 1 is not optional");
    disk.features = spec::F_VERSION_1 | 1 << 60;
    disk.negotiate();
    assert_eq!(disk.status(), 3, "a feature that was not offered");
    disk.features = spec::F_VERSION_1;
    disk.negotiate();
    assert_eq!(disk.status(), 0xf);
    disk.write(spec::DEVICE_STATUS, &[1]);
    assert_eq!(disk.status(), 0xf, "only a reset clears");
    disk.write(spec::DEVICE_STATUS, &[0]);
    assert_eq!((disk.status(), disk.read16(spec::QUEUE_ENABLE)), (0, 0));
}

#[test]
fn other_requests_and_their_errors() {
    let mut disk = Disk::ready(&[], vec![]);
    disk.submit(0, spec::BLK_T_GET_ID, 0, DATA, 20);
    disk.submit(1, spec::BLK_T_FLUSH, 0, DATA, 0);
    disk.submit(2, 77, 0, DATA, 512);
    disk.submit(3, spec::BLK_T_IN, 2048, DATA, 512);
    disk.submit(4, spec::BLK_T_IN, u64::MAX, DATA, 512);
    disk.submit(5, spec::BLK_T_IN, 0, DATA, 511);
    disk.submit(6, spec::BLK_T_IN, 0, u64::MAX - 100, 512);
    disk.submit(7, spec::BLK_T_OUT, 0, DATA, u32::MAX - 511);
    disk.submit(8, spec::BLK_T_IN, 2047, DATA, 512);
    disk.kick();
    disk.wait();
    let statuses: Vec<u8> = (0..9).map(|request| disk.request_status(request)).collect();
    assert_eq!(statuses, [0, 0, 2, 1, 1, 1, 1, 1, 0]);
    assert_eq!(disk.used(), 9);
    assert_eq!(disk.status() & spec::STATUS_NEEDS_RESET, 0);
}

#[test]
fn headers_and_data_may_be_cut_anywhere() {
    let mut disk = Disk::ready(&[], vec![]);
    let header = disk.header(0, spec::BLK_T_OUT, 1);
    disk.put(DATA, &[0x33; 512]);
    disk.descriptor(0, header, 7, NEXT, 1);
    disk.descriptor(1, header + 7, 9, NEXT, 2);
    disk.descriptor(2, DATA, 100, NEXT, 3);
    disk.descriptor(3, DATA + 100, 412, NEXT, 4);
    disk.descriptor(4, header + 16, 1, WRITE, 0);
    disk.offer(0);
    disk.kick();
    disk.wait();
    assert_eq!(disk.request_status(0), 0);
    // The read: status byte in one piece with the data.
    let header = disk.header(1, spec::BLK_T_IN, 1);
    disk.descriptor(10, header, 16, NEXT, 11);
    disk.descriptor(11, DATA + 0x1000, 513, WRITE, 0);
    disk.offer(10);
    disk.kick();
    disk.wait();
    assert_eq!(disk.get::<512>(DATA + 0x1000), [0x33; 512]);
    assert_eq!(disk.get::<1>(DATA + 0x1200), [0]);
}

#[test]
fn indirect_tables_work_and_do_not_nest() {
    let mut disk = Disk::ready(&[], vec![]);
    let header = disk.header(0, spec::BLK_T_IN, 0);
    let table = DATA + 0x4000;
    disk.descriptor(0, header, 16, NEXT, 1);
    disk.descriptor(1, DATA, 512, NEXT | WRITE, 2);
    disk.descriptor(2, header + 16, 1, WRITE, 0);
    let entries = disk.get::<48>(DESC);
    disk.put(table, &entries);
    disk.descriptor(5, table, 48, INDIRECT, 0);
    disk.offer(5);
    disk.kick();
    disk.wait();
    assert_eq!((disk.request_status(0), disk.used_entry(0)), (0, (5, 513)));
    let nested = disk.get::<16>(DESC + 80);
    disk.put(table, &nested);
    disk.offer(5);
    disk.kick();
    assert_ne!(disk.status() & spec::STATUS_NEEDS_RESET, 0);
}

#[test]
fn hostile_rings_need_a_reset_and_recover_after_it() {
    type Spoil = fn(&mut Disk);
    let cases: [Spoil; 8] = [
        |disk| disk.descriptor(1, DATA, 512, WRITE | NEXT, 1),
        |disk| disk.descriptor(1, DATA, 512, WRITE | NEXT, SIZE),
        |disk| disk.descriptor(0, u64::MAX - 4, 16, NEXT, 1),
        |disk| disk.descriptor(0, HEADERS, 4, NEXT, 1),
        |disk| disk.descriptor(2, HEADERS, 1, 0, 0),
        |disk| disk.descriptor(2, HEADERS, 0, WRITE, 0),
        |disk| disk.put(AVAIL + 2, &999u16.to_le_bytes()),
        |disk| disk.put(AVAIL + 4, &SIZE.to_le_bytes()),
    ];
    for (number, spoil) in cases.into_iter().enumerate() {
        let mut disk = Disk::ready(&[], vec![]);
        disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
        if number == 5 {
            disk.descriptor(1, DATA, 0, WRITE | NEXT, 2);
        }
        spoil(&mut disk);
        disk.kick();
        disk.wait();
        assert_ne!(disk.status() & spec::STATUS_NEEDS_RESET, 0, "case {number}");
        assert_eq!(disk.bench.machine.messages, [(0xfee0_0000, 0x40)], "case {number}");
        disk.negotiate();
        disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
        disk.kick();
        disk.wait();
        assert_eq!((disk.status(), disk.used()), (0xf, 1), "case {number}");
    }
}

#[test]
fn rings_outside_of_memory_need_a_reset() {
    for register in [spec::QUEUE_DESC, spec::QUEUE_DRIVER, spec::QUEUE_DEVICE] {
        let mut disk = Disk::new(&[], vec![]);
        disk.write(spec::DEVICE_STATUS, &[3]);
        disk.write(spec::DRIVER_FEATURE_SELECT, &1u32.to_le_bytes());
        disk.write(spec::DRIVER_FEATURE, &1u32.to_le_bytes());
        disk.write(spec::DEVICE_STATUS, &[0xb]);
        disk.write(register + 4, &0x7fff_ffffu32.to_le_bytes());
        disk.write(spec::QUEUE_ENABLE, &1u16.to_le_bytes());
        disk.write(spec::DEVICE_STATUS, &[0xf]);
        disk.kick();
        assert_ne!(disk.status() & spec::STATUS_NEEDS_RESET, 0);
    }
}

#[test]
fn intx_is_asserted_until_the_isr_is_read() {
    let mut disk = Disk::ready(&[("irq", "intx")], vec![]);
    disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
    disk.kick();
    disk.wait();
    assert_eq!(disk.bench.machine.lines, [(18, true)]);
    let isr = disk.bench.read::<1>(disk.bar + 0x1000);
    assert_eq!(isr, [spec::ISR_QUEUE]);
    assert_eq!(disk.bench.machine.lines, [(18, true), (18, false)]);
    assert_eq!(disk.bench.read::<1>(disk.bar + 0x1000), [0]);
}

#[test]
fn a_completion_that_is_delivered_twice_is_in_the_ring_two_times() {
    let twice = DeviceFault::Duplicate { what: What::Completion, after: 500, count: 1 };
    let fault = Action::Fault { device: "disk0".into(), fault: twice };
    let mut disk = Disk::ready(&[], vec![on("disk0", "dma.write", 1, fault)]);
    disk.submit(0, spec::BLK_T_FLUSH, 0, DATA, 0);
    disk.submit(1, spec::BLK_T_FLUSH, 0, DATA, 0);
    disk.kick();
    disk.wait();
    assert_eq!((disk.used(), [0, 1, 2].map(|n| disk.used_entry(n))), (3, [(0, 1), (0, 1), (3, 1)]));
    assert_eq!(disk.bench.machine.messages.len(), 2, "and its interrupt comes again");
    assert_eq!(disk.status() & spec::STATUS_NEEDS_RESET, 0);
}

#[test]
fn event_index_and_flag_suppress_interrupts() {
    let mut disk = Disk::ready(&[], vec![]);
    disk.put(AVAIL, &1u16.to_le_bytes());
    disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
    disk.kick();
    disk.wait();
    assert_eq!((disk.used(), disk.bench.machine.messages.len()), (1, 0));
    disk.features |= spec::F_EVENT_IDX;
    disk.negotiate();
    let used_event = AVAIL + 4 + 2 * u64::from(SIZE);
    disk.put(used_event, &1u16.to_le_bytes());
    for request in 0..3 {
        disk.submit(request, spec::BLK_T_IN, 0, DATA, 512);
        disk.kick();
        disk.wait();
        let avail_event = USED + 4 + 8 * u64::from(SIZE);
        assert_eq!(disk.get::<2>(avail_event), (request + 1).to_le_bytes());
    }
    assert_eq!((disk.used(), disk.bench.machine.messages.len()), (3, 1));
}

#[test]
fn masked_vectors_stay_pending_until_unmasked() {
    let mut disk = Disk::ready(&[], vec![]);
    let entry = crate::platform::testing::Bench::bar0(2) + 16;
    disk.bench.write32(entry + 12, pci::MSIX_VECTOR_MASKED);
    disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
    disk.kick();
    disk.wait();
    assert_eq!(disk.bench.machine.messages, []);
    assert_eq!(disk.bench.read32(entry - 16 + 0x800), 2, "pending bit of vector 1");
    disk.bench.write32(entry + 12, 0);
    assert_eq!(disk.bench.machine.messages, [(0xfee0_0000, 0x41)]);
    assert_eq!(disk.bench.read32(entry - 16 + 0x800), 0);
    let cap = disk.bench.capability(2, 0, pci::CAP_MSIX).unwrap();
    let both = pci::MSIX_ENABLE | pci::MSIX_FUNCTION_MASK;
    disk.bench.set_config16(2, 0, cap + pci::MSIX_CONTROL, both);
    disk.submit(1, spec::BLK_T_IN, 0, DATA, 512);
    disk.kick();
    disk.wait();
    assert_eq!(disk.bench.machine.messages.len(), 1);
    disk.bench.set_config16(2, 0, cap + pci::MSIX_CONTROL, pci::MSIX_ENABLE);
    assert_eq!(disk.bench.machine.messages.len(), 2);
}

#[test]
fn requests_in_flight_are_lost_with_the_card() {
    let gone = || Action::Unplug("disk0".into());
    for rule in [at(5_000, gone()), on("disk0", "timer.fire", 1, gone())] {
        let mut disk = Disk::ready(&[], vec![rule]);
        disk.bench.platform.start_plan(disk.bench.machine.now);
        for request in 0..8 {
            disk.submit(request, spec::BLK_T_IN, 0, DATA, 512);
        }
        disk.kick();
        disk.wait();
        assert_eq!((disk.used(), disk.bench.machine.messages.len()), (0, 0));
        assert_eq!(disk.bench.machine.faults.len(), 1);
        assert_eq!(disk.status(), 0xff);
    }
}

#[test]
fn a_read_stops_half_way_at_the_access_at_which_the_card_goes() {
    let gone = Action::Unplug("disk0".into());
    let mut disk = Disk::ready(&[], vec![on("disk0", "dma.write", 2, gone)]);
    disk.put(DATA, &[9; 0x3000]);
    disk.submit(0, spec::BLK_T_IN, 0, DATA, 0x2000);
    disk.kick();
    disk.wait();
    let bytes = disk.get::<0x3000>(DATA);
    assert_eq!(bytes.iter().filter(|&&byte| byte == 0).count(), 0x1800);
    assert_eq!((disk.used(), disk.request_status(0)), (0, 0xff));
}

#[test]
fn rings_are_not_touched_once_the_card_is_gone() {
    let gone = Action::Unplug("disk0".into());
    let mut disk = Disk::ready(&[], vec![on("disk0", "dma.read", 1, gone)]);
    disk.features |= spec::F_EVENT_IDX;
    disk.negotiate();
    disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
    disk.submit(1, spec::BLK_T_IN, 0, DATA, 512);
    disk.kick();
    disk.wait();
    assert_eq!(disk.get::<1024>(USED), [0; 1024]);
    assert_eq!(disk.bench.machine.messages, []);
}

#[test]
fn doorbells_are_counted_when_a_rule_waits_for_them() {
    let gone = Action::Unplug("disk0".into());
    let mut disk = Disk::ready(&[], vec![on("disk0", "doorbell", 2, gone)]);
    assert_eq!(disk.bench.platform.doorbells(), []);
    disk.kick();
    assert_eq!(disk.status(), 0xf);
    disk.kick();
    assert_eq!(disk.status(), 0xff);
}

#[test]
fn the_configuration_window_reaches_the_registers() {
    let mut disk = Disk::new(&[], vec![]);
    let mut at = usize::from(disk.bench.config16(2, 0, pci::CAPABILITIES) & 0xfc);
    loop {
        let header = disk.bench.config16(2, 0, at);
        let kind = disk.bench.config16(2, 0, at + 2) >> 8;
        if header as u8 == pci::CAP_VENDOR && kind == u16::from(spec::CFG_PCI) {
            break;
        }
        at = usize::from(header >> 8);
        assert_ne!(at, 0, "no such capability");
    }
    disk.bench.set_config32(2, 0, at + 4, 4);
    disk.bench.set_config32(2, 0, at + 8, 0x2000);
    disk.bench.set_config32(2, 0, at + 12, 4);
    assert_eq!(disk.bench.config32(2, 0, at + 16), 2048);
    disk.bench.set_config32(2, 0, at + 8, spec::DEVICE_STATUS as u32);
    disk.bench.set_config32(2, 0, at + 12, 1);
    disk.bench.set_config32(2, 0, at + 16, 3);
    assert_eq!(disk.status(), 3);
}

#[test]
fn resets_do_not_pile_up_timers() {
    let mut disk = Disk::ready(&[("latency", "1000s")], vec![]);
    let mut deadlines = Vec::new();
    for _ in 0..100 {
        disk.negotiate();
        disk.submit(0, spec::BLK_T_IN, 0, DATA, 512);
        disk.kick();
        deadlines.push(disk.bench.platform.next_deadline());
    }
    assert!(deadlines.windows(2).all(|pair| pair[0] == pair[1]));
}
