//! Tasks that were seen and are not given out yet, because a later page may show more of them. Pure.

use crate::domain::model::Task;
use crate::ucdn::wire::Listed;

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The last task seen, whose other URLs may be on the next page.
    last: Option<Listed>,
    /// Tasks of pages that were not accepted: to be given out if they don't come up again.
    pending: Vec<Listed>,
}

/// Whether a page shows tasks whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    PerhapsInPart,
}

impl Held {
    /// All of it, for a walk that can't go on.
    pub(super) fn into_tasks(self) -> Vec<Listed> {
        let mut tasks = self.pending;
        tasks.extend(self.last);
        tasks
    }

    /// Keeps the tasks of a page that was not accepted.
    pub(super) fn keep(&mut self, tasks: Vec<Listed>) {
        self.pending.extend(tasks);
    }

    /// All of it, at the end of a walk whose last page gave `seen`.
    pub(super) fn release(&mut self, seen: Vec<Listed>) -> Vec<Listed> {
        let mut seen = seen;
        let last: Vec<Listed> = self.last.take().into_iter().collect();
        seen.extend(self.with_pending(last));
        let pending = std::mem::take(&mut self.pending);
        seen.splice(..0, pending);
        seen
    }

    /// Takes the last task out if the page does not show it: one that ends before it does not show that nothing of it is
    /// still to come.
    pub(super) fn take_if_behind(&mut self, tasks: &[Listed]) -> Option<Listed> {
        self.last
            .take_if(|held| !tasks.iter().any(|task| task.id == held.id))
    }

    /// Puts back what [`Held::take_if_behind`] took, and gives out what stands in its place.
    pub(super) fn put_back(&mut self, task: Listed) -> Vec<Listed> {
        let seen = self.last.replace(task).into_iter().collect();
        self.with_pending(seen)
    }

    /// Merges the task that was held back into the page, and holds the page's last one back in turn.
    pub(super) fn hold_back(&mut self, tasks: Vec<Listed>, shown: Shown) -> Vec<Listed> {
        let mut seen = tasks;
        if let Some(held) = self.last.take() {
            if let Some(place) = seen.iter().position(|task| task.id == held.id) {
                let task = seen.remove(place);
                seen.splice(place..place, merge(held, task, shown));
            } else {
                seen.insert(0, held);
            }
        }
        self.last = seen.pop();
        self.with_pending(seen)
    }

    /// Puts what was seen of a task on a page that was not accepted before what was seen of it since, if that differs.
    pub(super) fn with_pending(&mut self, tasks: Vec<Listed>) -> Vec<Listed> {
        if self.pending.is_empty() {
            return tasks;
        }
        let mut seen = Vec::with_capacity(tasks.len());
        for task in tasks {
            let earlier = self.pending.extract_if(.., |pending| pending.id == task.id);
            seen.extend(earlier.filter(|pending| pending.status != task.status));
            seen.push(task);
        }
        seen
    }
}

/// Two sightings of one task: the second part of it, or all of it once more.
fn merge(first: Listed, second: Listed, shown: Shown) -> Vec<Listed> {
    if first == second {
        return vec![second];
    }
    let changed = second.status.is_some() && second.status != first.status;
    if shown == Shown::Whole || changed {
        return vec![first, second];
    }
    let (first, second) = (first.to_task(), second.to_task());
    let mut urls = first.urls;
    urls.extend(second.urls);
    vec![Listed::from(Task {
        id: second.id,
        r#type: second.r#type.or(first.r#type),
        status: second.status.or(first.status),
        created: second.created.or(first.created),
        urls,
    })]
}
