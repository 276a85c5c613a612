//! `ucdn-watch simulate`: runs the simulator until a signal.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use ucdn_simulator::{Fault, MANUAL, Options, Script, Settings, Simulator, TaskSpec};

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use crate::clock::{CancelToken, Notify};
use crate::daemon::signals;

/// Names only the flags of this command, so that the help fits a page. Those of all commands are in `ucdn-watch --help`.
const HELP_TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

  --fault FAULT     add a fault (repeatable)
  --tasks N         begin with N finished tasks, every tenth failed [default: 0]
  --listen ADDR     loopback address [default: 127.0.0.1:0, a free port]
  --public-key KEY --private-key KEY --security-token TOKEN
                    what to accept [default: the vendor's published example]

{after-help}";

/// The arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = MANUAL, help_template = HELP_TEMPLATE)]
pub(super) struct SimulateArgs {
    /// Options, see below
    #[arg(value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<String>,
    /// Add a fault, see below (repeatable)
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Begin with N finished tasks, one per second of age; every tenth failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    tasks: u32,
    /// Loopback address; port 0 stands for a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Accepted public key [default: the vendor's published example]
    #[arg(long, value_name = "KEY", requires = "private_key")]
    public_key: Option<String>,
    /// Its private key [default: the vendor's published example]
    #[arg(long, value_name = "KEY", requires = "public_key")]
    private_key: Option<String>,
    /// Accepted `SecurityToken`
    #[arg(long, value_name = "TOKEN")]
    security_token: Option<String>,
}

/// Checked here, too, so that a wrong address is a usage error.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected ADDRESS:PORT".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not a loopback address; use 127.0.0.1 or [::1]".to_owned())
    }
}

/// Checked here, so that a wrong option is a usage error.
fn option(text: &str) -> Result<String, ucdn_simulator::NotationError> {
    text.parse::<Options>().map(|_| text.to_owned())
}

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(arguments: &SimulateArgs, _context: &CommandContext) -> Result<Exit, Failure> {
    // Before the first output, so that a signal after it ends the process with status 0.
    let stop = CancelToken::default();
    let stopped = stop.clone();
    signals::install(&[SIGINT, SIGTERM], move |_| stop.cancel()).map_err(failure)?;
    let simulator = Simulator::start(settings(arguments)?).map_err(failure)?;
    for fault in &arguments.fault {
        simulator.add_fault(fault.clone());
    }
    add_tasks(&simulator, arguments.tasks);
    announce(&simulator);
    Notify::new(&stopped).wait(None);
    Ok(Exit::Success)
}

fn failure(error: impl Into<Box<dyn std::error::Error>>) -> Failure {
    Failure {
        exit: Exit::Unreachable,
        error: error.into(),
    }
}

fn settings(arguments: &SimulateArgs) -> Result<Settings, Failure> {
    let options = arguments.options.join(" ").parse().map_err(failure)?;
    let defaults = Settings::default();
    let or = |given: &Option<String>, default| given.clone().unwrap_or(default);
    Ok(Settings {
        listen: arguments.listen,
        public_key: or(&arguments.public_key, defaults.public_key),
        private_key: or(&arguments.private_key, defaults.private_key),
        options,
        security_token: arguments.security_token.clone(),
    })
}

fn add_tasks(simulator: &Simulator, count: u32) {
    let now = simulator.now_seconds();
    for age in (0..count).rev() {
        let urls = ["a", "b"].map(|name| format!("http://example.com/{age}/{name}"));
        let script = Script::new();
        let script = if age % 10 == 9 {
            script.failure(&[1])
        } else {
            script.success()
        };
        let spec = TaskSpec::new(urls.iter().map(String::as_str), script);
        simulator.add_task(spec.created_at(now - i64::from(age)));
    }
}

/// Prints endpoint and keys as a config table.
fn announce(simulator: &Simulator) {
    // A JSON string with its escapes is also a TOML string.
    let quoted = Value::String;
    let block = format!(
        "# The simulator listens. For the config:\n[accounts.simulator]\nendpoint    = {}\npublic_key  = {}\nprivate_key = {}\n",
        quoted(simulator.endpoint()),
        quoted(simulator.public_key()),
        quoted(simulator.private_key()),
    );
    let mut output = anstream::stdout();
    // A closed standard output does not stop the simulator.
    let _ = output.write_all(block.as_bytes());
    let _ = output.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use ucdn_simulator::{DateHeader, KeyCase, LimitRule, Place, Unit};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: SimulateArgs,
    }

    fn options(line: &[&str]) -> Options {
        let line = Line::try_parse_from([&["simulate"], line].concat()).unwrap();
        settings(&line.arguments).unwrap().options
    }

    #[test]
    fn without_arguments_the_options_are_the_defaults() {
        assert_eq!(options(&[]), Options::default());
    }

    #[test]
    fn arguments_set_options() {
        let options = options(&[
            "unit=urls",
            "limit=20",
            "inserts=2@back",
            "key-case=lower date=-90",
        ]);
        assert_eq!(options.unit, Unit::Urls);
        assert_eq!(options.limit, LimitRule::Clamped(20));
        assert_eq!(
            (options.inserts.count, options.inserts.at),
            (2, Place::Back)
        );
        assert_eq!(options.key_case, KeyCase::Lower);
        assert_eq!(options.date, DateHeader::Skewed(-90));
    }

    #[test]
    fn a_wrong_word_is_a_usage_error() {
        for wrong in [
            "key-case=odd",
            "unheard=1",
            "--listen=0.0.0.0:0",
            "--listen=example.com:80",
            "--fault=explode",
            "--public-key=alone",
        ] {
            assert!(
                Line::try_parse_from(["simulate", wrong]).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_help_fits_a_page() {
        let mut command = Line::command();
        let help = command.render_long_help().to_string();
        assert!(
            help.lines().count() <= 50,
            "{}: {help}",
            help.lines().count()
        );
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let flags = command.get_arguments().filter_map(clap::Arg::get_long);
        for flag in flags.filter(|flag| *flag != "help") {
            assert!(help.contains(&format!("--{flag} ")), "{flag}");
        }
    }
}
