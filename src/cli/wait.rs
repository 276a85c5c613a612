//! `ucdn-watch wait`: queries the API until tasks finish. Needs no state, and no config if the environment has the keys.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::api::ApiCallError;
use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::listing::{JsonArg, OutputFormat};
use super::stdio::{note, print};
use crate::clock::{CancelToken, Clock, SystemClock, Woken};
use crate::daemon::signals;
use crate::domain::model::TaskId;
use crate::domain::schedule::poll_delay;
use crate::domain::text::{is_unsafe, sanitize};
use crate::ucdn::client::{ApiClient, ListApi};
use crate::ucdn::error::{ErrorKind, RetryClass};

mod credentials;
mod lookup;
mod output;
mod progress;
mod tracked_tasks;

use credentials::CredentialArgs;
use lookup::Lookup;
use output::{EndReason, WaitOutcome};
use progress::WaitProgress;
use tracked_tasks::TrackedTasks;

const MORE_HELP: &str = "\
Keys: with a config (-c, $UCDN_WATCH_CONFIG or --target), those of the target's account. Otherwise those in the variables \
UCDN_PUBLIC_KEY and UCDN_PRIVATE_KEY (and UCDN_SECURITY_TOKEN for temporary credentials).

Exit codes: 0 all tasks succeeded; 1 a task or URL failed; 66 a task never appeared in the list (wrong id, kind, project or \
endpoint); 69 the API refuses the request; 124 timeout, with each task's last status; 130 SIGINT; 143 SIGTERM.

JSON: {outcome, waited_seconds, tasks: [{id, seen, status, type, created, finished, counts: {total, success, failure}, \
urls: [{url, status, progress, finished}]}]}. outcome is success, failure, not_listed, timeout or interrupted.";

/// The arguments of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(super) struct WaitArgs {
    /// Task ids, as the API returned them on submission
    #[arg(required = true, value_parser = task_id)]
    task_id: Vec<TaskId>,
    /// Longest time to wait
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Time after which a task that the API has never listed ends the wait
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    appear_timeout: Duration,
    /// Time between two requests
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
    interval: Duration,
    /// End at the first task or URL that failed
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// Refuses what no submission returns: the API would never list it, and the wait would only time out.
fn task_id(text: &str) -> Result<TaskId, String> {
    let why = if text.trim().is_empty() {
        "it is empty"
    } else if text.contains(|it: char| it.is_whitespace() || is_unsafe(it)) {
        "it contains white space or control characters"
    } else if text.contains(',') {
        "it contains a comma; separate task ids by blanks"
    } else if text.contains(['"', '\'', '`']) {
        "it contains quotes; with jq use `-r`"
    } else if ["null", "none", "nil", "undefined"].contains(&text.to_ascii_lowercase().as_str()) {
        "the answer to the submission had no task id"
    } else {
        return Ok(text.into());
    };
    Err(format!(
        "not a task id: {why}; check that the submission succeeded"
    ))
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) {
        return Err("expected at least 100ms".to_owned());
    }
    Ok(interval)
}

pub(super) fn run(arguments: &WaitArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let source = arguments.credentials.resolve(context)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let deadline = Deadline::default();
    let client = ApiClient::new(&source.account, Arc::clone(&clock), deadline.cancel.clone())
        .map_err(|error| call_failed(&ApiCallError::Client(error)))?;
    let client = Arc::new(client);
    deadline
        .start(&client, arguments.timeout)
        .map_err(|error| Failure::new(Exit::IoError, format!("can't handle signals: {error}")))?;
    let mut waiting = WaitRun {
        tasks: TrackedTasks::new(arguments.task_id.iter().cloned(), clock.now()),
        lookup: Lookup::new(&client, source.list, source.page_size, &*clock),
        progress: WaitProgress::start(context, &*clock),
        arguments,
        clock: &*clock,
        last_error: None,
        is_complete: false,
    };
    let result = waiting.run(&deadline);
    waiting.progress.end();
    let reason = result.map_err(|error| call_failed(&error))?;
    let outcome = WaitOutcome {
        tasks: &waiting.tasks,
        reason,
        last_error: waiting.last_error.as_deref(),
        waited: clock.monotonic(),
    };
    if let Some(why) = outcome.explanation() {
        note(&format!("ucdn-watch: {why}"));
    }
    print(&match arguments.json.format() {
        OutputFormat::Json => outcome.json(),
        OutputFormat::Text => outcome.text(),
    })?;
    Ok(outcome.exit())
}

fn call_failed(error: &ApiCallError) -> Failure {
    Failure::new(Exit::Unreachable, error.to_string())
}

/// The error without the request's own id, so that an ongoing one is reported once.
fn error_kind(error: &ApiCallError) -> String {
    match error {
        ApiCallError::Api { error } => error.kind.to_string(),
        other => other.to_string(),
    }
}

