//! A walk over the in-memory server. The fuzz targets include this file too.

use std::collections::BTreeSet;
use std::slice;

use super::{ListedTask, NextStep, Paging, Server, Task, TaskId, Walk, WalkError};

/// A task's id, and one of its URLs.
pub(super) type Entry = (String, String);

/// The result of a walk.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) results: Vec<Task>,
    pub(super) requests: usize,
    pub(super) paging: Paging,
}

impl Walked {
    pub(super) fn entries(&self) -> BTreeSet<Entry> {
        entries(&self.results)
    }

    /// The tasks that the walk first reported with only a part of their URLs.
    pub(super) fn first_shown_in_part(&self, server: &Server) -> Vec<TaskId> {
        let whole = |task: &&Task| {
            let first = self.results.iter().find(|seen| seen.id == task.id);
            first.is_some_and(|first| entries(slice::from_ref(first)).len() == task.urls.len())
        };
        let partial = server.tasks.iter().filter(|task| !whole(task));
        partial.map(|task| task.id.clone()).collect()
    }
}

pub(super) fn entries(tasks: &[Task]) -> BTreeSet<Entry> {
    tasks
        .iter()
        .flat_map(|task| {
            task.urls
                .iter()
                .map(|url| (task.id.0.clone(), url.url.clone()))
        })
        .collect()
}

pub(super) fn walk(
    server: &mut Server,
    page_size: u32,
    paging: Paging,
) -> Result<Walked, WalkError> {
    let mut walk = Walk::new(page_size, paging);
    let before = server.requests;
    let mut ask = walk.first_request();
    let mut results = Vec::new();
    loop {
        let result = walk.accept_page(server.answer(ask))?;
        results.extend(result.tasks.iter().map(ListedTask::to_task));
        match result.next {
            NextStep::Request(next) => ask = next,
            NextStep::End(complete) => {
                let requests = server.requests - before;
                return Ok(Walked {
                    results,
                    requests,
                    paging: complete.paging(),
                });
            }
        }
    }
}

/// The items that were in the list before and after the walk, and that the walk did not see.
pub(super) fn missed(server: &mut Server, page_size: u32) -> Vec<Entry> {
    let before = entries(&server.tasks);
    let walked = walk(server, page_size, Paging::default()).unwrap();
    let seen = walked.entries();
    let after = entries(&server.tasks);
    let stayed = before.intersection(&after);
    stayed.filter(|it| !seen.contains(*it)).cloned().collect()
}
