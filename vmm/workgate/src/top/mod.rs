//! `workgate top`: a live view of a machine that runs with `--control`.
//!
//! One thread asks the machine, which may take its time; another has the terminal and its keys, and draws what came last.

mod model;
mod picture;
mod sample;
mod view;

use crate::cli::TopArgs;
use crate::control::Client;
use crate::exit::{Exit, Failure};
use crate::output;
use model::{Model, Order};
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};
use sample::Sample;
use serde_json::json;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(50);

/// Shows what a machine does.
pub fn top(args: &TopArgs) -> Result<Exit, Failure> {
    let mut client = Client::connect(&args.socket)?;
    let first = ask(&mut client)?;
    if args.once || args.svg.is_some() || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal()
    {
        return once(args, &first);
    }
    let answers = follow(client, args.interval());
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::host(format_args!("cannot use the terminal: {error}")))?;
    let ended = live(&mut terminal, first, &answers);
    ratatui::restore();
    if let Some(why) = ended? {
        output::println(why.message.trim_start_matches("workgate: "))?;
    }
    Ok(Exit::Held)
}

fn ask(client: &mut Client) -> Result<Sample, Failure> {
    Sample::read(client.ask("x-workgate-top", json!({}))?)
}

/// One sample, as text or as a picture.
fn once(args: &TopArgs, sample: &Sample) -> Result<Exit, Failure> {
    let model = Model::new(None, sample, Order::Cpu);
    let drawn = drawn(&model, args.columns)?;
    match &args.svg {
        Some(file) => crate::find::bug::write_whole(file, &picture::svg(&drawn))?,
        None => output::print(&picture::text(&drawn))?,
    }
    Ok(Exit::Held)
}

/// What a terminal of so many columns would show, with room for all.
fn drawn(model: &Model, columns: u16) -> Result<Buffer, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::host(format_args!("cannot draw: {error}"));
    let size = (columns, view::height(model));
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).map_err(|error| failed(&error))?;
    terminal.draw(|frame| view::draw(frame, model)).map_err(|error| failed(&error))?;
    Ok(terminal.backend().buffer().clone())
}

/// Asks again and again, on a thread of its own. It ends with the first failure, or when nobody listens any more.
fn follow(mut client: Client, interval: Duration) -> Receiver<Result<Sample, Failure>> {
    let (sender, answers) = sync_channel(2);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(interval);
            let answer = ask(&mut client);
            let last = answer.is_err();
            if sender.send(answer).is_err() || last {
                return;
            }
        }
    });
    answers
}

/// Draws until somebody quits (`None`), or the machine is gone: why.
fn live(
    terminal: &mut DefaultTerminal,
    first: Sample,
    answers: &Receiver<Result<Sample, Failure>>,
) -> Result<Option<Failure>, Failure> {
    let failed = |error: std::io::Error| Failure::host(format_args!("cannot use the terminal: {error}"));
    let (mut before, mut now, mut order) = (None, first, Order::default());
    loop {
        let model = Model::new(before.as_ref(), &now, order);
        terminal.draw(|frame| view::draw(frame, &model)).map_err(failed)?;
        if event::poll(KEYS).map_err(failed)? {
            match event::read().map_err(failed)? {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(None),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(None),
                    KeyCode::Char('s') => order = order.next(),
                    _ => {}
                },
                _ => {}
            }
        }
        match answers.try_recv() {
            // A machine that stands still has nothing new to tell.
            Ok(Ok(sample)) if sample.time != now.time => before = Some(std::mem::replace(&mut now, sample)),
            Ok(Ok(_)) | Err(TryRecvError::Empty) => {}
            Ok(Err(failure)) => return Ok(Some(failure)),
            Err(TryRecvError::Disconnected) => return Ok(None),
        }
    }
}
