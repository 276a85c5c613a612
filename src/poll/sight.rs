//! What a poll makes of the tasks that it sees: what is known already, what is a change, and what of that is news.

use std::collections::HashMap;

use super::round::{BaselineRule, Round};
use crate::config::FirstRun;
use crate::domain::diff::{Observation, compare, is_known, other_words};
use crate::domain::event::EventDraft;
use crate::domain::model::{
    Fingerprint, KnownTask, TaskId, TaskLookup, TaskRowId, TaskSummary, Timestamp,
};
use crate::store::{Commit, FingerprintUpdate, StoreError, TaskUpsert};
use crate::ucdn::response::ListedTask;

/// Tasks compared and committed at a time. A page is no longer than `page_size`, unless the API ignores `Limit`: then it
/// is as long as an answer may be, and so would be what is written of it, which takes several times the memory.
const TASKS_AT_ONCE: usize = 10_000;

/// A task of which a sighting may teach something.
struct Unread<'a> {
    task: &'a ListedTask,
    known: Option<TaskSummary>,
    fingerprint: Option<Fingerprint>,
}

impl Round<'_> {
    /// Compares the tasks of a page with what is known of them, and commits what that teaches.
    ///
    /// Most tasks come in the very text that they came in before: a glance is enough for these, and a page of them costs
    /// neither a parsed URL nor a written byte. All others are read and compared in full.
    pub(super) fn see(&mut self, mut tasks: Vec<ListedTask>) -> Result<(), StoreError> {
        let listed = tasks.len();
        tasks.retain(|task| !task.id.as_str().is_empty());
        if tasks.len() < listed {
            log::debug!(
                "tasks without an id: target={} count={}",
                self.poller.name,
                listed - tasks.len()
            );
        }
        self.report.tasks_seen += u64::try_from(tasks.len()).unwrap_or(u64::MAX);
        let now = self.poller.clock.now();
        for tasks in tasks.chunks(TASKS_AT_ONCE) {
            let unread = self.glance(tasks, now)?;
            self.learn(&unread, now)?;
        }
        Ok(())
    }

    /// Sorts out the tasks that are known to be as they were.
    fn glance<'t>(
        &mut self,
        tasks: &'t [ListedTask],
        now: Timestamp,
    ) -> Result<Vec<Unread<'t>>, StoreError> {
        let moment = self.moment(now);
        let store = &self.poller.store;
        let seed = store.fingerprint_seed();
        let sought: Vec<TaskLookup<'_>> = tasks
            .iter()
            .map(|task| TaskLookup {
                id: &task.id,
                created: task.created,
            })
            .collect();
        let summaries = store.task_summaries(&self.poller.name, &sought)?;
        let mut unread = Vec::new();
        for (task, known) in tasks.iter().zip(summaries) {
            let fingerprint = task.fingerprint(seed);
            let is_old = known.is_some_and(|known| is_known(&known, fingerprint, moment));
            if let Some(known) = known
                && (known.in_flight || !is_old)
            {
                self.seen.insert(known.number);
            }
            if !is_old {
                unread.push(Unread {
                    task,
                    known,
                    fingerprint,
                });
            }
        }
        Ok(unread)
    }

    fn learn(&mut self, unread: &[Unread<'_>], now: Timestamp) -> Result<(), StoreError> {
        let mut known = self.records_of(unread)?;
        let mut commit = Commit::default();
        let mut drafts = Vec::new();
        for Unread {
            task,
            known: footprint,
            fingerprint,
        } in unread
        {
            let before = known.get(&task.id);
            if before.is_none() && self.is_forgotten(task) {
                continue;
            }
            let Some(difference) = compare(before, &task.to_task(), self.moment(now)) else {
                let kept = footprint.and_then(|known| known.fingerprint);
                let retouch =
                    footprint
                        .zip(other_words(kept, *fingerprint))
                        .map(|(known, fingerprint)| FingerprintUpdate {
                            number: known.number,
                            fingerprint,
                        });
                commit.fingerprints.extend(retouch);
                continue;
            };
            if before.is_some() || self.is_news(&difference.task) {
                drafts.extend(self.poller.event_builder(now).events_for(&difference));
            }
            known.insert(task.id.clone(), difference.task.clone());
            // Of two records of one task, the store keeps the later.
            commit.tasks.push(TaskUpsert {
                task: difference.task,
                number: footprint.map(|known| known.number),
                fingerprint: *fingerprint,
            });
        }
        self.commit(commit, drafts)
    }

    fn records_of(&self, unread: &[Unread<'_>]) -> Result<HashMap<TaskId, KnownTask>, StoreError> {
        let known = unread.iter().filter_map(|unread| unread.known);
        let numbers: Vec<TaskRowId> = known.map(|known| known.number).collect();
        if numbers.is_empty() {
            return Ok(HashMap::new());
        }
        let store = &self.poller.store;
        let known = store.known_tasks(&self.poller.name, &numbers)?;
        Ok(known
            .into_values()
            .map(|task| (task.id.clone(), task))
            .collect())
    }

    pub(super) fn commit(
        &mut self,
        mut commit: Commit,
        drafts: Vec<EventDraft>,
    ) -> Result<(), StoreError> {
        if self.state != self.stored_state {
            commit.target = Some(self.state.clone());
        }
        self.poller.commit(commit, drafts, self.report)?;
        self.stored_state.clone_from(&self.state);
        Ok(())
    }

    /// Whether a task that was not known is to be reported, under `first_run`.
    fn is_news(&self, task: &KnownTask) -> bool {
        if !task.status.is_finished() || !self.had_finished_before(task) {
            return true;
        }
        match self.poller.target.poll.first_run {
            FirstRun::All => true,
            FirstRun::Failures => task.has_failed(),
            FirstRun::Baseline => false,
        }
    }

    fn had_finished_before(&self, task: &KnownTask) -> bool {
        match self.baseline {
            BaselineRule::Taken => false,
            BaselineRule::FirstPoll => true,
            BaselineRule::FirstPolled(first) => {
                let is_before = |time: Option<Timestamp>| time.is_none_or(|time| time <= first);
                is_before(task.created) && is_before(task.finished())
            }
        }
    }

    /// Finished so long ago that its record may have been deleted: telling of it would be telling twice. A target that
    /// has not been watched for as long as records are kept has lost none. By the API's clock, which stamped the task:
    /// under one of ours that is a year ahead, all tasks would be that old.
    fn is_forgotten(&self, task: &ListedTask) -> bool {
        let horizon = self.api_now().saturating_sub(self.poller.retention);
        let before = |time: Option<Timestamp>| time.is_some_and(|time| time < horizon);
        let finished = task
            .status
            .as_ref()
            .is_some_and(crate::domain::model::Status::is_finished);
        finished && before(task.created) && before(self.state.first_polled)
    }

    fn moment(&self, now: Timestamp) -> Observation {
        Observation {
            now,
            api_now: self.api_now(),
            stall_after: self.poller.target.poll.stall_after.get(),
        }
    }
}
