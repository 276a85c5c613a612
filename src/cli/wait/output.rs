//! Result of `wait`: exit code, explanation, and each task's final status as text or one JSON document. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::tracked_tasks::{TrackedTask, TrackedTasks};
use crate::cli::exit::Exit;
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Status, TaskId, Timestamp};
use crate::domain::text::{sanitize, sanitize_json, span};
use crate::store::json::UrlDocument;

/// Why the wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndReason {
    /// All tasks have finished, or with `--fail-fast` one has failed.
    Finished,
    /// The API has not listed a task in time.
    NeverListed,
    /// `--timeout`.
    TimedOut,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// How the wait ended.
#[derive(Debug)]
pub(super) struct WaitOutcome<'a> {
    pub(super) tasks: &'a TrackedTasks,
    pub(super) reason: EndReason,
    /// Why the last lookup failed. `None` if it succeeded.
    pub(super) last_error: Option<&'a str>,
    pub(super) waited: Duration,
}

impl WaitOutcome<'_> {
    pub(super) fn exit(&self) -> Exit {
        match self.reason {
            EndReason::Interrupted => Exit::Interrupted,
            EndReason::Terminated => Exit::Terminated,
            _ if self.tasks.has_failed() => Exit::TaskFailed,
            EndReason::Finished => Exit::Success,
            EndReason::NeverListed => Exit::NeverListed,
            EndReason::TimedOut => Exit::TimedOut,
        }
    }

    /// Why the wait ended early, with the hint what to check. `None` if it did not.
    ///
    /// `timed out after 10 min: 1 task process, 1 never listed`.
    pub(super) fn explanation(&self) -> Option<String> {
        let what = match self.reason {
            EndReason::Finished => return None,
            EndReason::NeverListed => "gave up",
            EndReason::TimedOut => "timed out",
            EndReason::Interrupted | EndReason::Terminated => "interrupted",
        };
        let mut counts: Vec<(String, usize)> = Vec::new();
        for one in self.tasks.as_slice() {
            let status = one
                .task
                .as_ref()
                .map(|task| sanitize(task.status.as_str()).into_owned());
            let status = status.unwrap_or_else(|| "never listed".to_owned());
            match counts.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += 1,
                None => counts.push((status, 1)),
            }
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let mut text = format!("{what} after {}: {}", span(self.waited), counts.join(", "));
        if let Some(error) = self.last_error {
            let _ = write!(text, "; the last request failed: {}", sanitize(error));
        } else if self.tasks.has_unlisted() {
            text.push_str(
                "; check the task id, --prefetch, --project-id, --dcdn and the endpoint of the account",
            );
        }
        Some(text)
    }

    /// One line per task, and one per failed URL.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for tracked in self.tasks.as_slice() {
            let id = sanitize(tracked.id.as_str());
            let status = match tracked.task {
                Some(_) => tracked.summary(),
                None => "never listed".to_owned(),
            };
            let took =
                took(tracked).map_or_else(String::new, |took| format!(", took {}", span(took)));
            // Writing to a string can't fail.
            let _ = writeln!(text, "{id}: {status}{took}");
            for url in failed_urls(tracked) {
                let _ = writeln!(text, "  failed: {}", sanitize(url));
            }
        }
        text
    }

    /// One document. Ends in a newline.
    pub(super) fn json(&self) -> String {
        let document = WaitDocument {
            outcome: match self.exit() {
                Exit::Success => "success",
                Exit::TaskFailed => "failure",
                Exit::NeverListed => "not_listed",
                Exit::TimedOut => "timeout",
                _ => "interrupted",
            },
            waited_seconds: self.waited.as_secs(),
            tasks: self
                .tasks
                .as_slice()
                .iter()
                .map(TrackedTaskDocument::of)
                .collect(),
        };
        // Texts, numbers and lists of them can't fail.
        let json = serde_json::to_string_pretty(&document).unwrap_or_default();
        sanitize_json(&json).into_owned() + "\n"
    }
}

fn failed_urls(tracked: &TrackedTask) -> impl Iterator<Item = &str> {
    let urls = tracked.task.iter().flat_map(|task| &task.urls);
    urls.filter(|(_, state)| state.status == Status::Failure)
        .map(|(url, _)| url.as_str())
}

fn took(tracked: &TrackedTask) -> Option<Duration> {
    let task = tracked.task.as_ref()?;
    let finished = task.finished()?;
    let created = task.created.filter(|created| *created <= finished)?;
    Some(finished.since(created))
}

#[derive(Serialize)]
struct WaitDocument<'a> {
    outcome: &'static str,
    waited_seconds: u64,
    tasks: Vec<TrackedTaskDocument<'a>>,
}

#[derive(Serialize)]
struct TrackedTaskDocument<'a> {
    id: &'a TaskId,
    seen: bool,
    status: Option<&'a Status>,
    r#type: Option<&'a str>,
    created: Option<Timestamp>,
    finished: Option<Timestamp>,
    counts: UrlCounts,
    urls: Vec<UrlDocument<'a>>,
}

impl<'a> TrackedTaskDocument<'a> {
    fn of(tracked: &'a TrackedTask) -> Self {
        let task = tracked.task.as_ref();
        Self {
            id: &tracked.id,
            seen: task.is_some(),
            status: task.map(|task| &task.status),
            r#type: task.and_then(|task| task.r#type.as_deref()),
            created: task.and_then(|task| task.created),
            finished: task.and_then(KnownTask::finished),
            counts: tracked.counts(),
            urls: task.map(UrlDocument::all).unwrap_or_default(),
        }
    }
}
