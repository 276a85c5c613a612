//! The tasks that are waited for, and all that was seen of them. Pure.

use std::time::Duration;

use crate::domain::diff::{Observation, compare};
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Task, TaskId, Timestamp};

/// What is known of each task.
#[derive(Debug)]
pub(super) struct Board {
    waited: Vec<Waited>,
    begun: Timestamp,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Waited {
    pub(super) id: TaskId,
    /// None: the API has not shown it yet.
    pub(super) task: Option<KnownTask>,
    changed: bool,
}

impl Board {
    /// None was seen yet; an id given twice is one task.
    pub(super) fn new(ids: impl IntoIterator<Item = TaskId>, begun: Timestamp) -> Self {
        let mut waited: Vec<Waited> = Vec::new();
        for id in ids {
            if !waited.iter().any(|one| one.id == id) {
                waited.push(Waited {
                    id,
                    task: None,
                    changed: true,
                });
            }
        }
        Self { waited, begun }
    }

    pub(super) fn waited(&self) -> &[Waited] {
        &self.waited
    }

    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.waited.iter().map(|one| one.id.clone()).collect()
    }

    /// Takes a sighting; those of other tasks teach nothing.
    pub(super) fn see(&mut self, seen: &Task, now: Timestamp) {
        let Some(waited) = self.waited.iter_mut().find(|one| one.id == seen.id) else {
            return;
        };
        let moment = Observation {
            now,
            api_now: now,
            stall_after: Duration::MAX,
        };
        if let Some(difference) = compare(waited.task.as_ref(), seen, moment) {
            waited.task = Some(difference.task);
            waited.changed = true;
        }
    }

    /// Whether this task is waited for.
    pub(super) fn holds(&self, id: &TaskId) -> bool {
        self.waited.iter().any(|one| one.id == *id)
    }

    /// Those of which something changed since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<TaskId> {
        let changed = self.waited.iter_mut().filter(|one| one.changed);
        changed
            .map(|one| {
                one.changed = false;
                one.id.clone()
            })
            .collect()
    }

    /// Whether all of them have come to their end.
    pub(super) fn is_finished(&self) -> bool {
        self.waited.iter().all(Waited::is_finished)
    }

    /// Whether a task or a URL has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.waited.iter().any(Waited::has_failed)
    }

    /// How far all of it is: 100 when all are finished, and not before.
    pub(super) fn percent(&self) -> u64 {
        let sum: u64 = self.waited.iter().map(Waited::percent).sum();
        let count = u64::try_from(self.waited.len()).unwrap_or(u64::MAX).max(1);
        let percent = sum / count;
        if self.is_finished() {
            100
        } else {
            percent.min(99)
        }
    }

    /// The earliest moment that a task of the board may have been submitted at, as far as that is known.
    pub(super) fn oldest(&self) -> Timestamp {
        let created = self
            .waited
            .iter()
            .filter_map(|one| one.task.as_ref()?.created);
        created
            .min()
            .map_or(self.begun, |oldest| oldest.min(self.begun))
    }
}

impl Waited {
    pub(super) fn is_finished(&self) -> bool {
        self.task
            .as_ref()
            .is_some_and(|task| task.status.is_finished())
    }

    pub(super) fn has_failed(&self) -> bool {
        self.task.as_ref().is_some_and(KnownTask::has_failed)
    }

    /// Its URLs; none while it was not seen.
    pub(super) fn counts(&self) -> UrlCounts {
        self.task.as_ref().map(UrlCounts::of).unwrap_or_default()
    }

    fn percent(&self) -> u64 {
        let Some(task) = &self.task else { return 0 };
        if task.status.is_finished() {
            return 100;
        }
        let of_url = |url: &crate::domain::model::UrlState| {
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

    fn board(ids: &[&str]) -> Board {
        Board::new(ids.iter().map(|id| (*id).into()), at(1_000))
    }

    #[test]
    fn it_is_finished_when_all_are_seen_and_finished() {
        let mut board = board(&["a", "b", "a"]);
        assert_eq!(board.waited().len(), 2);
        board.see(&task("a", "success", &[]), at(1_000));
        board.see(&task("c", "failure", &[]), at(1_000));
        assert!(!board.is_finished() && !board.has_failed());
        board.see(&task("b", "process", &[]), at(1_000));
        assert!(!board.is_finished());
        board.see(&task("b", "success", &[]), at(1_000));
        assert!(board.is_finished() && !board.has_failed());
        board.see(&task("a", "process", &[]), at(1_000));
        assert!(!board.is_finished(), "a task may go back");
    }

    #[test]
    fn a_failed_url_fails_a_task_that_succeeded() {
        let mut board = board(&["a"]);
        board.see(
            &task("a", "success", &[("success", 100), ("failure", 0)]),
            at(1_000),
        );
        assert!(board.is_finished() && board.has_failed());
    }

    #[test]
    fn the_percentage_is_that_of_all_urls_and_full_at_the_end_alone() {
        let mut board = board(&["a", "b"]);
        assert_eq!(board.percent(), 0);
        board.see(
            &task(
                "a",
                "process",
                &[("success", 100), ("process", 60), ("wait", 0), ("wait", 0)],
            ),
            at(1_000),
        );
        assert_eq!(board.percent(), 20);
        board.see(&task("b", "process", &[("process", 250)]), at(1_000));
        assert_eq!(board.percent(), 70);
        board.see(&task("a", "success", &[]), at(1_000));
        assert_eq!(board.percent(), 99);
        board.see(&task("b", "failure", &[]), at(1_000));
        assert_eq!(board.percent(), 100);
    }

    #[test]
    fn a_change_is_told_once() {
        let mut board = board(&["a", "b"]);
        assert_eq!(
            board.take_changes().len(),
            2,
            "that they are waited for is news"
        );
        board.see(&task("a", "wait", &[]), at(1_000));
        assert_eq!(board.take_changes(), ["a".into()]);
        board.see(&task("a", "wait", &[]), at(1_001));
        assert_eq!(board.take_changes(), []);
    }
}
