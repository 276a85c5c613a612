//! Sightings of a walk, put together: each task once, with all that was seen of it. Pure.

use std::collections::HashMap;

use crate::domain::model::{Task, TaskId, Url};

/// Tasks in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct Merged {
    tasks: Vec<Task>,
    places: HashMap<TaskId, usize>,
}

impl Merged {
    /// Takes what a page showed: tasks not seen before, parts of tasks, or tasks that have changed meanwhile.
    pub(super) fn see(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            let place = self.places.get(&task.id).copied();
            match place.and_then(|place| self.tasks.get_mut(place)) {
                Some(earlier) => merge(earlier, task),
                None => self.add(without_repeats(task)),
            }
        }
    }

    pub(super) fn into_tasks(self) -> Vec<Task> {
        self.tasks
    }

    fn add(&mut self, task: Task) {
        if !task.id.as_str().is_empty() {
            self.places.insert(task.id.clone(), self.tasks.len());
        } else if self.tasks.contains(&task) {
            // Pages overlap, and nothing else tells tasks without an id apart.
            return;
        }
        self.tasks.push(task);
    }
}

/// What was seen last holds; what it does not say stays.
fn merge(earlier: &mut Task, later: Task) {
    earlier.r#type = later.r#type.or(earlier.r#type.take());
    earlier.status = later.status.or(earlier.status.take());
    earlier.created = later.created.or(earlier.created);
    add_urls(&mut earlier.urls, later.urls);
}

/// A task that lies on two pages shows the URLs twice that both pages have.
fn without_repeats(mut task: Task) -> Task {
    let urls = std::mem::take(&mut task.urls);
    add_urls(&mut task.urls, urls);
    task
}

fn add_urls(known: &mut Vec<Url>, seen: Vec<Url>) {
    let places = known.iter().enumerate();
    let mut places: HashMap<String, usize> = places
        .map(|(place, url)| (url.url.clone(), place))
        .collect();
    for url in seen {
        let place = places.get(&url.url).copied();
        if let Some(earlier) = place.and_then(|place| known.get_mut(place)) {
            *earlier = url;
        } else {
            places.insert(url.url.clone(), known.len());
            known.push(url);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Status;

    fn task(id: &str, status: &Status, urls: &[&str]) -> Task {
        Task {
            id: id.into(),
            r#type: None,
            status: Some(status.clone()),
            created: None,
            urls: urls
                .iter()
                .map(|url| Url {
                    url: (*url).to_owned(),
                    status: Some(status.clone()),
                    progress: None,
                    finished: None,
                })
                .collect(),
        }
    }

    #[test]
    fn sightings_of_one_task_become_one_task_as_it_was_last() {
        let mut merged = Merged::default();
        merged.see(vec![
            task("a", &Status::Success, &["u"]),
            task("b", &Status::Process, &["v", "w"]),
        ]);
        merged.see(vec![
            task("b", &Status::Failure, &["w", "x"]),
            task("c", &Status::Wait, &[]),
        ]);
        let tasks = merged.into_tasks();
        let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(tasks[1].status, Some(Status::Failure));
        let urls: Vec<(&str, &str)> = tasks[1]
            .urls
            .iter()
            .map(|url| (url.url.as_str(), url.status.as_ref().unwrap().as_str()))
            .collect();
        assert_eq!(urls, [("v", "process"), ("w", "failure"), ("x", "failure")]);
    }

    #[test]
    fn tasks_without_an_id_are_kept_apart_unless_they_are_equal() {
        let mut merged = Merged::default();
        merged.see(vec![task("", &Status::Wait, &["u"])]);
        merged.see(vec![
            task("", &Status::Wait, &["u"]),
            task("", &Status::Wait, &["v"]),
        ]);
        assert_eq!(merged.into_tasks().len(), 2);
    }
}
