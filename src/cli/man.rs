//! `ucdn-watch man`: manual pages, generated so that they can't differ from the program: section 1 from the command line's
//! definition, section 5 from the example config.

use clap::ValueEnum;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};

use super::exit::{Exit, Failure};
use super::stdio::print;

mod config_page;

/// An empty argument of a request. The library would leave it out and shift those behind it.
const NO_DATE: &str = "\"\"";

const SOURCE: &str = concat!("ucdn-watch ", env!("CARGO_PKG_VERSION"));

/// Exit codes and their meaning.
const EXIT_STATUS: [(&str, &str); 11] = [
    (
        "0",
        "Success. With --once: every target was polled, nothing newly failed, every due delivery was made.",
    ),
    (
        "1",
        "With --once: a task or URL newly failed. wait: a task failed.",
    ),
    ("2", "Wrong usage."),
    (
        "66",
        "wait: a task never appeared in the list (wrong id, kind, project or endpoint).",
    ),
    (
        "69",
        "The API or a webhook is unreachable, or the API refuses the request.",
    ),
    (
        "74",
        "The state can't be opened, read or written, another instance holds it, or stdout can't be written.",
    ),
    (
        "75",
        "With --once: a target could not be polled, or a delivery is still due or was given up.",
    ),
    ("78", "The config is wrong."),
    ("124", "wait timed out."),
    ("130", "SIGINT."),
    ("143", "SIGTERM."),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("UCDN_WATCH_CONFIG", "The config file."),
    (
        "UCDN_PUBLIC_KEY, UCDN_PRIVATE_KEY, UCDN_SECURITY_TOKEN",
        "The keys of wait without a config.",
    ),
    ("NO_COLOR", "If set, output has no colour."),
    (
        "STATE_DIRECTORY, CREDENTIALS_DIRECTORY, NOTIFY_SOCKET, JOURNAL_STREAM",
        "As systemd sets them.",
    ),
];

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "To read a page at once: ucdn-watch man | man -l -")]
pub(super) struct ManArgs {
    /// 1: the program and its commands; 5: the config file
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

pub(super) fn run(arguments: &ManArgs, command: clap::Command) -> Result<Exit, Failure> {
    let page = match arguments.section {
        Section::Program => program_page(command),
        Section::Config => config_page::page(NO_DATE, SOURCE),
    };
    print(&page)?;
    Ok(Exit::Success)
}

/// The page of the whole program, with one section per command.
fn program_page(mut command: clap::Command) -> String {
    command.build();
    let man = Man::new(command.clone())
        .date(NO_DATE)
        .source(SOURCE)
        .manual("User commands");
    let mut page = Roff::new().render();
    page.push_str(&rendered(|out| {
        man.render_title(out)?;
        man.render_name_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)
    }));
    for command in own_subcommands(&command) {
        page.push_str(&command_sections(command, "ucdn-watch"));
    }
    page.push_str(&without_preamble(&closing_sections().render()));
    page
}

fn own_subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
}

/// The section of a command, followed by those of its subcommands.
fn command_sections(command: &clap::Command, parent: &str) -> String {
    let name = format!("{parent} {}", command.get_name());
    let own = command
        .clone()
        .display_name(name.clone())
        .bin_name(name.clone());
    // Global options are listed once, at the top of the page.
    let own = own.mut_args(|argument| {
        let is_shared = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(is_shared)
    });
    let man = Man::new(own);
    let mut body = rendered(|out| {
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)
    });
    if let Some(more) = command.get_after_long_help() {
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]);
        for paragraph in more.to_string().split("\n\n") {
            notes.control("PP", []).text([roman(paragraph.trim())]);
        }
        body.push_str(&without_preamble(&notes.render()));
    }
    // Below the command's own section, its parts are subsections.
    let body = format!("\n{body}").replace("\n.SH ", "\n.SS ");
    let mut heading = Roff::new();
    heading.control("SH", [name.to_uppercase().replace('-', "\\-").as_str()]);
    let mut page = without_preamble(&heading.render());
    page.push_str(body.trim_start_matches('\n'));
    for command in own_subcommands(command) {
        page.push_str(&command_sections(command, &name));
    }
    page
}

/// What no argument says.
fn closing_sections() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_STATUS {
        entry(&mut page, bold(code), meaning);
    }
    page.control("PP", []).text([roman(
        "If several apply: 78, 74, 75, 1. For wait: 1, 66, 124.",
    )]);
    page.control("SH", ["SIGNALS"]).text([roman(
        "SIGTERM and SIGINT stop a watcher within 2 seconds; a second signal stops it at once. SIGHUP reloads the config; if it \
         is invalid, the running config stays in effect.",
    )]);
    page.control("SH", ["FILES"]);
    entry(
        &mut page,
        italic("/etc/ucdn-watch/config.toml"),
        "The config, unless --config or UCDN_WATCH_CONFIG names another one: see ucdn-watch(5).",
    );
    page.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        entry(&mut page, bold(name), meaning);
    }
    page.control("SH", ["SEE ALSO"])
        .text([bold("ucdn-watch"), roman("(5)")]);
    page
}

fn entry(page: &mut Roff, name: Inline, meaning: &str) {
    page.control("TP", []).text([name]).text([roman(meaning)]);
}

/// What `clap_mangen` writes, without the preamble that each of its parts begins with.
fn rendered(render: impl Fn(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    // Writing to a vector can't fail.
    let _ = render(&mut page);
    without_preamble(&String::from_utf8_lossy(&page))
}

/// A page begins with one preamble, which defines the apostrophe for each formatter.
fn without_preamble(page: &str) -> String {
    page.replace(&Roff::new().render(), "")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn check(command: &clap::Command, page: &str) {
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(page.contains(&format!("--{long}")), "no --{long}");
            }
        }
        for command in own_subcommands(command) {
            let name = command.get_name().to_uppercase();
            assert!(page.contains(&format!("{name}\"\n")), "no {name}");
            check(command, page);
        }
    }

    #[test]
    fn the_programs_page_has_each_command_option_and_exit_code() {
        let page = program_page(Cli::command()).replace("\\-", "-");
        let mut command = Cli::command();
        command.build();
        check(&command, &page);
        for (code, _) in EXIT_STATUS {
            assert!(
                page.contains(&format!("\n.TP\n\\fB{code}\\fR\n")),
                "no exit {code}"
            );
        }
        assert_eq!(page.matches(".ds Aq").count(), 2, "one preamble");
    }
}
