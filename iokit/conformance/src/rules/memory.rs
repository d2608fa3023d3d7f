//! MD1, DC1: memory descriptors and DMA commands.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{
    IOReturn, IoKit,
    io::{Direction, DmaCommand, DmaSpecification, MemoryDescriptor, MemoryRange, Segment},
};

fn memory(kit: &IoKit, bytes: u64) -> Arc<MemoryDescriptor> {
    MemoryDescriptor::with_capacity(kit, Direction::IN, bytes, 4096).unwrap()
}

fn command(kit: &IoKit) -> DmaCommand {
    DmaCommand::new(kit, DmaSpecification::default()).unwrap()
}

/// Three pieces of one buffer, the first two without a gap between them, and the buffer's address.
fn pieces(kit: &IoKit) -> (Arc<MemoryDescriptor>, u64) {
    let buffer = Arc::new(kit.kernel().dma_alloc(0x3000, 0x1000).unwrap());
    let range = |offset, length| MemoryRange { buffer: buffer.clone(), offset, length };
    let ranges = [range(0x100, 0x100), range(0x200, 0x80), range(0, 0), range(0x2000, 0x1000)];
    let address = buffer.address();
    (MemoryDescriptor::new(kit, Direction::OUT, ranges).unwrap(), address)
}

fn md1_prepare_and_complete_nest_and_the_last_complete_unwires(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let memory = memory(kit, 100);
        assert_eq!(memory.complete(), Err(IOReturn::NotReady));
        assert_eq!(memory.physical_segment(0), None, "not wired");
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let memory = memory.clone();
                let body = move |kernel: &mach::KernelRef| {
                    memory.prepare().unwrap();
                    memory.prepare().unwrap();
                    kernel.delay(1_000);
                    memory.complete().unwrap();
                    assert!(memory.is_wired() && memory.physical_segment(99).is_some());
                    memory.complete().unwrap();
                };
                kit.kernel().spawn("user", mach::band::DEFAULT, mach::Policy::Fixed, body).unwrap()
            })
            .collect();
        for thread in threads {
            thread.join(kit.kernel());
        }
        assert!(!memory.is_wired());
        assert_eq!(memory.complete(), Err(IOReturn::NotReady));
    });
}

fn md1_complete_with_dma_active_panics(lab: &Lab<'_>) {
    let runs = lab.panicking(&["MD1", "dma active"], |kit| {
        let (memory, command) = (memory(kit, 100), command(kit));
        memory.prepare().unwrap();
        memory.prepare().unwrap();
        command.set_memory_descriptor(&memory, true).unwrap();
        assert_eq!(memory.complete(), Ok(()), "another prepare is left");
        let _ = memory.complete();
    });
    for run in runs {
        assert_eq!(run.violations(), ["MD1"], "{}", run.name());
    }
}

fn md1_a_part_wires_the_whole(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (whole, base) = pieces(kit);
        let part = whole.part(0x170, 0x20).unwrap();
        part.prepare().unwrap();
        assert!(whole.is_wired());
        assert_eq!(part.physical_segment(0), Some((base + 0x270, 0x10)));
        assert_eq!(part.physical_segment(0x10), Some((base + 0x2000, 0x10)));
        assert_eq!(part.physical_segment(0x20), None);
        part.complete().unwrap();
        assert!(!whole.is_wired());
        assert_eq!(whole.part(0x1180, 1).err(), Some(IOReturn::BadArgument));
        assert_eq!(whole.part(u64::MAX, 2).err(), Some(IOReturn::BadArgument));
    });
}

fn md1_bytes_go_across_ranges_and_not_beyond_the_end(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (memory, _) = pieces(kit);
        assert_eq!(memory.length(), 0x1180);
        let data: Vec<u8> = (0..0x40).collect();
        assert_eq!(memory.write_bytes(0x160, &data), 0x40);
        let mut back = [0; 0x40];
        assert_eq!(memory.read_bytes(0x160, &mut back), 0x40);
        assert_eq!(back[..], data[..]);
        assert_eq!(memory.write_bytes(0x1170, &data), 0x10);
        assert_eq!((memory.read_bytes(0x1180, &mut back), memory.read_bytes(u64::MAX, &mut back)), (0, 0));
        let buffer = Arc::new(kit.kernel().dma_alloc(64, 1).unwrap());
        for (offset, length) in [(1, 64), (u64::MAX, 2), (65, 1)] {
            let range = MemoryRange { buffer: buffer.clone(), offset, length };
            assert_eq!(MemoryDescriptor::new(kit, Direction::IN, [range]).err(), Some(IOReturn::BadArgument));
        }
    });
}

