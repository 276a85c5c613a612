//! What a poll makes of the tasks in flight that it has not seen: it asks for them by their ids, and counts those as missed
//! of which the whole list and that answer show nothing.

use std::time::Duration;

use super::PollError;
use super::round::{ClockCheck, Round, Walked, WholeList};
use crate::domain::diff::missed;
use crate::domain::model::{TaskRowId, Timestamp, Window};
use crate::store::{Baseline, Commit, StoreError, TaskInFlight, TaskUpsert};
use crate::ucdn::walk::CompleteWalk;

/// Tasks asked for in one request. A server that ignores the ids answers a whole list, which the walk survives.
const IDS_IN_A_REQUEST: usize = 20;

/// Around the ids' own times: how wide the window is that is asked for with them.
const WINDOW_AROUND_IDS: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows read at a time.
const BATCH: u32 = 1_000;

/// The proof that every task in flight which was not seen was asked for by its id, and that the answers were read to their
/// ends.
#[derive(Debug)]
pub(super) struct AllAsked {
    _walks: Vec<CompleteWalk>,
}

impl Round<'_> {
    /// Asks by id for what is in flight and was not seen.
    pub(super) fn ask_for_unseen(&mut self) -> Result<AllAsked, PollError> {
        let mut walks = Vec::new();
        let mut waiting = Vec::new();
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(after)? {
            after = batch.last;
            waiting.extend(batch.unseen);
            while waiting.len() >= IDS_IN_A_REQUEST {
                let rest = waiting.split_off(IDS_IN_A_REQUEST);
                walks.extend(self.ask_for(&waiting)?);
                waiting = rest;
            }
        }
        if !waiting.is_empty() {
            walks.extend(self.ask_for(&waiting)?);
        }
        Ok(AllAsked { _walks: walks })
    }

    fn ask_for(&mut self, tasks: &[TaskInFlight]) -> Result<Option<CompleteWalk>, PollError> {
        let times = || tasks.iter().filter_map(|task| task.created);
        let (oldest, newest) = (times().min(), times().max());
        let window = self.window();
        let begin = oldest.map_or_else(
            || window.end.saturating_sub(self.poller.retention),
            |oldest| oldest.saturating_sub(WINDOW_AROUND_IDS),
        );
        // Where the API does not tell its time, our clock may have been set back: what was seen is still there.
        let end = newest.map_or(window.end, |newest| {
            newest.saturating_add(WINDOW_AROUND_IDS)
        });
        let mut request = self.request(Window {
            begin: begin.min(window.begin),
            end: end.max(window.end),
        });
        request.task_ids = tasks.iter().map(|task| task.id.clone()).collect();
        Ok(match self.walk(&request, self.paging(), ClockCheck::Off)? {
            Walked::Whole(complete) => Some(complete),
            Walked::WrongClock => None,
        })
    }

    /// Requests that asking for those tasks in flight takes which a window from `begin` on may not show.
    pub(super) fn requests_for_older_than(&self, begin: Timestamp) -> Result<u64, StoreError> {
        let mut older = 0;
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(after)? {
            after = batch.last;
            let is_older =
                |task: &&TaskInFlight| task.created.is_none_or(|created| created < begin);
            older += batch.unseen.iter().filter(is_older).count();
        }
        Ok(u64::try_from(older.div_ceil(IDS_IN_A_REQUEST)).unwrap_or(u64::MAX))
    }

    /// Whether some task in flight was not seen.
    pub(super) fn misses_any(&self) -> Result<bool, StoreError> {
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(after)? {
            if !batch.unseen.is_empty() {
                return Ok(true);
            }
            after = batch.last;
        }
        Ok(false)
    }

    /// What is still unseen is missed once more. Needs proof that the whole list and all answers were read.
    pub(super) fn conclude(
        &mut self,
        _list: &WholeList,
        _asked: &AllAsked,
    ) -> Result<(), StoreError> {
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(after)? {
            after = batch.last;
            self.miss(&batch.unseen)?;
        }
        self.state.baseline = Baseline::Taken;
        self.commit(Commit::default(), Vec::new())
    }

    fn miss(&mut self, unseen: &[TaskInFlight]) -> Result<(), StoreError> {
        let numbers: Vec<TaskRowId> = unseen.iter().map(|task| task.number).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::default();
        let mut drafts = Vec::new();
        let now = self.poller.clock.now();
        let known = self.poller.store.known_tasks(&self.poller.name, &numbers)?;
        for (number, mut task) in known {
            let missed = missed(task.absence);
            task.absence = missed.absence;
            if missed.newly_vanished {
                drafts.push(self.poller.event_builder(now).vanished(&task));
            }
            commit.tasks.push(TaskUpsert {
                number: Some(number),
                ..task.into()
            });
        }
        self.commit(commit, drafts)
    }

    /// The next tasks that were in flight when the poll began; none: there are no more.
    fn unseen_after(&self, after: TaskRowId) -> Result<Option<Batch>, StoreError> {
        let store = &self.poller.store;
        let mut tasks = store.in_flight_after(&self.poller.name, after, BATCH)?;
        let Some(last) = tasks.last().map(|task| task.number) else {
            return Ok(None);
        };
        tasks.retain(|task| task.number <= self.horizon && !self.seen.contains(&task.number));
        Ok(Some(Batch {
            unseen: tasks,
            last,
        }))
    }
}

/// Some of the tasks in flight.
struct Batch {
    /// Those that this poll has not seen.
    unseen: Vec<TaskInFlight>,
    /// The last one's number, seen or not.
    last: TaskRowId,
}
