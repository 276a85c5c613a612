//! The tasks that `wait` waits for, and what the API has shown of each. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use crate::domain::diff::{Observation, compare};
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Task, TaskId, Timestamp, UrlState};
use crate::domain::text::sanitize;

/// All tasks of one `wait`, in the order of its arguments.
#[derive(Debug)]
pub(super) struct TrackedTasks {
    tasks: Vec<TrackedTask>,
    started: Timestamp,
}

/// One task to wait for.
#[derive(Debug)]
pub(super) struct TrackedTask {
    pub(super) id: TaskId,
    /// `None` if the API has not listed it yet.
    pub(super) task: Option<KnownTask>,
    /// Whether something changed since the last [`TrackedTasks::take_changes`].
    changed: bool,
}

impl TrackedTasks {
    /// No task is listed yet. An id that is given twice is one task.
    pub(super) fn new(ids: impl IntoIterator<Item = TaskId>, started: Timestamp) -> Self {
        let mut tasks: Vec<TrackedTask> = Vec::new();
        for id in ids {
            if !tasks.iter().any(|one| one.id == id) {
                tasks.push(TrackedTask {
                    id,
                    task: None,
                    changed: true,
                });
            }
        }
        Self { tasks, started }
    }

    pub(super) fn as_slice(&self) -> &[TrackedTask] {
        &self.tasks
    }

    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|one| one.id.clone()).collect()
    }

    /// Applies what the API shows of a task. Other tasks are ignored.
    pub(super) fn apply(&mut self, seen: &Task, now: Timestamp) {
        let Some(tracked) = self.tasks.iter_mut().find(|one| one.id == seen.id) else {
            return;
        };
        let observation = Observation {
            now,
            api_now: now,
            stall_after: Duration::MAX,
        };
        if let Some(difference) = compare(tracked.task.as_ref(), seen, observation) {
            tracked.task = Some(difference.task);
            tracked.changed = true;
        }
    }

    /// Whether this task is one of them.
    pub(super) fn contains(&self, id: &TaskId) -> bool {
        self.tasks.iter().any(|one| one.id == *id)
    }

    /// The tasks that changed since the last call. The first call returns all.
    pub(super) fn take_changes(&mut self) -> Vec<TaskId> {
        let changed = self.tasks.iter_mut().filter(|one| one.changed);
        changed
            .map(|one| {
                one.changed = false;
                one.id.clone()
            })
            .collect()
    }

    /// Whether all tasks have finished.
    pub(super) fn is_finished(&self) -> bool {
        self.tasks.iter().all(TrackedTask::is_finished)
    }

    /// Whether a task has not been listed yet.
    pub(super) fn has_unlisted(&self) -> bool {
        self.tasks.iter().any(|one| one.task.is_none())
    }

    /// Whether a task or URL has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.tasks.iter().any(TrackedTask::has_failed)
    }

    /// Progress of all tasks, 0 to 100. 100 only if all are finished.
    pub(super) fn percent(&self) -> u64 {
        let sum: u64 = self.tasks.iter().map(TrackedTask::percent).sum();
        let count = u64::try_from(self.tasks.len()).unwrap_or(u64::MAX).max(1);
        let percent = sum / count;
        if self.is_finished() {
            100
        } else {
            percent.min(99)
        }
    }

    /// The earliest known submission time, at most the start of the wait.
    pub(super) fn oldest(&self) -> Timestamp {
        let created = self
            .tasks
            .iter()
            .filter_map(|one| one.task.as_ref()?.created);
        created
            .min()
            .map_or(self.started, |oldest| oldest.min(self.started))
    }
}

impl TrackedTask {
    pub(super) fn is_finished(&self) -> bool {
        self.task
            .as_ref()
            .is_some_and(|task| task.status.is_finished())
    }

    pub(super) fn has_failed(&self) -> bool {
        self.task.as_ref().is_some_and(KnownTask::has_failed)
    }

    /// Counts of its URLs. All 0 if it is not listed yet.
    pub(super) fn counts(&self) -> UrlCounts {
        self.task.as_ref().map(UrlCounts::of).unwrap_or_default()
    }