fn dc1_changing_the_descriptor_while_active_is_busy(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (a, b, command) = (memory(kit, 100), memory(kit, 100), command(kit));
        a.prepare().unwrap();
        b.prepare().unwrap();
        command.set_memory_descriptor(&a, true).unwrap();
        assert_eq!(command.set_memory_descriptor(&b, true), Err(IOReturn::Busy));
        assert_eq!(command.set_memory_descriptor(&a, true), Ok(()), "the same one is no change");
        assert_eq!(command.clear_memory_descriptor(false), Err(IOReturn::NotReady));
        assert_eq!((a.dma_commands(), b.dma_commands()), (1, 0));
        command.complete().unwrap();
        assert_eq!(command.set_memory_descriptor(&b, false), Ok(()));
        assert_eq!((a.dma_commands(), b.dma_commands(), command.active()), (0, 1, 0));
        command.prepare(0, 0).unwrap();
        command.clear_memory_descriptor(true).unwrap();
        assert_eq!((b.dma_commands(), command.active()), (0, 0));
        command.set_memory_descriptor(&b, true).unwrap();
        drop(command);
        assert_eq!(b.dma_commands(), 0);
        assert_eq!((a.complete(), b.complete()), (Ok(()), Ok(())));
    });
}

fn dc1_complete_at_zero_and_anything_unprepared_is_not_ready(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (memory, command) = (memory(kit, 100), command(kit));
        let mut segments = [Segment::default(); 2];
        assert_eq!(command.complete(), Err(IOReturn::NotReady));
        assert_eq!(command.prepare(0, 0), Err(IOReturn::NotReady));
        assert_eq!(command.set_memory_descriptor(&memory, true), Err(IOReturn::NotReady), "not wired");
        assert!(command.memory_descriptor().is_none() && memory.dma_commands() == 0);
        memory.prepare().unwrap();
        command.set_memory_descriptor(&memory, false).unwrap();
        assert_eq!(command.generate_segments(&mut 0, &mut segments), Err(IOReturn::NotReady));
        command.prepare(10, 50).unwrap();
        command.prepare(10, 50).unwrap();
        assert_eq!(command.prepare(0, 50), Err(IOReturn::NotReady), "nests for the same bytes only");
        assert_eq!((command.complete(), command.complete()), (Ok(()), Ok(())));
        assert_eq!(command.complete(), Err(IOReturn::NotReady));
        assert_eq!(command.prepare(101, 0), Err(IOReturn::Overrun));
        assert_eq!(command.prepare(50, 51), Err(IOReturn::Overrun));
    });
}

fn dc1_segments_are_what_the_device_can_take(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (memory, base) = pieces(kit);
        memory.prepare().unwrap();
        let of = |specification: DmaSpecification| {
            let command = DmaCommand::new(kit, specification).unwrap();
            command.set_memory_descriptor(&memory, true).map(|()| command)
        };
        let all = |command: &DmaCommand| {
            let (mut offset, mut found) = (0, Vec::new());
            while offset < command.prepared_length() {
                let mut two = [Segment::default(); 2];
                let n = command.generate_segments(&mut offset, &mut two)?;
                found.extend(two[..n].iter().map(|s| (s.address - base, s.length)));
            }
            Ok::<_, IOReturn>(found)
        };
        let any = of(DmaSpecification::default()).unwrap();
        assert_eq!(all(&any), Ok(vec![(0x100, 0x180), (0x2000, 0x1000)]), "neighbours are one");
        assert_eq!(any.generate_segments(&mut 0x1180, &mut [Segment::default()]), Err(IOReturn::Overrun));
        assert_eq!(any.generate_segments(&mut 0, &mut []), Err(IOReturn::BadArgument));
        let short =
            of(DmaSpecification { max_segment: 0x890, alignment: 0x100, ..Default::default() }).unwrap();
        assert_eq!(all(&short), Ok(vec![(0x100, 0x180), (0x2000, 0x800), (0x2800, 0x800)]));
        let aligned = of(DmaSpecification { alignment: 0x200, ..Default::default() }).unwrap();
        assert_eq!(all(&aligned), Err(IOReturn::NotAligned));
        let near = of(DmaSpecification { address_bits: 8, ..Default::default() }).unwrap();
        assert_eq!(all(&near), Err(IOReturn::MessageTooLarge));
        let small = of(DmaSpecification { max_transfer: 0x1000, ..Default::default() });
        assert_eq!(small.err(), Some(IOReturn::NoSpace));
        let odd = [(0, 1, 0), (65, 1, 0), (64, 3, 0), (64, 8, 4)];
        for (address_bits, alignment, max_segment) in odd {
            let specification = DmaSpecification { address_bits, alignment, max_segment, max_transfer: 0 };
            assert_eq!(DmaCommand::new(kit, specification).err(), Some(IOReturn::BadArgument));
        }
    });
}

table! {
    md1_prepare_and_complete_nest_and_the_last_complete_unwires,
    md1_complete_with_dma_active_panics,
    md1_a_part_wires_the_whole,
    md1_bytes_go_across_ranges_and_not_beyond_the_end,
    dc1_changing_the_descriptor_while_active_is_busy,
    dc1_complete_at_zero_and_anything_unprepared_is_not_ready,
    dc1_segments_are_what_the_device_can_take,
}
