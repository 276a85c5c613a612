//! Asking for tasks by their ids, whatever the server makes of ids, windows and pages.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use super::board::Board;
use crate::cli::api::AskError;
use crate::clock::Clock;
use crate::domain::model::{TaskId, Timestamp, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::ApiClient;
use crate::ucdn::error::ErrorKind;
use crate::ucdn::response::{ListResponse, ListedTask};
use crate::ucdn::walk::{PageRequest, PageVisitor, Paging, Walk, WalkEnd};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back the window reaches, widest first: nothing says how long it may be, nor that ids look beyond it.
const SPANS: [Duration; 3] = [DAY.saturating_mul(30), DAY.saturating_mul(7), DAY];

/// How far ahead of both clocks it ends: tasks are stamped by a third one.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// Where the list is all that there is, how long before the oldest task it is read from.
const BEFORE_OLDEST: Duration = Duration::from_secs(60 * 60);

/// Tasks asked for in one request.
const IDS_IN_A_REQUEST: usize = 20;

/// What the API means by a parameter that it does not take: here, a window that is too long.
const NOT_AVAILABLE: i64 = 230;

/// Asks again and again, and learns how this server is to be asked.
pub(super) struct Inquiry<'a> {
    client: &'a ApiClient,
    list: ListRequest,
    page_size: u32,
    clock: &'a dyn Clock,
    /// Which of [`SPANS`].
    span: usize,
    paging: Paging,
    /// How far the API's clock is ahead of ours.
    ahead_seconds: i64,
    listing: Listing,
}

/// What the server answers to ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// Their tasks, as far as is known.
    Asked,
    /// Every task: it ignores the ids.
    Everything,
    /// Likewise, and all of the widest window was read once: what was not there can only be new.
    EverythingRead,
}

impl<'a> Inquiry<'a> {
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
            ahead_seconds: 0,
            listing: Listing::Asked,
        }
    }

    /// Asks for all tasks of the board. What was seen before an error is on the board.
    pub(super) fn look(&mut self, board: &mut Board, now: Timestamp) -> Result<(), AskError> {
        for ids in board.ids().chunks(IDS_IN_A_REQUEST) {
            while let Err(error) = self.walk(ids, board, now) {
                if !self.narrow(&error) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes a shorter span, if that may be what the server wants.
    fn narrow(&mut self, error: &AskError) -> bool {
        let AskError::Api { error } = error else {
            return false;
        };
        let is_refused = matches!(
            error.kind,
            ErrorKind::Refused {
                code: NOT_AVAILABLE,
                ..
            }
        );
        if !is_refused || self.span + 1 >= SPANS.len() {
            return false;
        }
        self.span += 1;
        true
    }

    /// Reads the answer to these ids, as far as it must be read to have seen all of them whole.
    fn walk(&mut self, ids: &[TaskId], board: &mut Board, now: Timestamp) -> Result<(), AskError> {
        let request = ListRequest {
            task_ids: ids.to_vec(),
            window: Some(self.window(board, now)),
            ..self.list.clone()
        };
        let mut walk = Walk::new(self.page_size, self.paging);
        let mut reader = IdReader {
            unseen: ids.iter().collect(),
            request,
            inquiry: self,
            board,
            now,
        };
        if let WalkEnd::Complete(complete) = walk.run(&mut reader)? {
            self.paging = complete.paging();
            if self.listing == Listing::Everything {
                self.listing = Listing::EverythingRead;
            }
        }
        Ok(())
    }

    /// Wide, by both clocks; as narrow as may be where that is read to its end again and again.
    fn window(&self, board: &Board, now: Timestamp) -> Window {
        let theirs = now.unix_seconds().saturating_add(self.ahead_seconds);
        let theirs = Timestamp::from_unix_seconds(theirs).unwrap_or(now);
        let span = SPANS.get(self.span).copied().unwrap_or(DAY);
        let begin = match self.listing {
            Listing::Asked | Listing::Everything => now.min(theirs).saturating_sub(span),
            Listing::EverythingRead => board.oldest().min(theirs).saturating_sub(BEFORE_OLDEST),
        };
        Window {
            begin,
            end: now.max(theirs).saturating_add(AHEAD),
        }
    }
}

/// Reads the answer to some ids, until each of their tasks was seen.
struct IdReader<'a, 'i> {
    inquiry: &'a mut Inquiry<'i>,
    board: &'a mut Board,
    request: ListRequest,
    unseen: HashSet<&'a TaskId>,
    now: Timestamp,
}

impl PageVisitor for IdReader<'_, '_> {
    type Error = AskError;

    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, AskError> {
        let inquiry = &mut *self.inquiry;
        let response = inquiry.client.list(&page.of_list(&self.request))?;
        if let Some(theirs) = response.server_time {
            inquiry.ahead_seconds = theirs.unix_seconds() - inquiry.clock.now().unix_seconds();
        }
        Ok(response.page)
    }

    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, AskError> {
        for task in &tasks {
            self.unseen.remove(&task.id);
            if !self.board.holds(&task.id) && self.inquiry.listing == Listing::Asked {
                self.inquiry.listing = Listing::Everything;
            }
            self.board.see(&task.to_task(), self.now);
        }
        Ok(if self.unseen.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}
