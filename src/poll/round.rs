//! The work of one poll: pages in, commits out, then what absence tells.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

use crate::config::FirstRun;
use crate::diff::{Moment, compare, missed};
use crate::event::EventDraft;
use crate::model::{KnownTask, Status, Task, TaskId, TaskNumber, Timestamp, Window};
use crate::poll::{PollError, PollReport, Poller};
use crate::store::{Baseline, Commit, StoreError, TargetState};
use crate::ucdn::ListRequest;
use crate::ucdn::walk::{Ask, CompleteWalk, Next, Paging, Walk};

/// How far ahead of the API's clock the window ends: tasks are stamped by a clock that may be minutes ahead of the one
/// that we know, and an `EndTime` may be exclusive.
const WINDOW_AHEAD: Duration = Duration::from_secs(10 * 60);

/// A difference between the API's clock and ours that is no delay of the network. From here on, theirs counts.
const CLOCKS_DIFFER_SECONDS: i64 = 5 * 60;

/// Tasks asked for in one request. A server that ignores the ids answers a whole list, which the walk survives.
const IDS_IN_A_REQUEST: usize = 20;

/// Around the ids' own times: how wide the window is that is asked for with them.
const WINDOW_AROUND_IDS: Duration = Duration::from_secs(24 * 60 * 60);

/// One poll under way.
pub(super) struct Round<'a> {
    poller: &'a Poller,
    state: TargetState,
    /// What the last poll, or the last page, left in the state.
    stored_state: TargetState,
    /// The target's state as this poll found it.
    baseline: BaselineRule,
    /// Tasks in flight that this poll has not seen yet.
    unseen: HashSet<TaskId>,
    report: &'a mut PollReport,
}

/// What is kept silent of tasks that are seen for the first time.
#[derive(Clone, Copy, Debug)]
enum BaselineRule {
    /// Nothing: a walk was completed before.
    Taken,
    /// What had finished: this is the first poll that reads anything.
    FirstPoll,
    /// What had finished before this moment: the first poll read something then, but not everything.
    FirstPolled(Timestamp),
}

impl<'a> Round<'a> {
    pub(super) fn begin(
        poller: &'a Poller,
        state: TargetState,
        report: &'a mut PollReport,
    ) -> Self {
        let baseline = match (state.baseline, state.first_polled) {
            (Baseline::Taken, _) => BaselineRule::Taken,
            (Baseline::Open, None) => BaselineRule::FirstPoll,
            (Baseline::Open, Some(time)) => BaselineRule::FirstPolled(time),
        };
        let stored_state = if state.first_polled.is_some() {
            state.clone()
        } else {
            TargetState::default()
        };
        Self {
            poller,
            state,
            stored_state,
            baseline,
            unseen: HashSet::new(),
            report,
        }
    }

    pub(super) fn into_parts(self) -> (TargetState, &'a mut PollReport) {
        (self.state, self.report)
    }

    pub(super) fn run(&mut self) -> Result<(), PollError> {
        let store = &self.poller.store;
        let in_flight =
            store.in_flight_after(&self.poller.name, TaskNumber::default(), u32::MAX)?;
        self.unseen = in_flight.iter().map(|task| task.id.clone()).collect();
        let complete = self.walk_list()?;
        self.state.paging = serde_json::to_string(&complete.paging()).unwrap_or_default();
        let created: HashMap<TaskId, Option<Timestamp>> = in_flight
            .into_iter()
            .map(|task| (task.id, task.created))
            .collect();
        let asked = self.ask_for_unseen(&created)?;
        self.conclude(&complete, &asked)?;
        Ok(())
    }

    /// Walks the whole lookback. A clock that turns out to be wrong makes the walk begin again, once.
    fn walk_list(&mut self) -> Result<CompleteWalk, PollError> {
        let assumed = self.ahead_seconds();
        let request = self.request(self.window());
        let mut paging: Paging = serde_json::from_str(&self.state.paging).unwrap_or_default();
        match self.walk(&request, paging, ClockCheck::Against(assumed))? {
            Walked::Whole(complete) => return Ok(complete),
            Walked::WrongClock => paging = Paging::default(),
        }
        self.tell_of_clocks();
        let request = self.request(self.window());
        match self.walk(&request, paging, ClockCheck::Off)? {
            Walked::Whole(complete) => Ok(complete),
            Walked::WrongClock => unreachable!("the clock is not checked twice"),
        }
    }

