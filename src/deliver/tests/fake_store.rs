//! A store in memory with an outbox, which can be made to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::domain::model::{
    KnownTask, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp, WebhookName,
};
use crate::store::{
    Attempt, AttemptResult, Commit, Delivery, OutboxBacklog, PageCapacity, RecentSpan, Store,
    StoreError, TargetState, TaskInFlight,
};

#[derive(Debug, Default)]
pub(super) struct FakeStore {
    inner: Mutex<FakeOutbox>,
}

#[derive(Debug, Default)]
struct FakeOutbox {
    rows: Vec<OutboxRow>,
    failing_records: u32,
    failing_reads: u32,
    /// How many attempts each commit held.
    commits: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct OutboxRow {
    pub(super) webhook: String,
    pub(super) delivery: Delivery,
    pub(super) results: Vec<AttemptResult>,
}

impl OutboxRow {
    pub(super) fn is_pending(&self) -> bool {
        matches!(
            self.results.last(),
            None | Some(AttemptResult::Failed { .. })
        )
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.results.last(), Some(AttemptResult::Dead { .. }))
    }

    pub(super) fn is_delivered(&self) -> bool {
        matches!(self.results.last(), Some(AttemptResult::Delivered { .. }))
    }
}

impl FakeStore {
    pub(super) fn commit_events(&self, webhook: &str, events: u64, recorded: Timestamp) {
        let mut inner = self.inner.lock().unwrap();
        for _ in 0..events {
            let sequence = u64::try_from(inner.rows.len()).unwrap() + 1;
            inner.rows.push(OutboxRow {
                webhook: webhook.to_owned(),
                delivery: Delivery {
                    sequence,
                    event_id: format!("evt_{sequence}"),
                    event_type: "task.failure".to_owned(),
                    document: document(sequence),
                    recorded,
                    attempts: 0,
                    last_attempt: None,
                    next_attempt: None,
                },
                results: Vec::new(),
            });
        }
    }

    pub(super) fn fail_records(&self, times: u32) {
        self.inner.lock().unwrap().failing_records = times;
    }

    pub(super) fn fail_reads(&self, times: u32) {
        self.inner.lock().unwrap().failing_reads = times;
    }

    /// The number of attempts in each record.
    pub(super) fn commits(&self) -> Vec<usize> {
        self.inner.lock().unwrap().commits.clone()
    }

    /// The row of this sequence.
    pub(super) fn row(&self, sequence: usize) -> OutboxRow {
        self.inner.lock().unwrap().rows[sequence - 1].clone()
    }

    /// Changes a row as another process would.
    pub(super) fn set_next_attempt(&self, sequence: usize, next_attempt: Option<Timestamp>) {
        self.inner.lock().unwrap().rows[sequence - 1]
            .delivery
            .next_attempt = next_attempt;
    }
}

/// An event about a failed task of its own.
fn document(sequence: u64) -> String {
    format!(
        r#"{{"type": "task.failure", "target": "shop", "summary": "刷新", "task": {{"id": "task-{sequence}.", "kind": "refresh", "status": "failure", "urls": {{"total": 1, "failure": 1}}}}}}"#
    )
}

fn broken(counter: &mut u32) -> Result<(), StoreError> {
    if *counter == 0 {
        return Ok(());
    }
    *counter -= 1;
    Err(StoreError::Unusable {
        state: "memory".to_owned(),
        action: "do that",
        source: "disk full".into(),
    })
}

impl Store for FakeStore {
    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let mut inner = self.inner.lock().unwrap();
        broken(&mut inner.failing_reads)?;
        let pending = inner
            .rows
            .iter()
            .filter(|row| row.webhook == webhook.as_str() && row.is_pending());
        Ok(pending
            .take(limit)
            .map(|row| row.delivery.clone())
            .collect())
    }

    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError> {
        let mut inner = self.inner.lock().unwrap();
        broken(&mut inner.failing_records)?;
        inner.commits.push(attempts.len());
        for one in attempts {
            let row = inner.rows.iter_mut().find(|row| {
                row.webhook == webhook.as_str()
                    && row.delivery.sequence == one.sequence
                    && row.is_pending()
            });
            if let Some(row) = row {
                if let AttemptResult::Failed {
                    at, next_attempt, ..
                } = &one.result
                {
                    row.delivery.attempts += 1;
                    row.delivery.last_attempt = Some(*at);
                    row.delivery.next_attempt = Some(*next_attempt);
                }
                row.results.push(one.result.clone());
            }
        }
        Ok(())
    }

    fn target(&self, _: &TargetName) -> Result<TargetState, StoreError> {
        unreachable!()
    }

    fn known_tasks(
        &self,
        _: &TargetName,
        _: &[TaskRowId],
    ) -> Result<BTreeMap<TaskRowId, KnownTask>, StoreError> {
        unreachable!()
    }

    fn fingerprint_seed(&self) -> u64 {
        unreachable!()
    }

    fn task_summaries(
        &self,
        _: &TargetName,
        _: &[TaskLookup<'_>],
    ) -> Result<Vec<Option<TaskSummary>>, StoreError> {
        unreachable!()
    }

    fn in_flight_after(
        &self,
        _: &TargetName,
        _: TaskRowId,
        _: u32,
    ) -> Result<Vec<TaskInFlight>, StoreError> {
        unreachable!()
    }

    fn count_in_flight(&self, _: &TargetName) -> Result<u64, StoreError> {
        unreachable!()
    }

    fn last_task_row_id(&self) -> Result<TaskRowId, StoreError> {
        unreachable!()
    }

    fn recent_span(
        &self,
        _: &TargetName,
        _: PageCapacity,
        _: Timestamp,
    ) -> Result<RecentSpan, StoreError> {
        unreachable!()
    }

    fn commit(&self, _: &TargetName, _: &Commit) -> Result<(), StoreError> {
        unreachable!()
    }

    fn forget_target(&self, _: &TargetName) -> Result<(), StoreError> {
        unreachable!()
    }

    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let mut backlogs: BTreeMap<&str, OutboxBacklog> = BTreeMap::new();
        for row in &inner.rows {
            let backlog = backlogs
                .entry(&row.webhook)
                .or_insert_with(|| OutboxBacklog {
                    webhook: WebhookName::from(row.webhook.as_str()),
                    pending: 0,
                    dead: 0,
                    oldest_pending: None,
                });
            backlog.pending += u64::from(row.is_pending());
            backlog.dead += u64::from(row.is_dead());
        }
        Ok(backlogs.into_values().collect())
    }

    fn prune(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!()
    }
}
