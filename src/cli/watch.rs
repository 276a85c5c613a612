//! The default command: watch until a signal, or poll once with `--once`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::stdio::print_until;
use crate::clock::{CancelToken, Clock, SystemClock};
use crate::config::{Config, StateLocation};
use crate::daemon::once::{self, OnceError, OnceReport};
use crate::daemon::{Control, Daemon, SetupError, StoreHandles};
use crate::domain::text::sanitize;
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::postgres::{self, PostgresQueries};
use crate::store::sqlite::{self, DataLoss, SqliteQueries};
use crate::systemd::SystemdNotifier;

/// The arguments of the default command.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// Poll every target once, send due deliveries, print one line per target, and exit
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &WatchArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_config()?;
    let control = Control::new();
    control.install().map_err(|error| Failure {
        exit: Exit::IoError,
        error: format!("signal handlers can't be installed: {error}").into(),
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (state, loss) = open_state(&config, &clock, &control.stop)?;
    let reason = loss.map(|loss| loss.to_string());
    if let Some(reason) = &reason {
        log::error!("{reason}");
    }
    if arguments.once {
        let report = once::run(&config, &state, &clock, &control, reason.as_deref())?;
        print_until(&summary(&report).into(), &control.stop)?;
        return Ok(exit_of(&report));
    }
    let systemd = SystemdNotifier::of(&context.environment);
    let daemon = Daemon::new(&config, state, clock, control, systemd)?;
    if let Some(reason) = reason {
        daemon.report_lost_state(&reason)?;
    }
    daemon.run(|| reload_config(context, &config))?;
    Ok(Exit::Success)
}

/// Opens the state of the config, to read and to write.
#[cfg_attr(
    not(feature = "postgres"),
    expect(
        unused_variables,
        reason = "only a PostgreSQL state needs a clock that waits"
    )
)]
pub(super) fn open_state(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stop: &CancelToken,
) -> Result<(StoreHandles, Option<DataLoss>), StoreError> {
    match &config.state {
        StateLocation::File(path) => {
            let opened = sqlite::open(path, clock.now())?;
            let state = StoreHandles {
                store: Arc::new(opened.store),
                queries: Arc::new(SqliteQueries::open(path)?),
            };
            Ok((state, opened.loss))
        }
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            let state = StoreHandles {
                store: Arc::new(postgres::open(address, Arc::clone(clock), stop)?),
                queries: Arc::new(PostgresQueries::open(address, clock, stop)?),
            };
            Ok((state, None))
        }
    }
}

/// Reads the config again. Logs the errors of an invalid config and returns `None`.
fn reload_config(context: &CommandContext, running: &Config) -> Option<Config> {
    match context.read_config(&context.config_path()) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                log::warn!("{warning}");
            }
            if loaded.config.state != running.state {
                log::warn!("`state` was changed: the new one takes effect at the next start");
            }
            Some(loaded.config)
        }
        Err(failure) => {
            for line in failure.error.to_string().lines() {
                log::error!("{line}");
            }
            log::error!("the config was not reloaded: the old one stays in effect");
            None
        }
    }
}

fn summary(report: &OnceReport) -> String {
    let mut lines = String::new();
    for (name, poll) in &report.polls {
        let counts = format!(
            "{} tasks seen, {} in flight, {} events, {} newly failed",
            poll.tasks_seen, poll.in_flight, poll.events, poll.newly_failed
        );
        let line = match &poll.result {
            Ok(()) => format!("{name}: polled: {counts}"),
            Err(error) => format!("{name}: not polled: {error} ({counts})"),
        };
        // Writing to a string can't fail.
        let _ = writeln!(lines, "{}", sanitize(&line));
    }
    for name in &report.owned_elsewhere {
        let _ = writeln!(lines, "{name}: not polled: another instance owns it");
    }
    for name in &report.unfinished {
        let _ = writeln!(lines, "{name}: the poll did not finish; the log says why");
    }
    lines
}

/// If several codes apply: first the state, then an incomplete run, then failed tasks.
fn exit_of(report: &OnceReport) -> Exit {
    let state_failed = report.polls.iter().any(|(_, poll)| poll.has_state_failed())
        || report
            .deliveries
            .iter()
            .any(|(_, drained)| drained.is_err())
        || report.backlog.is_err();
    let not_polled = report.was_stopped
        || !report.owned_elsewhere.is_empty()
        || !report.unfinished.is_empty()
        || report.polls.iter().any(|(_, poll)| poll.result.is_err());
    let given_up = report
        .deliveries
        .iter()
        .any(|(_, drained)| drained.as_ref().is_ok_and(|drained| drained.dead > 0));
    let is_pending = report
        .backlog
        .as_ref()
        .is_ok_and(|backlog| backlog.iter().any(|one| one.pending > 0));
    if state_failed {
        Exit::IoError
    } else if not_polled || is_pending || given_up {
        Exit::Incomplete
    } else if report.polls.iter().any(|(_, poll)| poll.newly_failed > 0) {
        Exit::TaskFailed
    } else {
        Exit::Success
    }
}

impl From<OnceError> for Failure {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::Setup(error) => error.into(),
            OnceError::Store(error) => error.into(),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self {
            exit: Exit::Config,
            error: error.into(),
        }
    }
}
