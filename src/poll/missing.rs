//! Missing tasks: tasks in flight that a poll has not seen. Concludes from their absence, with proof that everything was read.

use std::collections::HashSet;

use super::record::Recorder;
use super::target::PolledTarget;
use crate::domain::diff::missed;
use crate::domain::model::{TaskRowId, Timestamp};
use crate::store::{Baseline, Commit, StoreError, TaskInFlight, TaskUpsert};
use crate::ucdn::walk::CompleteWalk;

/// Task ids per request. A server that ignores ids returns the whole list, which the walk reads to its end.
pub(super) const IDS_PER_REQUEST: usize = 20;

/// Rows read at a time.
const BATCH: u32 = 1_000;

/// Proof that the list was read whole, from the begin of the lookback. A part of it proves no absence.
#[derive(Debug)]
pub(super) struct FullScan {
    _walk: CompleteWalk,
}

/// Proof that the poll queried each unseen task in flight by its id, and read the responses to their ends.
#[derive(Debug)]
pub(super) struct AllQueried {
    _walks: Vec<CompleteWalk>,
}

/// The tasks in flight that a poll has seen.
#[derive(Debug)]
pub(super) struct SeenTasks {
    /// The last task that the state knew when the poll began. Later ones are new.
    horizon: TaskRowId,
    seen: HashSet<TaskRowId>,
}

/// Some of the tasks in flight.
pub(super) struct IdBatch {
    /// Those that the poll has not seen.
    pub(super) unseen: Vec<TaskInFlight>,
    /// The last row of the batch, seen or not.
    pub(super) last: TaskRowId,
}

impl FullScan {
    pub(super) fn of(walk: CompleteWalk) -> Self {
        Self { _walk: walk }
    }
}

impl AllQueried {
    pub(super) fn of(walks: Vec<CompleteWalk>) -> Self {
        Self { _walks: walks }
    }
}

impl SeenTasks {
    pub(super) fn none_until(horizon: TaskRowId) -> Self {
        Self {
            horizon,
            seen: HashSet::new(),
        }
    }

    pub(super) fn insert(&mut self, task: TaskRowId) {
        self.seen.insert(task);
    }

    /// The next tasks that were in flight when the poll began. `None` if there are no more.
    pub(super) fn unseen_after(
        &self,
        target: &PolledTarget,
        after: TaskRowId,
    ) -> Result<Option<IdBatch>, StoreError> {
        let store = &target.context.store;
        let mut unseen = store.in_flight_after(&target.name, after, BATCH)?;
        let Some(last) = unseen.last().map(|task| task.number) else {
            return Ok(None);
        };
        unseen.retain(|task| task.number <= self.horizon && !self.seen.contains(&task.number));
        Ok(Some(IdBatch { unseen, last }))
    }

    /// Whether the poll has not seen some task in flight.
    pub(super) fn misses_any(&self, target: &PolledTarget) -> Result<bool, StoreError> {
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(target, after)? {
            if !batch.unseen.is_empty() {
                return Ok(true);
            }
            after = batch.last;
        }
        Ok(false)
    }

    /// How many requests it takes to query the tasks in flight by id that a window from `begin` may not show.
    pub(super) fn requests_for_older_than(
        &self,
        target: &PolledTarget,
        begin: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut older = 0;
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(target, after)? {
            after = batch.last;
            let is_older =
                |task: &&TaskInFlight| task.created.is_none_or(|created| created < begin);
            older += batch.unseen.iter().filter(is_older).count();
        }
        Ok(u64::try_from(older.div_ceil(IDS_PER_REQUEST)).unwrap_or(u64::MAX))
    }

    /// Counts one more missed poll for each task that is still unseen.
    pub(super) fn conclude(
        &self,
        target: &PolledTarget,
        recorder: &mut Recorder<'_>,
        _list: &FullScan,
        _queried: &AllQueried,
    ) -> Result<(), StoreError> {
        let mut after = TaskRowId::default();
        while let Some(batch) = self.unseen_after(target, after)? {
            after = batch.last;
            count_missed(target, recorder, &batch.unseen)?;
        }
        recorder.state.baseline = Baseline::Taken;
        recorder.commit(Commit::default(), Vec::new())
    }
}

fn count_missed(
    target: &PolledTarget,
    recorder: &mut Recorder<'_>,
    unseen: &[TaskInFlight],
) -> Result<(), StoreError> {
    let rows: Vec<TaskRowId> = unseen.iter().map(|task| task.number).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut commit = Commit::default();
    let mut drafts = Vec::new();
    let now = target.context.clock.now();
    let known = target.context.store.known_tasks(&target.name, &rows)?;
    for (row, mut task) in known {
        let missed = missed(task.absence);
        task.absence = missed.absence;
        if missed.newly_vanished {
            drafts.push(target.event_builder(now).vanished(&task));
        }
        commit.tasks.push(TaskUpsert {
            number: Some(row),
            ..task.into()
        });
    }
    recorder.commit(commit, drafts)
}
