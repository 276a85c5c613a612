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
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if arguments.shell == Shell::Bash {
        script = repair_bash(&script);
    }
    print(&script)?;
    Ok(Exit::Success)
}

/// Makes the script's labels match. `clap_complete` 4.6 writes the hyphen of the program's name as `__` where it sets `cmd`, and as
/// `__subcmd__` where it branches on it, so that no subcommand would be completed.
fn repair_bash(script: &str) -> String {
    script.replace("ucdn__subcmd__watch", "ucdn__watch")
}
