//! The work of one poll: which part of the list is read, pages in, commits out, then what absence tells.

use parking_lot::MutexGuard;
use std::collections::HashSet;
use std::time::Duration;

use super::reading::{Clocks, Fill, Progress, room};
use super::{PollError, PollReport, PollState, Poller};
use crate::domain::model::{TaskRowId, Timestamp, Window};
use crate::store::{Baseline, RecentSpan, StoreError, TargetState};
use crate::ucdn::ListRequest;
use crate::ucdn::response::ListResponse;
use crate::ucdn::walk::{CompleteWalk, NextStep, PageRequest, Paging, Walk};

/// How far ahead of the API's clock the window ends: tasks are stamped by a clock that may be minutes ahead of the one
/// that we know, and an `EndTime` may be exclusive.
const WINDOW_AHEAD: Duration = Duration::from_secs(10 * 60);

/// A difference between the API's clock and ours that is no delay of the network. From here on, theirs counts.
const CLOCKS_DIFFER_SECONDS: i64 = 5 * 60;

/// One poll under way.
pub(super) struct Round<'a> {
    pub(super) poller: &'a Poller,
    pub(super) state: TargetState,
    /// What the last poll, or the last page, left in the state.
    pub(super) stored_state: TargetState,
    /// The target's state as this poll found it.
    pub(super) baseline: BaselineRule,
    /// Tasks in flight that this poll has seen.
    pub(super) seen: HashSet<TaskRowId>,
    /// The last task that was known when the poll began.
    pub(super) horizon: TaskRowId,
    pub(super) report: &'a mut PollReport,
    began: Clocks,
    requests: u64,
}

/// What is kept silent of tasks that are seen for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) enum BaselineRule {
    /// Nothing: a walk was completed before.
    Taken,
    /// What had finished: this is the first poll that reads anything.
    FirstPoll,
    /// What had finished before this moment: the first poll read something then, but not everything.
    FirstPolled(Timestamp),
}

