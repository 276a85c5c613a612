//! `ucdn-watch completions`: what a shell needs to complete commands and options, made from the command line itself.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::Exit;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
For bash, for instance: ucdn-watch completions bash >/usr/share/bash-completion/completions/ucdn-watch")]
pub(super) struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "ucdn-watch", &mut script);
    // Whoever closes the pipe has read enough.
    let _: io::Result<()> = io::stdout().write_all(&script);
    Exit::Done
}
