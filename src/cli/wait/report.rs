//! How a wait ended: the exit code, and the final state as lines for people or as one JSON document.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::board::{Board, Waited};
use super::ending::Cause;
use super::progress::told;
use crate::cli::Exit;
use crate::cli::listing::Output;
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Status, TaskId, Timestamp};
use crate::domain::text::sanitize;
use crate::domain::text::{sanitize_json, span};
use crate::store::json::UrlDocument;

/// Prints the final state on stdout, and on stderr why it is not all that was waited for. `fault` is why the last look failed.
pub(super) fn conclude(
    board: &Board,
    cause: Cause,
    fault: Option<&str>,
    waited: Duration,
    output: Output,
) -> Exit {
    let exit = exit_of(board, cause);
    let text = if output == Output::Programs {
        document(board, exit, waited)
    } else {
        lines(board)
    };
    // Whoever closes the pipe wants the exit code alone.
    let _: io::Result<()> = anstream::stdout().write_all(text.as_bytes());
    if let Some(why) = unfinished(board, cause, waited) {
        let fault = fault.map_or_else(String::new, |fault| {
            format!("; the last look failed: {}", sanitize(fault))
        });
        anstream::eprintln!("ucdn-watch: {why}{fault}");
    }
    exit
}

fn exit_of(board: &Board, cause: Cause) -> Exit {
    match cause {
        Cause::Finished if board.has_failed() => Exit::TaskFailed,
        Cause::Finished => Exit::Done,
        Cause::TimeUp => Exit::TimedOut,
        Cause::Interrupted => Exit::Interrupted,
        Cause::Terminated => Exit::Terminated,
    }
}

/// `time is up after 10 min: 1 task process, 1 never seen`.
fn unfinished(board: &Board, cause: Cause, waited: Duration) -> Option<String> {
    let what = match cause {
        Cause::Finished => return None,
        Cause::TimeUp => "time is up",
        Cause::Interrupted | Cause::Terminated => "interrupted",
    };
    let mut counts: Vec<(String, usize)> = Vec::new();
    for one in board.waited() {
        let status = one
            .task
            .as_ref()
            .map(|task| sanitize(task.status.as_str()).into_owned());
        let status = status.unwrap_or_else(|| "never seen".to_owned());
        match counts.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => counts.push((status, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    Some(format!(
        "{what} after {}: {}",
        span(waited),
        counts.join(", ")
    ))
}

fn lines(board: &Board) -> String {
    let mut text = String::new();
    for waited in board.waited() {
        let id = sanitize(waited.id.as_str());
        let state = match waited.task {
            Some(_) => told(waited),
            None => "never seen".to_owned(),
        };
        let took = took(waited).map_or_else(String::new, |took| format!(", took {}", span(took)));
        // Writing to a string can't fail.
        let _ = writeln!(text, "{id}: {state}{took}");
        for url in failed_urls(waited) {
            let _ = writeln!(text, "  failed: {}", sanitize(url));
        }
    }
    text
}

fn failed_urls(waited: &Waited) -> impl Iterator<Item = &str> {
    let urls = waited.task.iter().flat_map(|task| &task.urls);
    urls.filter(|(_, state)| state.status == Status::Failure)
        .map(|(url, _)| url.as_str())
}

fn took(waited: &Waited) -> Option<Duration> {
    let task = waited.task.as_ref()?;
    let finished = task.finished()?;
    let created = task.created.filter(|created| *created <= finished)?;
    Some(finished.since(created))
}

#[derive(Serialize)]
struct Document<'a> {
    outcome: &'static str,
    waited_seconds: u64,
    tasks: Vec<TaskDocument<'a>>,
}

#[derive(Serialize)]
struct TaskDocument<'a> {
    id: &'a TaskId,
    seen: bool,
    status: Option<&'a Status>,
    r#type: Option<&'a str>,
    created: Option<Timestamp>,
    finished: Option<Timestamp>,
    counts: UrlCounts,
    urls: Vec<UrlDocument<'a>>,
}

fn document(board: &Board, exit: Exit, waited: Duration) -> String {
    let document = Document {
        outcome: match exit {
            Exit::Done => "success",
            Exit::TaskFailed => "failure",
            Exit::TimedOut => "timeout",
            _ => "interrupted",
        },
        waited_seconds: waited.as_secs(),
        tasks: board.waited().iter().map(TaskDocument::of).collect(),
    };
    // Texts, numbers and lists of them can't fail.
    let json = serde_json::to_string_pretty(&document).unwrap_or_default();
    sanitize_json(&json).into_owned() + "\n"
}

impl<'a> TaskDocument<'a> {
    fn of(waited: &'a Waited) -> Self {
        let task = waited.task.as_ref();
        Self {
            id: &waited.id,
            seen: task.is_some(),
            status: task.map(|task| &task.status),
            r#type: task.and_then(|task| task.r#type.as_deref()),
            created: task.and_then(|task| task.created),
            finished: task.and_then(KnownTask::finished),
            counts: task.map(UrlCounts::of).unwrap_or_default(),
            urls: task.map(UrlDocument::all).unwrap_or_default(),
        }
    }
}