    fn tell_of_clocks(&self) {
        let (name, ahead) = (&self.poller.name, self.ahead_seconds());
        if ahead.abs() > CLOCKS_DIFFER_SECONDS {
            log::warn!(
                "the clocks differ, and the API's is used: target={name} ours_is_behind_by={ahead}s"
            );
        } else {
            log::info!("the clocks agree again: target={name}");
        }
    }

    /// Asks by id for what is in flight and was not in the list. Returns the proofs that the answers were read whole.
    fn ask_for_unseen(
        &mut self,
        created: &HashMap<TaskId, Option<Timestamp>>,
    ) -> Result<Vec<CompleteWalk>, PollError> {
        let mut ids: Vec<TaskId> = self.unseen.iter().cloned().collect();
        ids.sort();
        let mut proofs = Vec::new();
        for ids in ids.chunks(IDS_IN_A_REQUEST) {
            let times = || {
                ids.iter()
                    .filter_map(|id| created.get(id).copied().flatten())
            };
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
            request.task_ids = ids.to_vec();
            if let Walked::Whole(proof) = self.walk(&request, Paging::default(), ClockCheck::Off)? {
                proofs.push(proof);
            }
        }
        Ok(proofs)
    }

    /// What is still unseen is missed once more. Needs proof that list and answers were read whole.
    fn conclude(
        &mut self,
        _list: &CompleteWalk,
        _asked: &[CompleteWalk],
    ) -> Result<(), StoreError> {
        let mut ids: Vec<TaskId> = self.unseen.drain().collect();
        ids.sort();
        let mut commit = Commit::default();
        let mut drafts = Vec::new();
        let now = self.poller.clock.now();
        for mut task in self.poller.store.known_tasks(&self.poller.name, &ids)? {
            let missed = missed(task.absence);
            task.absence = missed.absence;
            if missed.newly_vanished {
                drafts.push(self.poller.origin(now).vanished(&task));
            }
            commit.tasks.push(task.into());
        }
        self.state.baseline = Baseline::Taken;
        self.commit(commit, drafts)
    }

    fn walk(
        &mut self,
        request: &ListRequest,
        paging: Paging,
        check: ClockCheck,
    ) -> Result<Walked, PollError> {
        let mut walk = Walk::new(self.poller.target.poll.page_size.get(), paging);
        let mut ask = walk.first();
        loop {
            let page = match self.page(request, ask) {
                Ok(page) => page,
                Err(error) => return Err(self.interrupted(walk, error)),
            };
            let sighting = match walk.read(page) {
                Ok(sighting) => sighting,
                Err(error) => return Err(self.interrupted(walk, error.into())),
            };
            let api_now = self.api_now();
            self.state.first_polled.get_or_insert(api_now);
            self.see(&sighting.tasks)?;
            if let ClockCheck::Against(assumed) = check
                && (self.ahead_seconds() - assumed).abs() > CLOCKS_DIFFER_SECONDS
            {
                self.see(&walk.into_unreported())?;
                return Ok(Walked::WrongClock);
            }
            match sighting.next {
                Next::Ask(next) => ask = next,
                Next::End(complete) => return Ok(Walked::Whole(complete)),
            }
        }
    }

    /// What earlier pages showed is kept although a later one failed.
    fn interrupted(&mut self, walk: Walk, error: PollError) -> PollError {
        match self.see(&walk.into_unreported()) {
            Ok(()) => error,
            Err(store) => store.into(),
        }
    }

    fn page(&self, request: &ListRequest, ask: Ask) -> Result<crate::ucdn::wire::Page, PollError> {
        let request = ListRequest {
            offset: Some(ask.offset),
            limit: Some(ask.limit),
            ..request.clone()
        };
        self.poller
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last_turn = self.poller.clock.monotonic();
        let answer = self.poller.client.list(&request)?;
        self.poller
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .server_clock
            .hear(answer.server_time, &*self.poller.clock);
        Ok(answer.page)
    }

