//! `ucdn-watch simulate`.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::clock::{CancelToken, Notify};
use crate::daemon::signals;
use ucdn_simulator::{
    CONTROL_HELP, DcdnRule, Fault, LimitRule, Options, Order, Place, Script, Settings, Shift,
    Simulator, TaskIdRule, TaskSpec, TotalCount, Unit, WindowField,
};

/// The arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = CONTROL_HELP)]
pub(super) struct SimulateArgs {
    /// Where to listen; loopback only. Port 0: any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// The public key to know [default: the vendor's published example]
    #[arg(long, value_name = "KEY", requires = "private_key")]
    public_key: Option<String>,
    /// Its private key [default: the vendor's published example]
    #[arg(long, value_name = "KEY", requires = "public_key")]
    private_key: Option<String>,
    /// A `SecurityToken` to know, for those who send one
    #[arg(long, value_name = "TOKEN")]
    security_token: Option<String>,
    /// Begin with this many finished tasks, one created each second until now; every tenth failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    tasks: u32,
    /// Set any option of the control API, as NAME=JSON or NAME=WORD (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = option)]
    set: Vec<(String, Value)>,
    /// Add a fault, in the control API's JSON (repeatable)
    #[arg(long, value_name = "JSON", value_parser = fault)]
    fault: Vec<Fault>,
    #[command(flatten)]
    questions: Questions,
}

/// The vendor's main open questions.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Open questions")]
struct Questions {
    /// What `TotalCount` counts
    #[arg(long, value_enum, default_value = "tasks")]
    total_count: TotalCount,
    /// What `Offset` and `Limit` count
    #[arg(long, value_enum, default_value = "tasks")]
    unit: Unit,
    /// Never list more entries than this
    #[arg(long, value_name = "N", conflicts_with = "ignore_limit")]
    max_limit: Option<usize>,
    /// List everything from `Offset` on, whatever `Limit` is
    #[arg(long)]
    ignore_limit: bool,
    /// The order of the list
    #[arg(long, value_enum, default_value = "newest")]
    order: Order,
    /// Which time the window is about
    #[arg(long, value_enum, default_value = "created")]
    window_field: WindowField,
    /// Whether `TaskId` looks beyond the window
    #[arg(long, value_enum, default_value = "overrides_window")]
    task_id: TaskIdRule,
    /// Which tasks `IsDcdn` lists
    #[arg(long, value_enum, default_value = "separate")]
    dcdn: DcdnRule,
    /// Insert this many tasks after each list request
    #[arg(long, value_name = "N")]
    insert: Option<usize>,
    /// Remove this many tasks after each list request
    #[arg(long, value_name = "N")]
    remove: Option<usize>,
    /// Where in the list they are inserted and removed
    #[arg(long, value_enum, default_value = "front")]
    shift_at: Place,
}

impl Questions {
    fn options(&self) -> Options {
        let limit = match self.max_limit {
            Some(most) => LimitRule::Clamped(most),
            None if self.ignore_limit => LimitRule::Ignored,
            None => LimitRule::Honoured,
        };
        let shift = |count: usize| Shift {
            count,
            at: self.shift_at,
            times: None,
        };
        Options {
            total_count: self.total_count,
            unit: self.unit,
            limit,
            order: self.order,
            window_field: self.window_field,
            task_id: self.task_id,
            dcdn: self.dcdn,
            inserts: self.insert.map(shift),
            removals: self.remove.map(shift),
            ..Options::default()
        }
    }
}

/// Here too, and not only in the simulator: it is wrong usage.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected ADDRESS:PORT".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the simulator listens on loopback only: use 127.0.0.1 or [::1]".to_owned())
    }
}

fn option(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    // Here, so that a wrong name or value is wrong usage.
    Options::default()
        .with(Map::from_iter([(name.to_owned(), value.clone())]))
        .map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value))
}

fn fault(text: &str) -> Result<Fault, serde_json::Error> {
    serde_json::from_str(text)
}

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(arguments: &SimulateArgs, _context: &Context) -> Result<Exit, Failure> {
    // First of all: a signal right after the first line of output must end it well.
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
    let set = arguments.set.iter().cloned().collect();
    let options = arguments.questions.options().with(set).map_err(failure)?;
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

/// A block of config, ready to paste.
fn announce(simulator: &Simulator) {
    // A string of JSON, escapes and all, is one of TOML.
    let quoted = Value::String;
    let block = format!(
        "# The simulator listens. For the config:\n[accounts.simulator]\nendpoint    = {}\npublic_key  = {}\nprivate_key = {}\n",
        quoted(simulator.endpoint()),
        quoted(simulator.public_key()),
        quoted(simulator.private_key()),
    );
    let mut output = anstream::stdout();
    // Nobody has to read it: it runs on with a closed standard output.
    let _ = output.write_all(block.as_bytes());
    let _ = output.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

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
    fn without_flags_the_options_are_the_defaults() {
        assert_eq!(options(&[]), Options::default());
    }

    #[test]
    fn flags_answer_the_open_questions() {
        let options = options(&[
            "--unit=urls",
            "--max-limit=20",
            "--insert=2",
            "--shift-at=back",
        ]);
        assert_eq!(options.unit, Unit::Urls);
        assert_eq!(options.limit, LimitRule::Clamped(20));
        let inserts = options.inserts.unwrap();
        assert_eq!((inserts.count, inserts.at), (2, Place::Back));
    }

    #[test]
    fn any_option_can_be_set_by_word_or_json() {
        let set = options(&["--set=key_case=lower", r#"--set=date={"skewed":-90}"#]);
        assert_eq!(set.key_case, ucdn_simulator::KeyCase::Lower);
        assert_eq!(set.date, ucdn_simulator::DateHeader::Skewed(-90));
    }

    #[test]
    fn wrong_words_are_wrong_usage() {
        for wrong in [
            "--set=key_case=odd",
            "--set=unheard=1",
            "--listen=0.0.0.0:0",
            "--listen=example.com:80",
            "--fault={}",
            "--public-key=alone",
        ] {
            assert!(
                Line::try_parse_from(["simulate", wrong]).is_err(),
                "{wrong}"
            );
        }
    }
}
