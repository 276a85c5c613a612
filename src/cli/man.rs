//! `ucdn-watch man`: the manual pages. Section 1 is made from the command line, section 5 from the example config, so
//! that neither can say anything else than these.

use std::io::{self, Write};

use clap::{CommandFactory, ValueEnum};
use clap_mangen::Man;

use super::{Exit, Failure};

mod config_page;
mod roff;

/// Defines the apostrophe for every formatter.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

const SOURCE: &str = concat!("ucdn-watch ", env!("CARGO_PKG_VERSION"));

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "To read one at once: ucdn-watch man | man -l -")]
pub(super) struct Arguments {
    /// Which page: 1, the program and its commands; 5, the config file
    #[arg(value_enum, default_value = "1")]
    section: Section,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    #[value(name = "1")]
    Program,
    #[value(name = "5")]
    Config,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let page = match arguments.section {
        Section::Program => program_page().map_err(|error| Failure {
            exit: Exit::Unreachable,
            error: error.into(),
        })?,
        Section::Config => config_page::page(),
    };
    // Whoever closes the pipe has read enough.
    let _: io::Result<()> = io::stdout().write_all(page.as_bytes());
    Ok(Exit::Done)
}

/// The whole program in one page, a section a command.
fn program_page() -> io::Result<String> {
    let mut command = super::Arguments::command();
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .source(SOURCE)
        .manual("User commands");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut page = format!("{PREAMBLE}{}", text(page));
    for command in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        page.push_str(&command_section(command, "ucdn-watch")?);
    }
    page.push_str(roff::REST_OF_PROGRAM_PAGE);
    Ok(page)
}

/// A command with its options, and below it its own commands.
fn command_section(command: &clap::Command, before: &str) -> io::Result<String> {
    let name = format!("{before} {}", command.get_name());
    let own = command
        .clone()
        .display_name(name.clone())
        .bin_name(name.clone());
    // What all commands take stands above, once.
    let own = own.mut_args(|argument| {
        let is_shared = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(is_shared)
    });
    let man = Man::new(own);
    let mut body = Vec::new();
    man.render_synopsis_section(&mut body)?;
    man.render_description_section(&mut body)?;
    man.render_options_section(&mut body)?;
    if let Some(more) = command.get_after_long_help() {
        body.extend_from_slice(roff::section("NOTES").as_bytes());
        body.extend_from_slice(roff::paragraphs(&more.to_string()).as_bytes());
    }
    let body = text(body).replace("\n.SH ", "\n.SS ");
    let body = body
        .strip_prefix(".SH ")
        .map_or_else(|| body.clone(), |rest| format!(".SS {rest}"));
    let mut page = roff::section(&name.to_uppercase());
    page.push_str(&body);
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        page.push_str(&command_section(below, &name)?);
    }
    Ok(page)
}

/// Each part that the library renders begins with the same preamble: the page has it once.
fn text(page: Vec<u8>) -> String {
    let page = String::from_utf8(page).unwrap_or_default();
    page.replace(PREAMBLE, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &clap::Command, page: &str) {
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(page.contains(&format!("--{long}")), "no --{long}");
            }
        }
        for below in command
            .get_subcommands()
            .filter(|one| one.get_name() != "help")
        {
            let name = below.get_name().to_uppercase();
            assert!(page.contains(&format!("{name}\"\n")), "no {name}");
            check(below, page);
        }
    }

    #[test]
    fn the_programs_page_tells_of_every_command_and_option() {
        let page = program_page().unwrap().replace("\\-", "-");
        let mut command = crate::cli::Arguments::command();
        command.build();
        check(&command, &page);
        for code in [0, 1, 2, 69, 74, 75, 78, 124, 130, 143] {
            assert!(
                page.contains(&format!("\n.TP\n\\fB{code}\\fR\n")),
                "no exit {code}"
            );
        }
    }
}
