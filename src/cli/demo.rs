//! `ucdn-watch demo`: simulator, daemon and a webhook receiver in one process. It needs no account and removes its files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use ucdn_simulator::{Settings, Simulator};

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::watch::open_state;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Environment, load};
use crate::daemon::{Control, Daemon};
use crate::store::StoreError;
use crate::systemd::SystemdNotifier;

mod delivery;
mod output;
mod receiver;
mod scenario;
mod signature;

use receiver::BoundReceiver;

/// Key of the webhook signatures. It is public because the receiver listens on loopback and ends with the demo.
const SECRET: &str = "known to this demo alone";

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// How long it runs; Ctrl-C ends it earlier
    #[arg(long = "for", value_name = "SPAN", default_value = "30s", value_parser = humantime::parse_duration)]
    span: Duration,
}

pub(super) fn run(arguments: &DemoArgs, context: &CommandContext) -> Result<Exit, Failure> {
    if !context.arguments.verbose {
        // The log on stderr would repeat each event of the output on stdout.
        log::set_max_level(log::LevelFilter::Off);
    }
    let control = Control::new();
    control.install().map_err(failure)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let folder = tempfile::tempdir().map_err(failure)?;
    let simulator = Simulator::start(Settings::default()).map_err(failure)?;
    let receiver = BoundReceiver::bind(SECRET.as_bytes()).map_err(failure)?;

    let text = config_text(&simulator, &receiver, folder.path());
    let config = write_and_load(&folder.path().join("config.toml"), &text)?;
    output::introduce(&shown(&text), arguments.span);
    let receiver = receiver.start(Arc::clone(&clock)).map_err(failure)?;
    scenario::begin(&simulator);
    let daemon = watch(&config, Arc::clone(&clock), control.clone())?;
    scenario::follow(&simulator, &control.stop, arguments.span);
    control.stop.cancel();
    let result = daemon.join();
    let totals = receiver.stop();
    totals.conclude(polls(&simulator), clock.monotonic());
    match result {
        Ok(Ok(())) => Ok(Exit::Success),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(failure("the daemon's thread panicked")),
    }
}

fn failure(error: impl Into<Box<dyn std::error::Error>>) -> Failure {
    Failure {
        exit: Exit::Unreachable,
        error: error.into(),
    }
}

/// A usual config with short intervals.
fn config_text(simulator: &Simulator, receiver: &BoundReceiver, folder: &Path) -> String {
    // A JSON string with its escapes is also a TOML string.
    let quoted = |text: String| Value::String(text).to_string();
    format!(
        "state = {state}

[poll]
interval        = \"1s\"
active_interval = \"500ms\"
stall_after     = \"6s\"
first_run       = \"all\"

[accounts.main]
endpoint    = {endpoint}   # the simulator
public_key  = {public_key}
private_key = {private_key}

[targets.shop]

[webhooks.on-call]   # wakes the on-call person
url    = {on_call}
on     = [\"task.failure\", \"task.url_failure\", \"task.stalled\",
          \"task.vanished\", \"watch.*\"]
secret = {secret}

[webhooks.chat]      # everything else
url    = {chat}
on     = [\"task.wait\", \"task.process\", \"task.success\",
          \"task.unknown\", \"task.progress\"]
secret = {secret}
",
        state = quoted(folder.join("state.db").display().to_string()),
        endpoint = quoted(simulator.endpoint()),
        public_key = quoted(simulator.public_key()),
        private_key = quoted(simulator.private_key()),
        on_call = quoted(receiver.url(receiver::ON_CALL_PATH)),
        chat = quoted(receiver.url("/chat")),
        secret = quoted(SECRET.to_owned()),
    )
}

/// The config without its keys. They are the vendor's published example, but look real.
fn shown(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((name, _)) if name.contains("_key") || name.starts_with("secret") => {
            format!("{name}= \"…\"\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn write_and_load(path: &Path, text: &str) -> Result<Config, Failure> {
    fs::write(path, text).map_err(failure)?;
    // An empty environment, because proxies and paths of the process are not meant for the demo.
    load(path, &Environment::default())
        .map(|loaded| loaded.config)
        .map_err(|errors| Failure {
            exit: Exit::Config,
            error: Box::new(errors),
        })
}

/// Starts the daemon in a thread. If it ends early, it ends the demo.
fn watch(
    config: &Config,
    clock: Arc<dyn Clock>,
    control: Control,
) -> Result<thread::JoinHandle<Result<(), StoreError>>, Failure> {
    let (state, _) = open_state(config, &clock, &control.stop)?;
    let stop = control.stop.clone();
    let daemon = Daemon::new(config, state, clock, control, SystemdNotifier::default())?;
    thread::Builder::new()
        .name("daemon".to_owned())
        .spawn(move || {
            let result = daemon.run(|| None);
            stop.cancel();
            result
        })
        .map_err(failure)
}

/// The number of polls: requests for the first page without `TaskId`.
fn polls(simulator: &Simulator) -> usize {
    let requests = simulator.requests();
    let begins = requests
        .iter()
        .filter(|request| request.task_ids.is_empty() && request.offset == Some(0));
    begins.count()
}

#[cfg(test)]
mod tests;
