//! Observation: compares the tasks of a page with the stored tasks, skips unchanged ones, and commits changes and their events.

use std::collections::HashMap;

use super::missing::SeenTasks;
use super::record::Recorder;
use super::target::PolledTarget;
use crate::config::FirstRun;
use crate::domain::diff::{Observation, compare, fingerprint_to_store, is_unchanged};
use crate::domain::model::{
    Fingerprint, KnownTask, Status, TaskId, TaskLookup, TaskRowId, TaskSummary, Timestamp,
};
use crate::store::{Baseline, Commit, FingerprintUpdate, StoreError, TargetState, TaskUpsert};
use crate::ucdn::response::ListedTask;

/// Tasks compared and committed at a time. Bounds the memory of a commit if the API ignores `Limit`.
const CHUNK: usize = 10_000;

/// Observes the pages of one poll.
pub(super) struct Observer<'a> {
    target: &'a PolledTarget,
    baseline: BaselineRule,
    pub(super) recorder: Recorder<'a>,
    /// The tasks in flight that this poll has seen.
    pub(super) seen: SeenTasks,
}

/// Which finished tasks are not reported when they are seen for the first time.
#[derive(Clone, Copy, Debug)]
enum BaselineRule {
    /// None: an earlier poll read the whole list.
    Taken,
    /// All: this is the first poll.
    FirstPoll,
    /// Those that had finished at this time: the first poll began then, and no poll has read the whole list yet.
    FirstPolled(Timestamp),
}

/// A listed task that may have changed.
struct Candidate<'a> {
    task: &'a ListedTask,
    stored: Option<TaskSummary>,
    fingerprint: Option<Fingerprint>,
}

impl BaselineRule {
    fn of(state: &TargetState) -> Self {
        match (state.baseline, state.first_polled) {
            (Baseline::Taken, _) => Self::Taken,
            (Baseline::Open, None) => Self::FirstPoll,
            (Baseline::Open, Some(time)) => Self::FirstPolled(time),
        }
    }

    /// Whether the task had finished before the target was watched.
    fn covers(self, task: &KnownTask) -> bool {
        match self {
            Self::Taken => false,
            Self::FirstPoll => true,
            Self::FirstPolled(first) => {
                let is_before = |time: Option<Timestamp>| time.is_none_or(|time| time <= first);
                is_before(task.created) && is_before(task.finished())
            }
        }
    }
}

impl<'a> Observer<'a> {
    pub(super) fn new(target: &'a PolledTarget, recorder: Recorder<'a>, seen: SeenTasks) -> Self {
        Self {
            target,
            baseline: BaselineRule::of(&recorder.state),
            recorder,
            seen,
        }
    }

    /// Compares the tasks of a page with the stored tasks and commits the changes. `api_now` is the API's time.
    ///
    /// Most tasks are unchanged. Their URLs are not parsed, and nothing is written for them.
    pub(super) fn observe_page(
        &mut self,
        mut tasks: Vec<ListedTask>,
        api_now: Timestamp,
    ) -> Result<(), StoreError> {
        let listed = tasks.len();
        tasks.retain(|task| !task.id.as_str().is_empty());
        if tasks.len() < listed {
            log::debug!(
                "tasks without an id: target={} count={}",
                self.target.name,
                listed - tasks.len()
            );
        }
        self.recorder.report.tasks_seen += u64::try_from(tasks.len()).unwrap_or(u64::MAX);
        let observation = Observation {
            now: self.target.context.clock.now(),
            api_now,
            stall_after: self.target.settings.poll.stall_after.get(),
        };
        for tasks in tasks.chunks(CHUNK) {
            let candidates = self.skip_unchanged(tasks, observation)?;
            self.apply(&candidates, observation)?;
        }
        Ok(())
    }

