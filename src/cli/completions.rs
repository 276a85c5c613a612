//! `ucdn-watch completions`: prints a completion script, generated from the command line's definition.

use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::stdio::print;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
For bash: ucdn-watch completions bash >/usr/share/bash-completion/completions/ucdn-watch")]
pub(super) struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(
    arguments: &CompletionsArgs,
    mut command: clap::Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "ucdn-watch", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
