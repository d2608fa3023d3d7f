//! `workgate trace --follow`: the trace of a machine that runs, as it comes.

use super::Viewer;
use crate::cli::{TraceArgs, TraceFormat};
use crate::control::{Client, read_event};
use crate::exit::{Exit, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// From one look to the next, once everything was read.
const PAUSE: Duration = Duration::from_millis(20);

/// Shows events until the machine ends, or as many as are wanted.
pub fn follow(args: &TraceArgs) -> Result<Exit, Failure> {
    if matches!(args.format, TraceFormat::Chrome | TraceFormat::Folded) {
        return Err(Failure::request("--follow tells events as they come; expected --format text or json"));
    }
    let mut client = Client::connect(&args.file)?;
    let devices = devices(&client.ask("x-workgate-devices", json!({}))?);
    let begin = client.ask("x-workgate-trace", json!({}))?;
    let viewer = Viewer::new(args, devices)?;
    let mut following = Following { viewer, next: begin["next"].as_u64().unwrap_or(1), lost: 0 };
    events(&begin["names"]).for_each(|event| following.viewer.learn(&event));
    let mut is_wanted = true;
    while is_wanted {
        let mut rest = Vec::new();
        let mut hear = |message: &Value| {
            if message["event"] == "X_WORKGATE_TRACE" {
                rest.push(message["data"].clone());
            }
        };
        let arguments = json!({"since": following.next});
        let Some(batch) = client.ask_or_end("x-workgate-trace", &arguments, &mut hear)? else {
            // What came between the last look and the end.
            rest.iter().take_while(|batch| following.take(batch)).for_each(drop);
            break;
        };
        is_wanted = following.take(&batch);
        if batch["waiting"] == 0 {
            std::thread::sleep(PAUSE);
        }
    }
    if following.lost > 0 {
        eprintln!("workgate: {} events came faster than they were read, and are not shown", following.lost);
    }
    super::ended(following.viewer.finish(), args.out.as_deref()).map(|()| Exit::Held)
}

struct Following {
    viewer: Viewer,
    /// Number of the first event that was not seen yet.
    next: u64,
    lost: u64,
}

impl Following {
    /// Shows what is new of a batch; false if nothing more is wanted.
    fn take(&mut self, batch: &Value) -> bool {
        let first = batch["first"].as_u64().unwrap_or(self.next);
        self.lost += first.saturating_sub(self.next);
        let mut is_wanted = true;
        for (number, event) in
            (first..).zip(events(&batch["events"])).filter(|(number, _)| *number >= self.next)
        {
            self.viewer.number = number - 1;
            is_wanted = is_wanted && self.viewer.event(&event);
        }
        self.next = self.next.max(batch["next"].as_u64().unwrap_or(0));
        is_wanted && self.viewer.flush()
    }
}

fn events(records: &Value) -> impl Iterator<Item = trace::Event> {
    records.as_array().into_iter().flatten().filter_map(|record| read_event(record.as_str()?))
}

/// Names of devices, by slot.
fn devices(list: &Value) -> BTreeMap<u32, String> {
    let device = |device: &Value| {
        let slot = u32::try_from(device["slot"].as_u64()?).ok()?;
        Some((slot, device["id"].as_str()?.to_owned()))
    };
    list.as_array().into_iter().flatten().filter_map(device).collect()
}
