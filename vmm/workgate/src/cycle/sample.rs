//! What each pass left behind, as one row of figures a pass.

use super::follow::{Figures, Taken};
use std::collections::BTreeMap;
use trace::Counted;

/// Figures with a series of their own; those of further names are left out.
const MAX_FIGURES: usize = 1024;

/// What a figure is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// Instances of a class.
    Instances,
    /// Objects of the kernel's own, and what is open.
    Objects,
    /// Bytes of memory.
    Bytes,
    /// Nanoseconds.
    Time,
}

/// A figure that is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure {
    /// What it is a number of.
    pub sort: Sort,
    /// Whose.
    pub name: String,
}

impl Figure {
    fn new(sort: Sort, name: &str) -> Self {
        Self { sort, name: name.to_owned() }
    }

    /// How it is called in sentences.
    pub fn told(&self) -> String {
        let name = &self.name;
        match self.sort {
            Sort::Instances => format!("class {name}"),
            Sort::Objects | Sort::Time => name.clone(),
            Sort::Bytes => format!("wired memory ({name})"),
        }
    }
}

/// A pass that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its number, from 1.
    pub pass: u64,
    /// Plan time of its beginning, ns.
    pub at: u64,
    /// From there until all loads were at work, ns.
    pub up: u64,
    /// From when it was told to go until it was gone, ns.
    pub down: u64,
    /// Requests that came back, and how long they took.
    pub requests: Taken,
    /// Providers that are open behind it.
    pub open: u64,
    /// The census behind it.
    pub figures: Figures,
}

impl Sample {
    /// Every figure of it.
    fn all(&self) -> impl Iterator<Item = (Figure, u64)> + '_ {
        let own = [
            (Sort::Objects, "open handles", self.open),
            (Sort::Time, "time to come up", self.up),
            (Sort::Time, "time to go", self.down),
            (Sort::Time, "request latency p50", self.requests.half),
            (Sort::Time, "request latency p99", self.requests.p99),
        ];
        let own = own.into_iter().map(|(sort, name, value)| (Figure::new(sort, name), value));
        own.chain(self.figures.iter().map(|((counted, name), value)| {
            let sort = match counted {
                Counted::Instances => Sort::Instances,
                Counted::Objects => Sort::Objects,
                Counted::Bytes => Sort::Bytes,
            };
            (Figure::new(sort, name), *value)
        }))
    }
}

/// The figures of all passes.
#[derive(Clone, Debug, Default)]
pub struct Series {
    passes: usize,
    figures: BTreeMap<Figure, Vec<u64>>,
}

impl Series {
    /// Adds a pass.
    pub fn push(&mut self, sample: &Sample) {
        for (figure, value) in sample.all() {
            if self.figures.len() >= MAX_FIGURES && !self.figures.contains_key(&figure) {
                continue;
            }
            // A class that had no instance before was not counted.
            let values = self.figures.entry(figure).or_default();
            values.resize(self.passes, 0);
            values.push(value);
        }
        self.passes += 1;
        self.figures.values_mut().for_each(|values| values.resize(self.passes, 0));
    }

    /// Passes.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Every figure and its values, one a pass.
    pub fn all(&self) -> impl Iterator<Item = (&Figure, &[u64])> {
        self.figures.iter().map(|(figure, values)| (figure, values.as_slice()))
    }

    /// Everything, as comma-separated values (RFC 4180): a column a figure, a line a pass.
    pub fn csv(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let names = self.figures.keys().map(|figure| quoted(&figure.told()));
        let mut out = std::iter::once("pass".to_owned()).chain(names).collect::<Vec<_>>().join(",");
        out.push_str("\r\n");
        for pass in 0..self.passes {
            out.push_str(&(pass + 1).to_string());
            for values in self.figures.values() {
                out.push(',');
                out.push_str(&values[pass].to_string());
            }
            out.push_str("\r\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pass: u64, classes: &[(&str, u64)]) -> Sample {
        let figure = |(name, n): &(&str, u64)| ((Counted::Instances, (*name).to_owned()), *n);
        let figures = classes.iter().map(figure).collect();
        Sample { pass, at: 0, up: 5, down: 6, requests: Taken::default(), open: 2, figures }
    }

    #[test]
    fn a_class_that_comes_late_had_no_instances_before() {
        let mut series = Series::default();
        series.push(&sample(1, &[("A", 1)]));
        series.push(&sample(2, &[("A", 1), ("B,\"", 4)]));
        series.push(&sample(3, &[("B,\"", 5)]));
        let values = |name: &str| -> Vec<u64> {
            series.all().find(|(figure, _)| figure.name == name).expect("it is watched").1.to_vec()
        };
        assert_eq!((values("A"), values("B,\"")), (vec![1, 1, 0], vec![0, 4, 5]));
        let csv = series.csv();
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert!(lines[0].starts_with("pass,\"class A\",\"class B,\"\"\",\"open handles\""), "{csv}");
        assert!(lines[3].starts_with("3,0,5,2,"), "{csv}");
        assert_eq!(lines.len(), 5, "three passes, a head, and the end of the last line");
    }
}