    /// Leaves out the tasks whose fingerprint is the stored one.
    fn skip_unchanged<'t>(
        &mut self,
        tasks: &'t [ListedTask],
        observation: Observation,
    ) -> Result<Vec<Candidate<'t>>, StoreError> {
        let store = &self.target.context.store;
        let seed = store.fingerprint_seed();
        let lookups: Vec<TaskLookup<'_>> = tasks
            .iter()
            .map(|task| TaskLookup {
                id: &task.id,
                created: task.created,
            })
            .collect();
        let summaries = store.task_summaries(&self.target.name, &lookups)?;
        let mut candidates = Vec::new();
        for (task, stored) in tasks.iter().zip(summaries) {
            let fingerprint = task.fingerprint(seed);
            let skip = stored.is_some_and(|stored| is_unchanged(&stored, fingerprint, observation));
            if let Some(stored) = stored
                && (stored.in_flight || !skip)
            {
                self.seen.insert(stored.number);
            }
            if !skip {
                candidates.push(Candidate {
                    task,
                    stored,
                    fingerprint,
                });
            }
        }
        Ok(candidates)
    }

    /// Compares tasks in full and commits what changed.
    fn apply(
        &mut self,
        candidates: &[Candidate<'_>],
        observation: Observation,
    ) -> Result<(), StoreError> {
        let mut known = self.load_tasks(candidates)?;
        let mut commit = Commit::default();
        let mut drafts = Vec::new();
        for candidate in candidates {
            let before = known.get(&candidate.task.id);
            if before.is_none() && self.is_beyond_retention(candidate.task, observation.api_now) {
                continue;
            }
            let Some(difference) = compare(before, &candidate.task.to_task(), observation) else {
                commit.fingerprints.extend(candidate.fingerprint_update());
                continue;
            };
            if before.is_some() || self.is_reported(&difference.task) {
                let events = self.target.event_builder(observation.now);
                drafts.extend(events.events_for(&difference));
            }
            known.insert(candidate.task.id.clone(), difference.task.clone());
            // If a task comes twice, the store keeps the later one.
            commit.tasks.push(TaskUpsert {
                task: difference.task,
                number: candidate.stored.map(|stored| stored.number),
                fingerprint: candidate.fingerprint,
            });
        }
        self.recorder.commit(commit, drafts)
    }

    fn load_tasks(
        &self,
        candidates: &[Candidate<'_>],
    ) -> Result<HashMap<TaskId, KnownTask>, StoreError> {
        let stored = candidates.iter().filter_map(|candidate| candidate.stored);
        let rows: Vec<TaskRowId> = stored.map(|stored| stored.number).collect();
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let store = &self.target.context.store;
        let known = store.known_tasks(&self.target.name, &rows)?;
        Ok(known
            .into_values()
            .map(|task| (task.id.clone(), task))
            .collect())
    }

    /// Whether `first_run` reports a task that was not known before.
    fn is_reported(&self, task: &KnownTask) -> bool {
        if !task.status.is_finished() || !self.baseline.covers(task) {
            return true;
        }
        match self.target.settings.poll.first_run {
            FirstRun::All => true,
            FirstRun::Failures => task.has_failed(),
            FirstRun::Baseline => false,
        }
    }

    /// Whether an unknown task finished so long ago that its row may have been pruned: reporting it could repeat an event. False
    /// for a target that has been watched for less than the retention. Counts by the API's clock, which stamped the task.
    fn is_beyond_retention(&self, task: &ListedTask, api_now: Timestamp) -> bool {
        let horizon = api_now.saturating_sub(self.target.context.retention);
        let before = |time: Option<Timestamp>| time.is_some_and(|time| time < horizon);
        let finished = task.status.as_ref().is_some_and(Status::is_finished);
        finished && before(task.created) && before(self.recorder.state.first_polled)
    }
}

impl Candidate<'_> {
    /// The fingerprint to store for a task that has not changed although its JSON has.
    fn fingerprint_update(&self) -> Option<FingerprintUpdate> {
        let stored = self.stored?;
        let fingerprint = fingerprint_to_store(stored.fingerprint, self.fingerprint)?;
        Some(FingerprintUpdate {
            number: stored.number,
            fingerprint,
        })
    }
}
