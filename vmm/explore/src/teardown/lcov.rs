//! Coverage as lcov's tracefile, so that the tools for it (genhtml, editors, CI services) show and merge it.
//!
//! lcov counts lines and functions of source files. Here a source file is a list of the things of one group, one a line, which is written beside the
//! tracefile; each thing is a function of its own on its line.

use super::{Group, Item};
use std::fmt::Write;

/// The tracefile and the lists that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lcov {
    /// The tracefile.
    pub text: String,
    /// Each list: its name, as the tracefile has it, and its text.
    pub lists: Vec<(String, String)>,
}

impl Lcov {
    /// The tracefile of `items`. The lists are called `stem` with the word of their group behind it, and lie beside it.
    pub fn new(items: &[Item], stem: &str) -> Self {
        let mut lcov = Self { text: String::new(), lists: Vec::new() };
        for group in Group::ALL {
            let of: Vec<&Item> = items.iter().filter(|item| item.group == group).collect();
            if of.is_empty() {
                continue;
            }
            let name = format!("{stem}.{}.txt", group.word());
            section(&mut lcov.text, group, &name, &of);
            lcov.lists.push((name, of.iter().map(|item| item.name.clone() + "\n").collect()));
        }
        lcov
    }
}

/// Writing into a string cannot fail.
fn section(out: &mut String, group: Group, file: &str, items: &[&Item]) {
    let numbered = || (1..).zip(items);
    let hit = items.iter().filter(|item| item.hits > 0).count();
    _ = write!(out, "TN:{}\nSF:{file}\n", group.word());
    numbered().for_each(|(line, item)| _ = writeln!(out, "FN:{line},{}", item.name));
    numbered().for_each(|(_, item)| _ = writeln!(out, "FNDA:{},{}", item.hits, item.name));
    _ = write!(out, "FNF:{}\nFNH:{hit}\n", items.len());
    numbered().for_each(|(line, item)| _ = writeln!(out, "DA:{line},{}", item.hits));
    _ = write!(out, "LF:{}\nLH:{hit}\nend_of_record\n", items.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracefile_is_what_geninfo_writes() {
        let item = |group, name: &str, hits| Item { group, name: name.to_owned(), hits };
        let items = [
            item(Group::Steps, "started → inactive", 3),
            item(Group::Checks, "io-lost", 0),
            item(Group::Checks, "leak", 9),
        ];
        let lcov = Lcov::new(&items, "out");
        let expected = "TN:steps\nSF:out.steps.txt\nFN:1,started → inactive\nFNDA:3,started → inactive\nFNF:1\nFNH:1\n\
            DA:1,3\nLF:1\nLH:1\nend_of_record\n\
            TN:checks\nSF:out.checks.txt\nFN:1,io-lost\nFN:2,leak\nFNDA:0,io-lost\nFNDA:9,leak\nFNF:2\nFNH:1\n\
            DA:1,0\nDA:2,9\nLF:2\nLH:1\nend_of_record\n";
        assert_eq!(lcov.text, expected);
        let lists: Vec<_> = lcov.lists.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(lists, [("out.steps.txt", "started → inactive\n"), ("out.checks.txt", "io-lost\nleak\n")]);
    }
}