    /// `process, 1 of 2 URLs, 1 failed`, or `not listed yet`.
    pub(super) fn summary(&self) -> String {
        let Some(task) = &self.task else {
            return "not listed yet".to_owned();
        };
        let urls = UrlCounts::of(task);
        let status = sanitize(task.status.as_str());
        let mut text = format!("{status}, {} of {} URLs", urls.success, urls.total);
        if urls.failure > 0 {
            // Writing to a string can't fail.
            let _ = write!(text, ", {} failed", urls.failure);
        }
        text
    }

    fn percent(&self) -> u64 {
        let Some(task) = &self.task else { return 0 };
        if task.status.is_finished() {
            return 100;
        }
        let of_url = |url: &UrlState| {
            if url.status.is_finished() {
                100
            } else {
                u64::from(url.progress.unwrap_or(0).min(100))
            }
        };
        let sum: u64 = task.urls.values().map(of_url).sum();
        sum / u64::try_from(task.urls.len()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::{Status, Url};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn task(id: &str, status: &str, urls: &[(&str, u32)]) -> Task {
        let url = |(n, (status, progress)): (usize, &(&str, u32))| Url {
            url: format!("http://example.com/{n}"),
            status: Some(Status::from_word(status)),
            progress: Some(*progress),
            finished: None,
        };
        Task {
            id: id.into(),
            r#type: None,
            status: Some(Status::from_word(status)),
            created: None,
            urls: urls.iter().enumerate().map(url).collect(),
        }
    }

    fn tracked(ids: &[&str]) -> TrackedTasks {
        TrackedTasks::new(ids.iter().map(|id| (*id).into()), at(1_000))
    }

    #[test]
    fn the_wait_is_finished_when_each_task_is_listed_and_finished() {
        let mut tasks = tracked(&["a", "b", "a"]);
        assert_eq!(tasks.as_slice().len(), 2);
        tasks.apply(&task("a", "success", &[]), at(1_000));
        tasks.apply(&task("c", "failure", &[]), at(1_000));
        assert!(!tasks.is_finished() && !tasks.has_failed());
        tasks.apply(&task("b", "process", &[]), at(1_000));
        assert!(!tasks.is_finished());
        tasks.apply(&task("b", "success", &[]), at(1_000));
        assert!(tasks.is_finished() && !tasks.has_failed());
        tasks.apply(&task("a", "process", &[]), at(1_000));
        assert!(!tasks.is_finished(), "a finished task may be reopened");
    }

    #[test]
    fn a_failed_url_fails_a_task_that_succeeded() {
        let mut tasks = tracked(&["a"]);
        tasks.apply(
            &task("a", "success", &[("success", 100), ("failure", 0)]),
            at(1_000),
        );
        assert!(tasks.is_finished() && tasks.has_failed());
    }

    #[test]
    fn the_percentage_is_that_of_all_urls_and_100_only_at_the_end() {
        let mut tasks = tracked(&["a", "b"]);
        assert_eq!(tasks.percent(), 0);
        tasks.apply(
            &task(
                "a",
                "process",
                &[("success", 100), ("process", 60), ("wait", 0), ("wait", 0)],
            ),
            at(1_000),
        );
        assert_eq!(tasks.percent(), 20);
        tasks.apply(&task("b", "process", &[("process", 250)]), at(1_000));
        assert_eq!(tasks.percent(), 70);
        tasks.apply(&task("a", "success", &[]), at(1_000));
        assert_eq!(tasks.percent(), 99);
        tasks.apply(&task("b", "failure", &[]), at(1_000));
        assert_eq!(tasks.percent(), 100);
    }

    #[test]
    fn each_change_is_reported_once() {
        let mut tasks = tracked(&["a", "b"]);
        assert_eq!(tasks.take_changes().len(), 2, "the first call returns all");
        tasks.apply(&task("a", "wait", &[]), at(1_000));
        assert_eq!(tasks.take_changes(), ["a".into()]);
        tasks.apply(&task("a", "wait", &[]), at(1_001));
        assert_eq!(tasks.take_changes(), []);
    }
}
