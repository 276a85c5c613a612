//! `ucdn-watch wait`: asks the API until tasks are finished. What a deploy script calls; needs no state, and no config
//! where the environment has the keys.

use std::sync::Arc;
use std::time::Duration;

use super::api::AskError;
use super::listing::JsonFlag;
use super::{Context, Exit, Failure};
use crate::clock::{Clock, SystemClock, Woken};
use crate::domain::model::TaskId;
use crate::domain::schedule::poll_delay;
use crate::domain::text::sanitize;
use crate::ucdn::client::ApiClient;
use crate::ucdn::error::{ErrorKind, RetryClass};

mod board;
mod ending;
mod inquiry;
mod progress;
mod report;
mod source;

use board::Board;
use ending::{Cause, Ending};
use inquiry::Inquiry;
use progress::Progress;
use source::SourceArguments;

const MORE_HELP: &str = "\
Keys: with a config (-c, $UCDN_WATCH_CONFIG or --target) those of the target's account. Else, where they are set, \
those in the variables UCDN_PUBLIC_KEY and UCDN_PRIVATE_KEY (and UCDN_SECURITY_TOKEN, of temporary credentials).

Exit codes: 0 all succeeded; 1 a task or one of its URLs failed; 69 the API refuses us; 124 the time is up, and what \
was seen is told; 130 after SIGINT, 143 after SIGTERM.

JSON: {outcome, waited_seconds, tasks: [{id, seen, status, type, created, finished, counts: {total, success, failure}, \
urls: [{url, status, progress, finished}]}]}. outcome is success, failure, timeout or interrupted.";

/// The arguments of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(super) struct Arguments {
    /// The tasks to wait for, as the API called them when they were submitted
    #[arg(required = true)]
    task_id: Vec<String>,
    /// How long at the most
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Between two looks
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    json: JsonFlag,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) {
        return Err("expected at least 100ms".to_owned());
    }
    Ok(interval)
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let source = arguments.source.find(context)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let ending = Ending::default();
    let client = ApiClient::new(&source.account, Arc::clone(&clock), ending.stop.clone())
        .map_err(|error| refused(&AskError::Client(error)))?;
    let client = Arc::new(client);
    ending
        .watch(&client, arguments.timeout)
        .map_err(|error| Failure {
            exit: Exit::State,
            error: format!("signals can't be received: {error}").into(),
        })?;
    let ids = arguments.task_id.iter().cloned().map(TaskId);
    let mut waiting = Waiting {
        board: Board::new(ids, clock.now()),
        inquiry: Inquiry::new(&client, source.list, source.page_size, &*clock),
        progress: Progress::start(context, &*clock),
        interval: arguments.interval,
        clock: &*clock,
        fault: None,
    };
    let result = waiting.run(&ending);
    waiting.progress.end();
    let cause = result.map_err(|error| refused(&error))?;
    Ok(report::conclude(
        &waiting.board,
        cause,
        waiting.fault.as_deref(),
        clock.monotonic(),
        arguments.json.output(),
    ))
}

fn refused(error: &AskError) -> Failure {
    Failure {
        exit: Exit::Unreachable,
        error: error.to_string().into(),
    }
}

/// What went wrong, without the id that each request has of its own: a fault that goes on is told once.
fn fault_of(error: &AskError) -> String {
    match error {
        AskError::Api { error } => error.kind.to_string(),
        other => other.to_string(),
    }
}

/// The wait itself.
struct Waiting<'a> {
    board: Board,
    inquiry: Inquiry<'a>,
    progress: Progress<'a>,
    interval: Duration,
    clock: &'a dyn Clock,
    /// Why the last look failed.
    fault: Option<String>,
}

impl Waiting<'_> {
    /// Looks until all are finished or there is another cause to end. An error: it won't pass by itself.
    fn run(&mut self, ending: &Ending) -> Result<Cause, AskError> {
        let mut failures: u32 = 0;
        loop {
            let result = self.inquiry.look(&mut self.board, self.clock.now());
            self.progress.show(&self.board.take_changes(), &self.board);
            let pause = match result {
                Ok(()) if self.board.is_finished() => return Ok(Cause::Finished),
                Ok(()) => {
                    failures = 0;
                    self.recovered();
                    self.interval
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.pause_after(error, failures)?
                }
            };
            if ending.stop.sleep(pause) == Woken::Stopped {
                return Ok(ending.cause());
            }
        }
    }

    /// How long to wait after a fault that may pass.
    fn pause_after(&mut self, error: AskError, failures: u32) -> Result<Duration, AskError> {
        let mut least = Duration::ZERO;
        if let AskError::Api { error: api } = &error {
            if matches!(api.kind, ErrorKind::Stopped) {
                return Ok(Duration::ZERO);
            }
            if api.retry_class() == RetryClass::Operator {
                return Err(error);
            }
            least = api.retry_after.unwrap_or_default();
        }
        let fault = fault_of(&error);
        if self.fault.as_ref() != Some(&fault) {
            self.progress
                .remark(&format!("will ask again: {}", sanitize(&error.to_string())));
        }
        self.fault = Some(fault);
        Ok(poll_delay(self.interval, self.interval, failures, fastrand::f64()).max(least))
    }

    fn recovered(&mut self) {
        if self.fault.take().is_some() {
            self.progress.remark("the API answers again");
        }
    }
}