/// The proof that the list was read whole, from the beginning of the lookback on. A part of it proves nothing of what is
/// absent from it.
#[derive(Debug)]
pub(super) struct WholeList {
    _walk: CompleteWalk,
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
        let began = Clocks {
            monotonic: poller.clock.monotonic(),
            wall: poller.clock.now(),
            ahead_seconds: 0,
        };
        Self {
            poller,
            state,
            stored_state,
            baseline,
            seen: HashSet::new(),
            horizon: TaskRowId::default(),
            report,
            began,
            requests: 0,
        }
    }

    pub(super) fn into_parts(self) -> (TargetState, &'a mut PollReport) {
        (self.state, self.report)
    }

    pub(super) fn run(&mut self) -> Result<(), PollError> {
        // Set again at the end: what a poll that fails has read can't be built upon.
        let progress = self.memory().progress.take();
        self.horizon = self.poller.store.last_task_row_id()?;
        if let Some(progress) = progress
            && let Some(window) = self.recent_window(progress)?
            && self.is_recent_part_enough(window)?
        {
            let last = self.clocks_at_begin();
            self.memory().progress = Some(Progress { last, ..progress });
            return Ok(());
        }
        let before = self.requests;
        let whole = self.read_whole_list()?;
        let whole_requests = self.requests - before;
        let asked = self.ask_for_unseen()?;
        self.conclude(&whole, &asked)?;
        let last = self.clocks_at_begin();
        self.memory().progress = Some(Progress {
            whole_at: last.monotonic,
            whole_requests,
            last,
        });
        Ok(())
    }

    /// Reads a part of the list, and asks for the tasks in flight that it did not show. What is neither in this part nor
    /// answered for by its id is missing only if the whole list lacks it too.
    fn is_recent_part_enough(&mut self, window: Window) -> Result<bool, PollError> {
        let check = ClockCheck::Against(self.ahead_seconds());
        if matches!(
            self.walk_list(window, self.paging(), check)?,
            Walked::WrongClock
        ) {
            self.tell_of_clocks();
            return Ok(false);
        }
        self.ask_for_unseen()?;
        Ok(!self.misses_any()?)
    }

    /// The part of the list that is enough for this poll; none: nothing less than all of it.
    fn recent_window(&self, progress: Progress) -> Result<Option<Window>, StoreError> {
        if self.state.baseline == Baseline::Open || progress.is_whole_due(self.clocks()) {
            return Ok(None);
        }
        let whole = self.window();
        let reach = |fill| {
            let room = room(self.paging(), self.poller.target.poll.page_size.get(), fill);
            let store = &self.poller.store;
            store.recent_span(&self.poller.name, room, whole.begin)
        };
        if reach(Fill::Full)? == RecentSpan::Everything {
            return Ok(None);
        }
        let Some(window) = progress.recent(reach(Fill::WithRoomForNews)?, whole) else {
            return Ok(None);
        };
        let by_id = self.requests_for_older_than(window.begin)?;
        Ok((by_id.saturating_add(1) < progress.whole_requests).then_some(window))
    }

    /// Reads the whole lookback. A clock that turns out to be wrong makes the walk begin again, once.
    fn read_whole_list(&mut self) -> Result<WholeList, PollError> {
        let check = ClockCheck::Against(self.ahead_seconds());
        match self.walk_list(self.window(), self.paging(), check)? {
            Walked::Whole(walk) => return Ok(WholeList { _walk: walk }),
            Walked::WrongClock => self.tell_of_clocks(),
        }
        match self.walk_list(self.window(), Paging::default(), ClockCheck::Off)? {
            Walked::Whole(walk) => Ok(WholeList { _walk: walk }),
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

    /// Walks a part of the list, and keeps what that teaches of the server's paging.
    fn walk_list(
        &mut self,
        window: Window,
        paging: Paging,
        check: ClockCheck,
    ) -> Result<Walked, PollError> {
        let walked = self.walk(&self.request(window), paging, check)?;
        if let Walked::Whole(complete) = &walked {
            self.state.paging = serde_json::to_string(&complete.paging()).unwrap_or_default();
        }
        Ok(walked)
    }

    pub(super) fn walk(
        &mut self,
        request: &ListRequest,
        paging: Paging,
        check: ClockCheck,
    ) -> Result<Walked, PollError> {
        let page_size = self.poller.target.poll.page_size.get();
        let mut walk = Walk::new(page_size, paging);
        let mut ask = walk.first_request();
        loop {
            let page = match self.page(request, ask) {
                Ok(page) => page,
                Err(error) => return Err(self.interrupted(walk, error)),
            };
            let result = match walk.accept_page(page) {
                Ok(result) => result,
                Err(error) => return Err(self.interrupted(walk, error.into())),
            };
            let api_now = self.api_now();
            self.state.first_polled.get_or_insert(api_now);
            self.see(result.tasks)?;
            if let ClockCheck::Against(assumed) = check
                && (self.ahead_seconds() - assumed).abs() > CLOCKS_DIFFER_SECONDS
            {
                self.see(walk.into_unreported())?;
                return Ok(Walked::WrongClock);
            }
            match result.next {
                NextStep::Request(next) => ask = next,
                NextStep::End(complete) => return Ok(Walked::Whole(complete)),
            }
        }
    }

    /// What earlier pages showed is kept although a later one failed.
    fn interrupted(&mut self, walk: Walk, error: PollError) -> PollError {
        match self.see(walk.into_unreported()) {
            Ok(()) => error,
            Err(store) => store.into(),
        }
    }

    fn page(&mut self, request: &ListRequest, ask: PageRequest) -> Result<ListResponse, PollError> {
        let request = ListRequest {
            offset: Some(ask.offset),
            limit: Some(ask.limit),
            ..request.clone()
        };
        self.requests += 1;
        self.memory().last_turn = self.poller.clock.monotonic();
        let answer = self.poller.client.list_into(&request, Vec::new())?;
        let mut memory = self.memory();
        memory
            .server_clock
            .hear(answer.server_time, &*self.poller.clock);
        Ok(answer.page)
    }

    pub(super) fn paging(&self) -> Paging {
        serde_json::from_str(&self.state.paging).unwrap_or_default()
    }

    pub(super) fn window(&self) -> Window {
        let ahead = self.ahead_seconds();
        let now = if ahead.abs() > CLOCKS_DIFFER_SECONDS {
            self.api_now()
        } else {
            self.poller.clock.now()
        };
        Window {
            begin: now.saturating_sub(self.poller.target.poll.lookback.get()),
            end: now.saturating_add(WINDOW_AHEAD),
        }
    }

    pub(super) fn api_now(&self) -> Timestamp {
        self.poller.server_clock().now(&*self.poller.clock)
    }

    /// How far the API's clock is ahead of ours; 0 as long as it is not known.
    fn ahead_seconds(&self) -> i64 {
        self.poller
            .server_clock()
            .ahead_seconds(&*self.poller.clock)
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            monotonic: self.poller.clock.monotonic(),
            wall: self.poller.clock.now(),
            ahead_seconds: self.ahead_seconds(),
        }
    }

    /// When the poll began, by what is known of the API's clock since.
    fn clocks_at_begin(&self) -> Clocks {
        Clocks {
            ahead_seconds: self.ahead_seconds(),
            ..self.began
        }
    }

    fn memory(&self) -> MutexGuard<'_, PollState> {
        let memory = &self.poller.memory;
        memory.lock()
    }

    pub(super) fn request(&self, window: Window) -> ListRequest {
        ListRequest {
            project_id: self.poller.target.project_id.clone(),
            is_dcdn: self.poller.target.is_dcdn,
            window: Some(window),
            ..ListRequest::of(self.poller.target.tasks)
        }
    }
}

/// How a walk ended, if not by an error.
pub(super) enum Walked {
    Whole(CompleteWalk),
    /// The API's clock showed that the window was the wrong one.
    WrongClock,
}

/// Whether a walk looks at the API's clock.
#[derive(Clone, Copy)]
pub(super) enum ClockCheck {
    /// This many seconds ahead of ours is what the window was made for.
    Against(i64),
    Off,
}
