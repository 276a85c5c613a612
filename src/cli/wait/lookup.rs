//! Looks tasks up by id. Works also with a server that ignores ids, restricts them to the window, or limits the window.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use super::tracked_tasks::TrackedTasks;
use crate::cli::api::ApiCallError;
use crate::clock::Clock;
use crate::domain::model::{TaskId, Timestamp, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::{ApiClient, ListApi};
use crate::ucdn::error::ErrorKind;
use crate::ucdn::response::{ListResponse, ListedTask};
use crate::ucdn::walk::{PageRequest, PageVisitor, Paging, Walk, WalkEnd};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lengths of the window to try, longest first. The API's limit is unknown, and so is whether ids reach beyond the window.
const WINDOW_SPANS: [Duration; 3] = [DAY.saturating_mul(30), DAY.saturating_mul(7), DAY];

/// How far the window extends past both clocks, because a third clock stamps tasks.
const WINDOW_MARGIN: Duration = Duration::from_secs(10 * 60);

/// How far before the oldest task the window begins if the server ignores ids.
const OLDEST_MARGIN: Duration = Duration::from_secs(60 * 60);

/// Task ids per request.
const IDS_PER_REQUEST: usize = 20;

/// `RetCode` for a parameter that the API does not accept: here a window that is too long.
const PARAMS_NOT_AVAILABLE: i64 = 230;

/// Repeated lookups. Remembers how this server treats ids and windows.
pub(super) struct Lookup<'a> {
    client: &'a ApiClient,
    list: ListRequest,
    page_size: u32,
    clock: &'a dyn Clock,
    /// Index into [`WINDOW_SPANS`].
    span: usize,
    paging: Paging,
    /// The API's clock minus ours.
    clock_offset_seconds: i64,
    id_filter: IdFilter,
}

/// What the server does with ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdFilter {
    /// Returns only their tasks, as far as is known.
    Applied,
    /// Ignores them and returns every task.
    Ignored,
    /// Ignores them, and the longest window was read once: what it did not show can only be new.
    IgnoredAndRead,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        client: &'a ApiClient,
        list: ListRequest,
        page_size: u32,
        clock: &'a dyn Clock,
    ) -> Self {
        Self {
            client,
            list,
            page_size,
            clock,
            span: 0,
            paging: Paging::default(),
            clock_offset_seconds: 0,
            id_filter: IdFilter::Applied,
        }
    }

    /// Looks all tasks up once. On error, `tasks` has what was read before it.
    pub(super) fn update(
        &mut self,
        tasks: &mut TrackedTasks,
        now: Timestamp,
    ) -> Result<(), ApiCallError> {
        for ids in tasks.ids().chunks(IDS_PER_REQUEST) {
            while let Err(error) = self.walk(ids, tasks, now) {
                if !self.shorten_window(&error) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes the next shorter window if the server may have refused the last one. Returns whether it did.
    fn shorten_window(&mut self, error: &ApiCallError) -> bool {
        let ApiCallError::Api { error } = error else {
            return false;
        };
        let is_refused = matches!(
            error.kind,
            ErrorKind::Refused {
                code: PARAMS_NOT_AVAILABLE,
                ..
            }
        );
        if !is_refused || self.span + 1 >= WINDOW_SPANS.len() {
            return false;
        }
        self.span += 1;
        true
    }

    /// Reads pages until the tasks with these ids are complete, or the list ends.
    fn walk(
        &mut self,
        ids: &[TaskId],
        tasks: &mut TrackedTasks,
        now: Timestamp,
    ) -> Result<(), ApiCallError> {
        let request = ListRequest {
            task_ids: ids.to_vec(),
            window: Some(self.window(tasks, now)),
            ..self.list.clone()
        };
        let mut walk = Walk::new(self.page_size, self.paging);
        let mut reader = IdReader {
            lookup: self,
            tasks,
            request,
            unseen: ids.iter().collect(),
            now,
        };
        if let WalkEnd::Complete(complete) = walk.run(&mut reader)? {
            self.paging = complete.paging();
            if self.id_filter == IdFilter::Ignored {
                self.id_filter = IdFilter::IgnoredAndRead;
            }
        }
        Ok(())
    }

    /// As long as the server accepts. Short if the server ignores ids, because the whole window is read each time.
    fn window(&self, tasks: &TrackedTasks, now: Timestamp) -> Window {
        let theirs = now.unix_seconds().saturating_add(self.clock_offset_seconds);
        let theirs = Timestamp::from_unix_seconds(theirs).unwrap_or(now);
        let span = WINDOW_SPANS.get(self.span).copied().unwrap_or(DAY);
        let begin = match self.id_filter {
            IdFilter::Applied | IdFilter::Ignored => now.min(theirs).saturating_sub(span),
            IdFilter::IgnoredAndRead => tasks.oldest().min(theirs).saturating_sub(OLDEST_MARGIN),
        };
        Window {
            begin,
            end: now.max(theirs).saturating_add(WINDOW_MARGIN),
        }
    }
}

/// Reads the response to some ids until each of their tasks was seen.
struct IdReader<'a, 'l> {
    lookup: &'a mut Lookup<'l>,
    tasks: &'a mut TrackedTasks,
    request: ListRequest,
    unseen: HashSet<&'a TaskId>,
    now: Timestamp,
}

impl PageVisitor for IdReader<'_, '_> {
    type Error = ApiCallError;

    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, ApiCallError> {
        let lookup = &mut *self.lookup;
        let response = lookup.client.list(&page.of_list(&self.request))?;
        if let Some(theirs) = response.server_time {
            lookup.clock_offset_seconds = theirs.unix_seconds() - lookup.clock.now().unix_seconds();
        }
        Ok(response.page)
    }

    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, ApiCallError> {
        for task in &tasks {
            self.unseen.remove(&task.id);
            if !self.tasks.contains(&task.id) && self.lookup.id_filter == IdFilter::Applied {
                self.lookup.id_filter = IdFilter::Ignored;
            }
            self.tasks.apply(&task.to_task(), self.now);
        }
        Ok(if self.unseen.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}
