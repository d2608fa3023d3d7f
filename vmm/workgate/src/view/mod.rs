//! `workgate trace`: a run's trace as lines, as JSON lines, as a document for Perfetto and Chrome, or as processor time for flame graphs.

mod chrome;
mod filter;
mod folded;
mod follow;
mod source;

use crate::cli::{TraceArgs, TraceFormat};
use crate::exit::{Exit, Failure};
use chrome::Chrome;
use filter::Filter;
use folded::Folded;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use trace::Event;
use verdict::Names;

/// Prints the trace of a file or of a plan's run.
pub fn view(args: &TraceArgs) -> Result<Exit, Failure> {
    if args.follow {
        return follow::follow(args);
    }
    let source = source::open(args)?;
    let mut viewer = Viewer::new(args, source.devices().clone())?;
    let end = source.each(&mut |event| viewer.event(event));
    ended(viewer.finish(), args.out.as_deref())?;
    end.map(|()| Exit::Held)
}

/// A reader that has gone (`workgate trace … | head`) is no error.
fn ended(written: io::Result<()>, out: Option<&Path>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(out, &error)),
        _ => Ok(()),
    }
}

fn unwritable(path: Option<&Path>, error: &io::Error) -> Failure {
    match path {
        Some(path) => Failure::request(format_args!("cannot write {}: {error}", path.display())),
        None => Failure::host(format_args!("cannot write to the standard output: {error}")),
    }
}

enum Format {
    Text,
    Json,
    Chrome(Box<Chrome>),
    Folded(Box<Folded>),
}

/// Processor time, of which threads, CPUs and moments may be asked for.
fn folded(args: &TraceArgs) -> Result<Folded, Failure> {
    let word = match args {
        TraceArgs { device, .. } if !device.is_empty() => "--device",
        TraceArgs { kind, .. } if !kind.is_empty() => "--kind",
        TraceArgs { limit: Some(_), .. } => "--limit",
        _ => return Ok(Folded::default()),
    };
    Err(Failure::request(format_args!(
        "{word} picks events, and --format folded tells times; expected --thread, --cpu, --from or --to"
    )))
}

struct Viewer {
    filter: Filter,
    format: Format,
    names: Names,
    out: BufWriter<Box<dyn Write>>,
    number: u64,
    left: u64,
    failed: Option<io::Error>,
}

impl Viewer {
    /// As the command line wants it; `devices` are the names by slot.
    fn new(args: &TraceArgs, devices: BTreeMap<u32, String>) -> Result<Self, Failure> {
        let filter = Filter::new(args, &devices)?;
        let out: Box<dyn Write> = match &args.out {
            Some(path) => Box::new(File::create(path).map_err(|error| unwritable(Some(path), &error))?),
            None => Box::new(io::stdout()),
        };
        let format = match args.format {
            TraceFormat::Chrome => Format::Chrome(Box::new(Chrome::new(devices))),
            TraceFormat::Text => Format::Text,
            TraceFormat::Json => Format::Json,
            TraceFormat::Folded => Format::Folded(Box::new(folded(args)?)),
        };
        Ok(Self {
            filter,
            format,
            names: Names::default(),
            out: BufWriter::with_capacity(1 << 16, out),
            number: 0,
            left: args.limit.unwrap_or(u64::MAX),
            failed: None,
        })
    }

    /// Learns names from an event that is not shown.
    fn learn(&mut self, event: &Event) {
        self.names.event(event);
    }

    /// Shows what is written so far; false once nobody takes it.
    fn flush(&mut self) -> bool {
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
        self.failed.is_none()
    }

    /// Shows the event if it is wanted; false once nothing more is.
    fn event(&mut self, event: &Event) -> bool {
        self.number += 1;
        self.names.event(event);
        if let Format::Chrome(chrome) = &mut self.format {
            chrome.learn(event);
        }
        let wanted = self.filter.wants(event, &self.names);
        if let Format::Folded(folded) = &mut self.format {
            folded.event(event, &self.names, wanted);
        } else if wanted {
            self.left -= 1;
            self.failed = self.show(event).err();
        }
        self.left > 0 && self.failed.is_none()
    }

    fn show(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.format {
            Format::Text => writeln!(self.out, "{:>8} {}", self.number, self.names.full_line(event)),
            Format::Json => {
                let line = json!({
                    "number": self.number, "time": event.time, "plan_time": self.names.plan_time(event.time),
                    "kind": event.kind.word(), "cpu": event.cpu, "thread": event.thread, "object": event.object,
                    "other": event.other, "slot": event.slot, "arg": event.arg, "text": event.text_str(),
                    "line": self.names.line(event),
                });
                writeln!(self.out, "{line}")
            }
            Format::Chrome(chrome) => chrome.event(event, &self.names, &mut self.out),
            // It is told at the end.
            Format::Folded(_) => Ok(()),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match &mut self.format {
            Format::Chrome(chrome) => chrome.finish(&mut self.out)?,
            Format::Folded(folded) => folded.finish(&mut self.out)?,
            Format::Text | Format::Json => {}
        }
        self.out.flush()
    }
}
