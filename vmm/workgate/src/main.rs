//! Workgate: a test bench for device drivers.
//!
//! The command line of the bench: it reads plans, picks a machine, runs, and tells what was found. Exit
//! status: 0 all expectations held; 1 a bug was found; 2 the request is wrong; 3 this host cannot do it.
#![forbid(unsafe_code)]

mod bench;
mod books;
mod boot;
mod bundles;
mod cli;
mod collect;
mod console;
mod control;
mod cycle;
mod devices_list;
mod doctor;
mod exit;
mod find;
mod load;
mod machine;
mod manual;
mod output;
mod places;
mod progress;
mod report;
mod run;
mod script;
mod stacks;
mod timeline;
mod top;
mod view;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Boot(args) => boot::boot(&args),
        cli::Command::Explore(args) => find::explore(&args),
        cli::Command::Fuzz(args) => find::fuzz(&args),
        cli::Command::Cycle(args) => cycle::cycle(&args),
        cli::Command::Merge(args) => find::merge(&args),
        cli::Command::Shrink(args) => find::shrink(&args),
        cli::Command::Replay(args) => find::replay(&args),
        cli::Command::Trace(args) => view::view(&args),
        cli::Command::Ioreg(args) => control::ioreg(&args),
        cli::Command::Classcount(args) => control::classcount(&args),
        cli::Command::Top(args) => top::top(&args),
        cli::Command::Stacks(args) => stacks::stacks(&args),
        cli::Command::Image(args) => stacks::image(&args),
        cli::Command::Completions(args) => manual::completions(&args),
        cli::Command::Man(args) => manual::pages(&args),
        cli::Command::Plan(args) => load::plan(&args.script_file, &args.script)
            .and_then(|plan| output::print(&plan.to_string()))
            .map(|()| exit::Exit::Held),
        cli::Command::Bundles(args) => bundles::bundles(&args),
        cli::Command::Devices(args) => devices_list::devices(&args),
        cli::Command::Doctor(args) => doctor::doctor(&args),
        cli::Command::Bench(args) => bench::bench(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{}", failure.message.trim_end());
            failure.exit.into()
        }
    }
}
