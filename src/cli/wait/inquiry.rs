//! Asking for tasks by their ids, whatever the server makes of ids, windows and pages.

use std::collections::HashSet;
use std::time::Duration;

use super::board::Board;
use crate::cli::api::AskError;
use crate::clock::Clock;
use crate::domain::model::{TaskId, Timestamp, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::ApiClient;
use crate::ucdn::error::Fault;
use crate::ucdn::walk::{Next, Paging, Walk};

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
            error.fault,
            Fault::Refused {
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
        let mut unseen: HashSet<&TaskId> = ids.iter().collect();
        let mut walk = Walk::new(self.page_size, self.paging);
        let mut ask = walk.first();
        loop {
            let page = self.client.list(&ListRequest {
                offset: Some(ask.offset),
                limit: Some(ask.limit),
                ..request.clone()
            })?;
            if let Some(theirs) = page.server_time {
                self.ahead_seconds = theirs.unix_seconds() - self.clock.now().unix_seconds();
            }
            let sighting = walk.read(page.page).map_err(AskError::Walk)?;
            for task in &sighting.tasks {
                unseen.remove(&task.id);
                if !board.holds(&task.id) && self.listing == Listing::Asked {
                    self.listing = Listing::Everything;
                }
                board.see(&task.to_task(), now);
            }
            match sighting.next {
                Next::End(complete) => {
                    self.paging = complete.paging();
                    if self.listing == Listing::Everything {
                        self.listing = Listing::EverythingRead;
                    }
                    return Ok(());
                }
                Next::Ask(_) if unseen.is_empty() => return Ok(()),
                Next::Ask(next) => ask = next,
            }
        }
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
