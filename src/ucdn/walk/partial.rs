//! Partial tasks: tasks that a walk holds back, because a later page may show more of their URLs.

use std::collections::HashMap;

use super::super::response::ListedTask;
use crate::domain::model::{Task, Url};

/// The tasks that are held back.
#[derive(Debug, Default)]
pub(super) struct PartialTasks {
    /// The last task of the last page. The next page may show its other URLs.
    last: Option<ListedTask>,
    /// Tasks of pages that the walk stepped back from. Reported at the end, unless a later page shows them.
    deferred: Vec<ListedTask>,
}

/// Whether the end of a page may split a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Splitting {
    /// Pages show tasks whole.
    Never,
    /// A page may end between two URLs of a task.
    Possible,
}

impl PartialTasks {
    /// All of them, for a walk that failed.
    pub(super) fn into_tasks(self) -> Vec<ListedTask> {
        let mut tasks = self.deferred;
        tasks.extend(self.last);
        tasks
    }

    /// Keeps the tasks of a page that the walk stepped back from.
    pub(super) fn defer(&mut self, tasks: Vec<ListedTask>) {
        self.deferred.extend(tasks);
    }

    /// All of them, at the end of a walk whose last page showed `seen`.
    pub(super) fn release(&mut self, seen: Vec<ListedTask>) -> Vec<ListedTask> {
        let mut seen = seen;
        let last: Vec<ListedTask> = self.last.take().into_iter().collect();
        seen.extend(self.with_deferred(last));
        let deferred = std::mem::take(&mut self.deferred);
        seen.splice(..0, deferred);
        seen
    }

    /// Takes the last task out if the page does not show it. Such a page ends before the task, so more of the task may follow.
    pub(super) fn take_if_behind(&mut self, tasks: &[ListedTask]) -> Option<ListedTask> {
        self.last
            .take_if(|last| !tasks.iter().any(|task| task.id == last.id))
    }

    /// Puts back what [`PartialTasks::take_if_behind`] took, and returns the task that was held in its place.
    pub(super) fn put_back(&mut self, task: ListedTask) -> Vec<ListedTask> {
        let seen = self.last.replace(task).into_iter().collect();
        self.with_deferred(seen)
    }

    /// Merges the last task of the page before into this page, and holds back this page's last task.
    pub(super) fn hold_last(
        &mut self,
        tasks: Vec<ListedTask>,
        splitting: Splitting,
    ) -> Vec<ListedTask> {
        let mut seen = tasks;
        if let Some(last) = self.last.take() {
            if let Some(place) = seen.iter().position(|task| task.id == last.id) {
                let task = seen.remove(place);
                seen.splice(place..place, merge(last, task, splitting));
            } else {
                seen.insert(0, last);
            }
        }
        self.last = seen.pop();
        self.with_deferred(seen)
    }

    /// Inserts what a deferred page showed of a task before what the task shows now, unless that shows the same.
    pub(super) fn with_deferred(&mut self, tasks: Vec<ListedTask>) -> Vec<ListedTask> {
        if self.deferred.is_empty() {
            return tasks;
        }
        let mut seen = Vec::with_capacity(tasks.len());
        for task in tasks {
            let earlier = self
                .deferred
                .extract_if(.., |deferred| deferred.id == task.id);
            seen.extend(earlier.filter(|deferred| !shows_all_of(&task, deferred)));
            seen.push(task);
        }
        seen
    }
}

/// Whether `task` has the status and all URLs of `earlier`, each in the same state.
fn shows_all_of(task: &ListedTask, earlier: &ListedTask) -> bool {
    let urls = task.urls().parse();
    let urls: HashMap<&str, &Url> = urls.iter().map(|url| (url.url.as_str(), url)).collect();
    let is_shown = |url: &Url| urls.get(url.url.as_str()) == Some(&url);
    task.status == earlier.status && earlier.urls().parse().iter().all(is_shown)
}

/// Merges two appearances of one task: two parts of it, or the same task again.
fn merge(first: ListedTask, second: ListedTask, splitting: Splitting) -> Vec<ListedTask> {
    if first == second {
        return vec![second];
    }
    let changed = second.status.is_some() && second.status != first.status;
    if splitting == Splitting::Never || changed {
        return vec![first, second];
    }
    let (first, second) = (first.to_task(), second.to_task());
    let mut urls = first.urls;
    urls.extend(second.urls);
    vec![ListedTask::from(Task {
        id: second.id,
        r#type: second.r#type.or(first.r#type),
        status: second.status.or(first.status),
        created: second.created.or(first.created),
        urls,
    })]
}
