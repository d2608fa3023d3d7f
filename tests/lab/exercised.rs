//! What a leg exercised, as a table for its log.

use crate::console::Counts;

/// A table: the words of each row below those of its head, each column as wide as its widest word.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column).map(String::as_str));
        cells.chain(head.get(column).copied()).map(str::len).max().unwrap_or(0)
    };
    let line = |row: &[String]| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", width(0)),
            _ => format!("{cell:>0$}", width(column)),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = head.iter().map(|&word| word.to_owned()).collect();
    std::iter::once(&head).chain(rows).map(|row| line(row)).collect()
}

/// The row of a device that our guest drove: how often it was lost, and what became of its requests.
pub fn row(device: &str, driver: &str, ended: &[Counts]) -> Vec<String> {
    let sum = |of: fn(&Counts) -> u64| ended.iter().map(of).sum::<u64>().to_string();
    let numbers =
        [ended.len().saturating_sub(1).to_string(), sum(|c| c.issued), sum(|c| c.done), sum(|c| c.offline)];
    [device, driver].into_iter().map(str::to_owned).chain(numbers).collect()
}

/// The head of the table of [`row`]s.
pub const DRIVEN: [&str; 6] = ["device", "model", "removed", "requests", "done", "Offline"];

/// What a tour of a Linux speaks of, and what that is. The first that fits counts.
const NAMES: [(&str, &str); 13] = [
    ("/dev/sda", "usb-storage"),
    ("1-1:1.0/host", "usb-storage"),
    ("/dev/sdb", "firewire-disk"),
    ("fw*.0/host", "firewire-disk"),
    ("/dev/vdb", "virtio-blk"),
    ("virtio*/block/vda", "virtio-blk, the root"),
    ("/dev/ttyACM0", "usb-serial"),
    ("/heard", "usb-serial"),
    ("1-2/product", "usb-keyboard"),
    ("1-4.2/product", "usb-mouse behind usb-hub"),
    ("0000:01:00.0", "edu"),
    ("/firewire/devices/fw", "firewire-node"),
    ("FireWire node", "firewire-node"),
];

/// The ends of the lines that count, and the columns in which they do.
const ENDS: [(&str, usize); 4] =
    [(" is there", 0), (" is gone", 1), (" keeps what it is given", 2), (" is once more", 2)];

/// What the tour of a Linux found, missed and compared: how often it said of each device that it was there, that it was gone, that it kept its data.
pub fn tour(said: &str) -> Vec<String> {
    let mut rows: Vec<(&str, [u32; 3])> = Vec::new();
    for line in said.lines().filter_map(|line| line.strip_prefix("guest: ")) {
        let Some((_, column)) = ENDS.iter().find(|(end, _)| line.ends_with(end)) else { continue };
        let Some((_, name)) = NAMES.iter().find(|(pattern, _)| line.contains(pattern)) else { continue };
        let at = rows.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            rows.push((name, [0; 3]));
            rows.len() - 1
        });
        rows[at].1[*column] += 1;
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, counts)| {
            [name.to_owned()].into_iter().chain(counts.map(|count| count.to_string())).collect()
        })
        .collect();
    table(&["device", "found", "missed", "data right"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tour_is_counted_by_device() {
        let said = "\
guest: /dev/sda is there
guest: /sys/bus/firewire/devices/fw1 is there
[  1.0] sd 0:0:0:0: noise is there
guest: /dev/sda keeps what it is given
guest: /dev/sda is gone
guest: /heard is once more
guest: the FireWire node is gone
guest: /sys/bus/usb/devices/1-1:1.0/host*/target*/*/block/sd* is there
guest: /sys/bus/firewire/devices/fw1/vendor is 0x025747
";
        let expected = [
            "device         found  missed  data right",
            "usb-storage        2       1           1",
            "firewire-node      1       1           0",
            "usb-serial         0       0           1",
        ];
        assert_eq!(tour(said), expected);
    }

    #[test]
    fn a_devices_requests_are_summed() {
        let counts = |done, offline| Counts { issued: done + offline, done, offline, wrong: 0 };
        let row = row("kb0", "usb-kbd", &[counts(3, 1), counts(4, 1), counts(9, 0)]);
        assert_eq!(row, ["kb0", "usb-kbd", "2", "18", "16", "2"]);
    }
}
