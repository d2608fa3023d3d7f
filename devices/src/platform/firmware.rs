//! What firmware leaves behind: bus numbers, bridge windows, BARs of what is plugged in.

use super::core::Core;
use super::layout;
use super::slot::Slot;
use crate::device::BarSpec;
use crate::pci::port::Window;
use crate::spec::pci as spec;

/// Programs every port and every card that is in its slot. A port with an empty slot gets its windows too, so that there is room for
/// what comes later, and stays without power.
pub fn assign(core: &mut Core) {
    for index in 0..core.slots.len() {
        assign_port(&mut core.slots[index]);
        if core.slots[index].occupied {
            core.slots[index].port.power_on();
            core.connect(index, true);
            core.slots[index].port.set_link(true, false);
            assign_card(&mut core.slots[index]);
        }
    }
    core.remap();
}

/// The two windows that firmware gives to slot `number`: 32-bit, and 64-bit prefetchable.
fn windows(number: u32) -> (Window, Window) {
    let window = |base: u64, bytes: u64| {
        let base = base + u64::from(number) * bytes;
        Window { base, limit: base + bytes - 1 }
    };
    (
        window(layout::APERTURE_BASE, layout::SLOT_APERTURE_BYTES),
        window(layout::WIDE_APERTURE_BASE, layout::SLOT_WIDE_APERTURE_BYTES),
    )
}

fn assign_port(slot: &mut Slot) {
    let (plain, prefetch) = windows(slot.number);
    slot.port.set_windows(plain, prefetch);
    let bus = slot.number as u8;
    slot.port.set_config(spec::PRIMARY_BUS, &[0, bus, bus]);
    slot.port.set_config(spec::INTERRUPT_LINE, &[layout::gsi(slot.number) as u8]);
    let command = spec::COMMAND_MEMORY | spec::COMMAND_MASTER;
    slot.port.set_config(spec::COMMAND, &command.to_le_bytes());
}

fn assign_card(slot: &mut Slot) {
    let (plain, prefetch) = windows(slot.number);
    let mut bars: Vec<BarSpec> = slot.function.bars().to_vec();
    // Largest first: then every one is aligned to its size without a hole.
    bars.sort_by_key(|bar| (std::cmp::Reverse(bar.size), bar.index));
    let (mut next_plain, mut next_prefetch) = (plain.base, prefetch.base);
    for bar in bars {
        let (next, window) = if bar.wide && bar.prefetchable {
            (&mut next_prefetch, prefetch)
        } else {
            (&mut next_plain, plain)
        };
        let start = next.next_multiple_of(bar.size);
        if !window.contains(start, bar.size) {
            continue;
        }
        *next = start + bar.size;
        let at = spec::BAR0 + usize::from(bar.index) * 4;
        let kind = slot.function.config().u32(at) & 0xf;
        slot.function.set_config(at, &(start as u32 | kind).to_le_bytes());
        if bar.wide {
            slot.function.set_config(at + 4, &((start >> 32) as u32).to_le_bytes());
        }
    }
    slot.function.set_config(spec::INTERRUPT_LINE, &[layout::gsi(slot.number) as u8]);
    slot.function.set_config(spec::COMMAND, &spec::COMMAND_MEMORY.to_le_bytes());
}