    /// Compares the tasks of a page with what is known of them, and commits what that teaches.
    fn see(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        let named: Vec<&Task> = tasks
            .iter()
            .filter(|task| !task.id.as_str().is_empty())
            .collect();
        if named.len() < tasks.len() {
            log::debug!(
                "tasks without an id: target={} count={}",
                self.poller.name,
                tasks.len() - named.len()
            );
        }
        self.report.tasks_seen += u64::try_from(named.len()).unwrap_or(u64::MAX);
        let now = self.poller.clock.now();
        let ids: Vec<TaskId> = named.iter().map(|task| task.id.clone()).collect();
        let mut known: HashMap<TaskId, KnownTask> = self
            .poller
            .store
            .known_tasks(&self.poller.name, &ids)?
            .into_iter()
            .map(|task| (task.id.clone(), task))
            .collect();
        let mut commit = Commit::default();
        let mut drafts = Vec::new();
        for task in named {
            self.unseen.remove(&task.id);
            let before = known.get(&task.id);
            if before.is_none() && self.is_forgotten(task) {
                continue;
            }
            let Some(difference) = compare(before, task, self.moment(now)) else {
                continue;
            };
            if before.is_some() || self.is_news(&difference.task) {
                drafts.extend(self.poller.origin(now).events_of(&difference));
            }
            known.insert(task.id.clone(), difference.task.clone());
            // Of two records of one task, the store keeps the later.
            commit.tasks.push(difference.task.into());
        }
        self.commit(commit, drafts)
    }

    fn commit(&mut self, mut commit: Commit, drafts: Vec<EventDraft>) -> Result<(), StoreError> {
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
            FirstRun::Failures => {
                task.status == Status::Failure
                    || task.urls.values().any(|url| url.status == Status::Failure)
            }
            FirstRun::Baseline => false,
        }
    }

    fn had_finished_before(&self, task: &KnownTask) -> bool {
        match self.baseline {
            BaselineRule::Taken => false,
            BaselineRule::FirstPoll => true,
            BaselineRule::FirstPolled(first) => {
                let finished = task.urls.values().filter_map(|url| url.finished).max();
                task.created.is_none_or(|created| created <= first)
                    && finished.is_none_or(|finished| finished <= first)
            }
        }
    }

    /// Finished so long ago that its record may have been deleted: telling of it would be telling twice. A target that
    /// has not been watched for as long as records are kept has lost none. By the API's clock, which stamped the task:
    /// under one of ours that is a year ahead, all tasks would be that old.
    fn is_forgotten(&self, task: &Task) -> bool {
        let horizon = self.api_now().saturating_sub(self.poller.retention);
        let before = |time: Option<Timestamp>| time.is_some_and(|time| time < horizon);
        let finished = task.status.as_ref().is_some_and(Status::is_finished);
        finished && before(task.created) && before(self.state.first_polled)
    }

    fn moment(&self, now: Timestamp) -> Moment {
        Moment {
            now,
            api_now: self.api_now(),
            stall_after: self.poller.target.poll.stall_after,
        }
    }

    fn window(&self) -> Window {
        let ahead = self.ahead_seconds();
        let now = if ahead.abs() > CLOCKS_DIFFER_SECONDS {
            self.api_now()
        } else {
            self.poller.clock.now()
        };
        Window {
            begin: now.saturating_sub(self.poller.target.poll.lookback),
            end: now.saturating_add(WINDOW_AHEAD),
        }
    }

    fn api_now(&self) -> Timestamp {
        self.poller.server_clock().now(&*self.poller.clock)
    }

    /// How far the API's clock is ahead of ours; 0 as long as it is not known.
    fn ahead_seconds(&self) -> i64 {
        self.poller
            .server_clock()
            .ahead_seconds(&*self.poller.clock)
    }

    fn request(&self, window: Window) -> ListRequest {
        ListRequest {
            project_id: self.poller.target.project_id.clone(),
            is_dcdn: self.poller.target.is_dcdn,
            window: Some(window),
            ..ListRequest::of(self.poller.target.tasks)
        }
    }
}

/// How a walk ended, if not by an error.
enum Walked {
    Whole(CompleteWalk),
    /// The API's clock showed that the window was the wrong one.
    WrongClock,
}

/// Whether a walk looks at the API's clock.
#[derive(Clone, Copy)]
enum ClockCheck {
    /// This many seconds ahead of ours is what the window was made for.
    Against(i64),
    Off,
}
