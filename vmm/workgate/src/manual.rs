//! `workgate completions` and `workgate man`: made from the same words as the command line itself.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};
use clap::CommandFactory;

/// Prints the completion script of a shell.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "workgate", &mut script);
    crate::output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Held)
}

/// Writes `workgate.1` and a page for each command.
pub fn pages(args: &ManArgs) -> Result<Exit, Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::request(format_args!("cannot write {}: {error}", args.folder.display()))
    };
    std::fs::create_dir_all(&args.folder).map_err(unwritable)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(unwritable)?;
    Ok(Exit::Held)
}