/// The loop of `wait`.
struct WaitRun<'a> {
    tasks: TrackedTasks,
    lookup: Lookup<'a>,
    progress: WaitProgress<'a>,
    arguments: &'a WaitArgs,
    clock: &'a dyn Clock,
    /// Why the last lookup failed.
    last_error: Option<String>,
    /// Whether a lookup has read the API's whole answer, so that a task without a status is known not to be listed.
    is_complete: bool,
}

impl WaitRun<'_> {
    /// Looks the tasks up until there is a reason to end. Returns an error if retrying can't help.
    fn run(&mut self, deadline: &Deadline) -> Result<EndReason, ApiCallError> {
        let mut failures: u32 = 0;
        loop {
            let result = self.lookup.update(&mut self.tasks, self.clock.now());
            self.progress.show(&self.tasks.take_changes(), &self.tasks);
            let pause = match result {
                Ok(()) => {
                    failures = 0;
                    self.is_complete = true;
                    self.clear_error();
                    self.arguments.interval
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.pause_after(error, failures)?
                }
            };
            if let Some(reason) = self.end_reason() {
                return Ok(reason);
            }
            if deadline.cancel.sleep(pause) == Woken::Stopped {
                return Ok(match deadline.reason() {
                    EndReason::TimedOut if self.is_complete && self.tasks.has_unlisted() => {
                        EndReason::NeverListed
                    }
                    reason => reason,
                });
            }
        }
    }

    fn end_reason(&self) -> Option<EndReason> {
        let is_failed = self.arguments.fail_fast && self.tasks.has_failed();
        let is_overdue = self.clock.monotonic() >= self.arguments.appear_timeout;
        if self.tasks.is_finished() || is_failed {
            Some(EndReason::Finished)
        } else if self.last_error.is_none() && is_overdue && self.tasks.has_unlisted() {
            Some(EndReason::NeverListed)
        } else {
            None
        }
    }

    /// The backoff after an error that may pass.
    fn pause_after(
        &mut self,
        error: ApiCallError,
        failures: u32,
    ) -> Result<Duration, ApiCallError> {
        let mut least = Duration::ZERO;
        if let ApiCallError::Api { error: api } = &error {
            if matches!(api.kind, ErrorKind::Stopped) {
                return Ok(Duration::ZERO);
            }
            if api.retry_class() == RetryClass::Operator {
                return Err(error);
            }
            least = api.retry_after.unwrap_or_default();
        }
        let kind = error_kind(&error);
        if self.last_error.as_ref() != Some(&kind) {
            let error = error.to_string();
            self.progress
                .remark(&format!("request failed, retrying: {}", sanitize(&error)));
        }
        self.last_error = Some(kind);
        let interval = self.arguments.interval;
        Ok(poll_delay(interval, interval, failures, fastrand::f64()).max(least))
    }

    fn clear_error(&mut self) {
        if self.last_error.take().is_some() {
            self.progress.remark("the API answers again");
        }
    }
}

/// No signal's number.
const TIMEOUT: i32 = 0;

/// The timeout and the signals that end a wait. They cancel the pause and the request in progress.
#[derive(Clone, Debug, Default)]
struct Deadline {
    cancel: CancelToken,
    /// The signal received, or [`TIMEOUT`].
    cause: Arc<AtomicI32>,
}

impl Deadline {
    /// Starts the timer and handles signals. A second signal ends the process at once.
    fn start(&self, client: &Arc<ApiClient>, timeout: Duration) -> io::Result<()> {
        let (deadline, aborted) = (self.clone(), Arc::clone(client));
        signals::install(&[SIGTERM, SIGINT], move |signal| {
            deadline.end(signal, &aborted);
        })?;
        let (deadline, aborted) = (self.clone(), Arc::clone(client));
        thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || {
                if deadline.cancel.sleep(timeout) == Woken::TimedOut {
                    deadline.end(TIMEOUT, &aborted);
                }
            })?;
        Ok(())
    }

    /// Why the wait was cancelled.
    fn reason(&self) -> EndReason {
        match self.cause.load(Ordering::SeqCst) {
            SIGINT => EndReason::Interrupted,
            SIGTERM => EndReason::Terminated,
            _ => EndReason::TimedOut,
        }
    }

    /// The first cause wins.
    fn end(&self, cause: i32, client: &ApiClient) {
        if !self.cancel.is_cancelled() {
            self.cause.store(cause, Ordering::SeqCst);
        }
        self.cancel.cancel();
        client.shut_down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_no_submission_returns_is_no_task_id() {
        for id in [
            "20190121141137_4d8031d5",
            "T-1",
            "任务",
            "a/b?c=d&e",
            "nullable",
        ] {
            assert_eq!(task_id(id), Ok(id.into()));
        }
        for text in [
            "",
            " ",
            "\t",
            "a b",
            " a",
            "a\n",
            "\u{a0}",
            "\u{200b}a",
            "a,b",
            "\"a\"",
            "'a'",
            "null",
            "NULL",
            "None",
            "undefined",
            "a\u{202e}b",
        ] {
            let error = task_id(text).unwrap_err();
            assert!(error.starts_with("not a task id: "), "{text:?}: {error}");
        }
    }
}
