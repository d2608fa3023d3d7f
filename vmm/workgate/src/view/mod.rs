//! `workgate trace`: a run's trace as lines, as JSON lines, as a document for Perfetto and Chrome, or as processor time for flame graphs.

mod chrome;
mod filter;
mod folded;
mod source;

use crate::cli::{TraceArgs, TraceFormat};
use crate::exit::{Exit, Failure};
use chrome::Chrome;
use filter::Filter;
use folded::Folded;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use trace::Event;
use verdict::Names;

/// Prints the trace of a file or of a plan's run.
pub fn view(args: &TraceArgs) -> Result<Exit, Failure> {
    let source = source::open(args)?;
    let filter = Filter::new(args, source.devices())?;
    let out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(File::create(path).map_err(|error| unwritable(Some(path), &error))?),
        None => Box::new(io::stdout()),
    };
    let format = match args.format {
        TraceFormat::Chrome => Format::Chrome(Box::new(Chrome::new(source.devices().clone()))),
        TraceFormat::Text => Format::Text,
        TraceFormat::Json => Format::Json,
        TraceFormat::Folded => Format::Folded(Box::new(folded(args)?)),
    };
    let mut viewer = Viewer {
        filter,
        format,
        names: Names::default(),
        out: BufWriter::with_capacity(1 << 16, out),
        number: 0,
        left: args.limit.unwrap_or(u64::MAX),
        failed: None,
    };
    let end = source.each(&mut |event| viewer.event(event));
    let written = viewer.finish();
    match written {
        // A reader that has gone (`workgate trace … | head`) is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(unwritable(args.out.as_deref(), &error))
        }
        _ => end.map(|()| Exit::Held),
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
