//! Builds events from differences and poll results: type, summary and fields. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use super::document::{EventTask, UrlChange, UrlCounts};
use super::draft::EventDraft;
use super::event_type::EventType;
use crate::domain::diff::{Difference, Transition, TransitionKind};
use crate::domain::model::{KnownTask, Status, TargetName, TaskKind, Timestamp};

/// Builds the events of one target at one time.
#[derive(Clone, Copy, Debug)]
pub struct EventBuilder<'a> {
    /// The target.
    pub target: &'a TargetName,
    /// Its kind of tasks.
    pub kind: TaskKind,
    /// The events' time, by the watcher's clock.
    pub time: Timestamp,
}

impl EventBuilder<'_> {
    /// The events of a difference, in order: the transition, then `task.stalled`.
    #[must_use]
    pub fn events_for(&self, difference: &Difference) -> Vec<EventDraft> {
        let task = &difference.task;
        let transition = difference
            .transition
            .as_ref()
            .map(|transition| self.transition(task, transition));
        let stalled = difference.newly_stalled.then(|| self.stalled(task));
        transition.into_iter().chain(stalled).collect()
    }

    /// `task.vanished`: the API no longer lists a task in flight.
    #[must_use]
    pub fn vanished(&self, task: &KnownTask) -> EventDraft {
        let what = format!(
            "vanished: the API no longer shows it; it was last seen in {}",
            quoted(task.status.as_str())
        );
        self.unchanged_task(EventType::TaskVanished, task, &what)
    }

    /// `watch.failing` after this many failed polls in a row.
    #[must_use]
    pub fn failing(&self, failed_polls: u32, reason: &str) -> EventDraft {
        let what = format!("{failed_polls} polls in a row have failed: {reason}");
        self.watch_event(EventType::WatchFailing, &what, reason)
    }

    /// `watch.failing` because the target's stored tasks are lost.
    #[must_use]
    pub fn lost_state(&self, reason: &str) -> EventDraft {
        self.watch_event(EventType::WatchFailing, reason, reason)
    }

    /// `watch.recovered`: a poll succeeded after [`Self::failing`] or [`Self::lost_state`].
    #[must_use]
    pub fn recovered(&self, failed_polls: u32) -> EventDraft {
        let reason = match failed_polls {
            0 => "the target is watched again".to_owned(),
            failed => format!("polls succeed again after {failed} failed ones"),
        };
        self.watch_event(EventType::WatchRecovered, &reason, &reason)
    }

    fn transition(&self, task: &KnownTask, transition: &Transition) -> EventDraft {
        let (r#type, previous) = match &transition.kind {
            TransitionKind::FirstSeen => (EventType::of_status(&task.status), None),
            TransitionKind::Status { previous } => {
                (EventType::of_status(&task.status), Some(previous.clone()))
            }
            TransitionKind::UrlsFailed => (EventType::TaskUrlFailure, Some(task.status.clone())),
            TransitionKind::UrlsChanged => (EventType::TaskProgress, Some(task.status.clone())),
        };
        let what = match r#type {
            EventType::TaskUrlFailure | EventType::TaskProgress => urls_changed(task, transition),
            _ => status_changed(task, previous.as_ref()),
        };
        let changes = transition
            .urls
            .iter()
            .map(|url| UrlChange {
                url: url.url.clone(),
                status: url.state.status.clone(),
                previous_status: url.previous.clone(),
                progress: url.state.progress,
                finished: url.state.finished,
            })
            .collect();
        let reports_end = matches!(r#type, EventType::TaskSuccess | EventType::TaskFailure);
        EventDraft {
            changes,
            took: duration(task).filter(|_| reports_end),
            ..self.task_event(r#type, task, previous, &what)
        }
    }

    fn stalled(&self, task: &KnownTask) -> EventDraft {
        let age = task.created.map(|created| self.time.since(created));
        let what = format!(
            "stalled: still in {}{}",
            quoted(task.status.as_str()),
            age.map_or_else(String::new, |age| format!(
                " {} after it was created",
                humantime::format_duration(age)
            ))
        );
        self.unchanged_task(EventType::TaskStalled, task, &what)
    }

    fn unchanged_task(&self, r#type: EventType, task: &KnownTask, what: &str) -> EventDraft {
        self.task_event(r#type, task, Some(task.status.clone()), what)
    }

    fn task_event(
        &self,
        r#type: EventType,
        task: &KnownTask,
        previous: Option<Status>,
        what: &str,
    ) -> EventDraft {
        EventDraft {
            r#type,
            time: self.time,
            target: self.target.clone(),
            summary: format!(
                "{}: {} task {} {what}",
                self.target,
                self.kind,
                quoted(task.id.as_str())
            ),
            task: Some(EventTask {
                id: task.id.clone(),
                kind: self.kind,
                r#type: task.r#type.clone(),
                status: task.status.clone(),
                previous_status: previous,
                created: task.created,
                urls: UrlCounts::of(task),
            }),
            changes: Vec::new(),
            reason: None,
            took: None,
        }
    }

    fn watch_event(&self, r#type: EventType, what: &str, reason: &str) -> EventDraft {
        EventDraft {
            r#type,
            time: self.time,
            target: self.target.clone(),
            summary: format!("{}: {what}", self.target),
            task: None,
            changes: Vec::new(),
            reason: Some(reason.to_owned()),
            took: None,
        }
    }
}

/// `failed (process → failure) after 6s: 1 of 2 URLs failed`.
fn status_changed(task: &KnownTask, previous: Option<&Status>) -> String {
    let now = quoted(task.status.as_str());
    let mut what = match task.status {
        Status::Wait => "is waiting".to_owned(),
        Status::Process => "is being worked on".to_owned(),
        Status::Success => "succeeded".to_owned(),
        Status::Failure => "failed".to_owned(),
        Status::Other(_) => format!("is in a status that is not known: {now}"),
    };
    match previous {
        Some(previous) => {
            let _ = write!(what, " ({} → {now})", quoted(previous.as_str()));
        }
        None => what.push_str(" (first seen)"),
    }
    if let Some(duration) = duration(task) {
        let _ = write!(what, " after {}", humantime::format_duration(duration));
    }
    let counts = UrlCounts::of(task);
    if counts.failure > 0 {
        let _ = write!(what, ": {} of {} URLs failed", counts.failure, counts.total);
    }
    what
}

fn urls_changed(task: &KnownTask, transition: &Transition) -> String {
    let counts = UrlCounts::of(task);
    let failed = transition
        .urls
        .iter()
        .filter(|url| url.state.status == Status::Failure)
        .count();
    let now = quoted(task.status.as_str());
    if failed > 0 {
        format!(
            "is still in {now}, and {failed} more of its URLs failed: {} of {} in all",
            counts.failure, counts.total
        )
    } else {
        format!(
            "is still in {now}: {} of {} URLs succeeded, {} failed",
            counts.success, counts.total, counts.failure
        )
    }
}

/// From submission to the last URL's end. `None` unless the task is finished and both times are known.
fn duration(task: &KnownTask) -> Option<Duration> {
    let finished = task.urls.values().filter_map(|url| url.finished).max()?;
    let created = task.created.filter(|created| *created <= finished)?;
    task.status.is_finished().then(|| finished.since(created))
}

/// A word from outside: unchanged if it consists of letters, digits and `-_.:`, otherwise quoted and escaped.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("{word:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::diff::{Observation, compare};
    use crate::domain::model::{Absence, Task, TaskId, Url, UrlState};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn builder(target: &TargetName) -> EventBuilder<'_> {
        EventBuilder {
            target,
            kind: TaskKind::Refresh,
            time: at(1_700_000_000),
        }
    }

    /// The contract's own example.
    fn example() -> (KnownTask, Task) {
        let state = |status: &str, progress, finished: Option<i64>| UrlState {
            status: Status::from_word(status),
            progress: Some(progress),
            finished: finished.map(at),
        };
        let known = KnownTask {
            id: TaskId::from("20190121141137_4d8031d5"),
            r#type: Some("file".to_owned()),
            status: Status::Process,
            created: Some(at(1_548_051_097)),
            first_seen: at(1_548_051_098),
            urls: BTreeMap::from([
                (
                    "http://example.com/a.jpg".to_owned(),
                    state("process", 10, None),
                ),
                (
                    "http://example.com/b.jpg".to_owned(),
                    state("success", 100, Some(1_548_051_100)),
                ),
            ]),
            stalled: false,
            absence: Absence::PRESENT,
        };
        let seen = Task {
            id: known.id.clone(),
            r#type: None,
            status: Some(Status::Failure),
            created: known.created,
            urls: vec![Url {
                url: "http://example.com/a.jpg".to_owned(),
                status: Some(Status::Failure),
                progress: Some(40),
                finished: Some(at(1_548_051_103)),
            }],
        };
        (known, seen)
    }

    #[test]
    fn the_contracts_example_reads_as_it_stands_there() {
        let (known, seen) = example();
        let moment = Observation {
            now: at(1_700_000_000),
            api_now: at(1_700_000_000),
            stall_after: Duration::from_secs(600),
        };
        let difference = compare(Some(&known), &seen, moment).unwrap();
        let events = builder(&TargetName::from("shop")).events_for(&difference);
        let [event] = events.as_slice() else {
            panic!("{events:?}")
        };
        let document: serde_json::Value =
            serde_json::from_str(&event.document("evt_1", 1042)).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "version": 1,
                "id": "evt_1",
                "sequence": 1042,
                "type": "task.failure",
                "time": "2023-11-14T22:13:20Z",
                "target": "shop",
                "summary": "shop: refresh task 20190121141137_4d8031d5 failed (process → failure) after 6s: \
                            1 of 2 URLs failed",
                "task": {
                    "id": "20190121141137_4d8031d5", "kind": "refresh", "type": "file",
                    "status": "failure", "previous_status": "process",
                    "created": "2019-01-21T06:11:37Z",
                    "urls": {"total": 2, "success": 1, "failure": 1}
                },
                "changes": [{
                    "url": "http://example.com/a.jpg", "status": "failure", "previous_status": "process",
                    "progress": 40, "finished": "2019-01-21T06:11:43Z"
                }],
                "changes_omitted": 0
            })
        );
    }

    #[test]
    fn a_task_id_that_could_forge_a_line_is_quoted() {
        let (mut known, _) = example();
        known.id = TaskId::from("a\nERROR b");
        let event = builder(&TargetName::from("shop")).vanished(&known);
        assert_eq!(
            event.summary,
            "shop: refresh task \"a\\nERROR b\" vanished: the API no longer shows it; it was last seen in process"
        );
    }
}
