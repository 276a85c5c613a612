//! One poll: decides whether to read the whole list or its recent part, walks it, and queries unseen tasks by id.

use std::ops::ControlFlow;
use std::time::Duration;

use parking_lot::Mutex;

use super::missing::{AllQueried, FullScan, IDS_PER_REQUEST, SeenTasks};
use super::observe::Observer;
use super::record::Recorder;
use super::report::{PollError, PollReport};
use super::scan_window::{ClockReadings, PageFill, ScanHistory, page_capacity};
use super::state::PollState;
use super::target::PolledTarget;
use crate::domain::model::{TaskRowId, Timestamp, Window};
use crate::store::{Baseline, RecentSpan, StoreError, TargetState, TaskInFlight};
use crate::ucdn::ListRequest;
use crate::ucdn::response::{ListResponse, ListedTask};
use crate::ucdn::walk::{CompleteWalk, PageRequest, PageVisitor, Paging, Walk, WalkEnd};

/// How far the window extends past the API's time. The clock that stamps tasks may be minutes ahead of the gateway's, and
/// `EndTime` may be exclusive.
const WINDOW_MARGIN: Duration = Duration::from_secs(10 * 60);

/// A difference between the API's clock and ours that no network delay explains. Beyond it the API's clock counts.
const MAX_CLOCK_DIFFERENCE_SECONDS: i64 = 5 * 60;

/// How far the window for ids extends around the tasks' own times.
const ID_WINDOW_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A running poll.
pub(super) struct PollRun<'a> {
    target: &'a PolledTarget,
    poll_state: &'a Mutex<PollState>,
    observer: Observer<'a>,
    began: ClockReadings,
    requests: u64,
}

/// How a walk ended that did not fail.
enum ScanOutcome {
    Complete(CompleteWalk),
    /// The API's clock showed that the window is wrong.
    WrongClock,
}

/// Whether a walk checks the API's clock.
#[derive(Clone, Copy)]
enum ClockCheck {
    /// The window was made for an API clock that is ahead of ours by this many seconds.
    Against(i64),
    Off,
}

impl<'a> PollRun<'a> {
    pub(super) fn new(
        target: &'a PolledTarget,
        poll_state: &'a Mutex<PollState>,
        stored: TargetState,
        report: &'a mut PollReport,
    ) -> Self {
        let clock = &target.context.clock;
        let began = ClockReadings {
            monotonic: clock.monotonic(),
            wall: clock.now(),
            ahead_seconds: 0,
        };
        let recorder = Recorder::new(target, stored, report);
        let seen = SeenTasks::none_until(TaskRowId::default());
        Self {
            target,
            poll_state,
            observer: Observer::new(target, recorder, seen),
            began,
            requests: 0,
        }
    }

    pub(super) fn into_parts(self) -> (TargetState, &'a mut PollReport) {
        self.observer.recorder.into_parts()
    }

    pub(super) fn run(&mut self) -> Result<(), PollError> {
        // Set again at the end: after a failed poll, the next one reads the whole list.
        let history = self.poll_state.lock().history.take();
        let horizon = self.target.context.store.last_task_row_id()?;
        self.observer.seen = SeenTasks::none_until(horizon);
        if let Some(history) = history
            && let Some(window) = self.recent_window(history)?
            && self.is_recent_part_enough(window)?
        {
            let last = self.clocks_at_begin();
            self.poll_state.lock().history = Some(ScanHistory { last, ..history });
            return Ok(());
        }
        let before = self.requests;
        let full_scan = self.read_whole_list()?;
        let full_scan_requests = self.requests - before;
        let queried = self.query_unseen()?;
        let Observer { recorder, seen, .. } = &mut self.observer;
        seen.conclude(self.target, recorder, &full_scan, &queried)?;
        let last = self.clocks_at_begin();
        self.poll_state.lock().history = Some(ScanHistory {
            full_scan_at: last.monotonic,
            full_scan_requests,
            last,
        });
        Ok(())
    }

    /// Reads the recent part of the list and queries the tasks in flight that it did not show. A task that neither shows is
    /// missing only if the whole list lacks it too: then the recent part is not enough.
    fn is_recent_part_enough(&mut self, window: Window) -> Result<bool, PollError> {
        let check = ClockCheck::Against(self.ahead_seconds());
        if let ScanOutcome::WrongClock = self.walk_list(window, self.paging(), check)? {
            self.log_clocks();
            return Ok(false);
        }
        self.query_unseen()?;
        Ok(!self.observer.seen.misses_any(self.target)?)
    }

    /// The recent part of the list that this poll may read. `None` if it must read the whole list, or if that takes no more requests.
    fn recent_window(&self, history: ScanHistory) -> Result<Option<Window>, StoreError> {
        let baseline = self.observer.recorder.state.baseline;
        if baseline == Baseline::Open || history.is_full_scan_due(self.clocks()) {
            return Ok(None);
        }
        let whole = self.window();
        let reach = |fill| {
            let capacity = page_capacity(self.paging(), self.target.page_size(), fill);
            let store = &self.target.context.store;
            store.recent_span(&self.target.name, capacity, whole.begin)
        };
        if reach(PageFill::Full)? == RecentSpan::Everything {
            return Ok(None);
        }
        let Some(window) = history.recent_window(reach(PageFill::WithRoomForNew)?, whole) else {
            return Ok(None);
        };
        let seen = &self.observer.seen;
        let by_id = seen.requests_for_older_than(self.target, window.begin)?;
        Ok((by_id.saturating_add(1) < history.full_scan_requests).then_some(window))
    }

    /// Reads the whole lookback. If the API's clock turns out to differ, the walk starts again once.
    fn read_whole_list(&mut self) -> Result<FullScan, PollError> {
        let mut paging = self.paging();
        let mut check = ClockCheck::Against(self.ahead_seconds());
        loop {
            match self.walk_list(self.window(), paging, check)? {
                ScanOutcome::Complete(walk) => return Ok(FullScan::of(walk)),
                ScanOutcome::WrongClock => self.log_clocks(),
            }
            (paging, check) = (Paging::default(), ClockCheck::Off);
        }
    }

    fn log_clocks(&self) {
        let (name, ahead) = (&self.target.name, self.ahead_seconds());
        if ahead.abs() > MAX_CLOCK_DIFFERENCE_SECONDS {
            log::warn!(
                "the clocks differ, and the API's is used: target={name} ours_is_behind_by={ahead}s"
            );
        } else {
            log::info!("the clocks agree again: target={name}");
        }
    }

    /// Queries by id the tasks in flight that this poll has not seen.
    fn query_unseen(&mut self) -> Result<AllQueried, PollError> {
        let mut walks = Vec::new();
        let mut waiting = Vec::new();
        let mut after = TaskRowId::default();
        while let Some(batch) = self.observer.seen.unseen_after(self.target, after)? {
            after = batch.last;
            waiting.extend(batch.unseen);
            while waiting.len() >= IDS_PER_REQUEST {
                let rest = waiting.split_off(IDS_PER_REQUEST);
                walks.extend(self.query_tasks(&waiting)?);
                waiting = rest;
            }
        }
        if !waiting.is_empty() {
            walks.extend(self.query_tasks(&waiting)?);
        }
        Ok(AllQueried::of(walks))
    }

    fn query_tasks(&mut self, tasks: &[TaskInFlight]) -> Result<Option<CompleteWalk>, PollError> {
        let times = || tasks.iter().filter_map(|task| task.created);
        let (oldest, newest) = (times().min(), times().max());
        let window = self.window();
        let begin = oldest.map_or_else(
            || window.end.saturating_sub(self.target.context.retention),
            |oldest| oldest.saturating_sub(ID_WINDOW_MARGIN),
        );
        // If the API sends no `Date` and our clock was set back, tasks lie beyond the window's end.
        let end = newest.map_or(window.end, |newest| newest.saturating_add(ID_WINDOW_MARGIN));
        let mut request = self.target.list_request(Window {
            begin: begin.min(window.begin),
            end: end.max(window.end),
        });
        request.task_ids = tasks.iter().map(|task| task.id.clone()).collect();
        Ok(match self.walk(&request, self.paging(), ClockCheck::Off)? {
            ScanOutcome::Complete(walk) => Some(walk),
            ScanOutcome::WrongClock => None,
        })
    }

    /// Walks a part of the list, and stores what that shows of the server's paging.
    fn walk_list(
        &mut self,
        window: Window,
        paging: Paging,
        check: ClockCheck,
    ) -> Result<ScanOutcome, PollError> {
        let outcome = self.walk(&self.target.list_request(window), paging, check)?;
        if let ScanOutcome::Complete(walk) = &outcome {
            let state = &mut self.observer.recorder.state;
            state.paging = serde_json::to_string(&walk.paging()).unwrap_or_default();
        }
        Ok(outcome)
    }

    fn walk(
        &mut self,
        request: &ListRequest,
        paging: Paging,
        check: ClockCheck,
    ) -> Result<ScanOutcome, PollError> {
        let mut walk = Walk::new(self.target.page_size(), paging);
        let mut scan = ListScan {
            run: self,
            request,
            check,
            is_clock_wrong: false,
        };
        let end = walk.run(&mut scan);
        let is_clock_wrong = scan.is_clock_wrong;
        if !matches!(end, Ok(WalkEnd::Complete(_))) {
            // What earlier pages showed counts although the walk did not reach the list's end.
            let api_now = self.api_now();
            self.observer
                .observe_page(walk.into_unreported(), api_now)?;
        }
        Ok(match end? {
            WalkEnd::Complete(walk) if !is_clock_wrong => ScanOutcome::Complete(walk),
            WalkEnd::Complete(_) | WalkEnd::Stopped => ScanOutcome::WrongClock,
        })
    }

    fn fetch(&mut self, request: &ListRequest) -> Result<ListResponse, PollError> {
        let context = &self.target.context;
        self.requests += 1;
        self.poll_state.lock().last_request_at = context.clock.monotonic();
        let response = context.client.list(request)?;
        let server_clock = &mut self.poll_state.lock().server_clock;
        server_clock.record(response.server_time, &*context.clock);
        Ok(response.page)
    }

    fn paging(&self) -> Paging {
        serde_json::from_str(&self.observer.recorder.state.paging).unwrap_or_default()
    }

    /// The whole lookback.
    fn window(&self) -> Window {
        let ahead = self.ahead_seconds();
        let now = if ahead.abs() > MAX_CLOCK_DIFFERENCE_SECONDS {
            self.api_now()
        } else {
            self.target.context.clock.now()
        };
        Window {
            begin: now.saturating_sub(self.target.settings.poll.lookback.get()),
            end: now.saturating_add(WINDOW_MARGIN),
        }
    }

    fn api_now(&self) -> Timestamp {
        let server_clock = self.poll_state.lock().server_clock;
        server_clock.now(&*self.target.context.clock)
    }

    /// How far the API's clock is ahead of ours. 0 while it is not known.
    fn ahead_seconds(&self) -> i64 {
        let server_clock = self.poll_state.lock().server_clock;
        server_clock.ahead_seconds(&*self.target.context.clock)
    }

    fn clocks(&self) -> ClockReadings {
        ClockReadings {
            monotonic: self.target.context.clock.monotonic(),
            wall: self.target.context.clock.now(),
            ahead_seconds: self.ahead_seconds(),
        }
    }

    /// When the poll began, with what is known of the API's clock by now.
    fn clocks_at_begin(&self) -> ClockReadings {
        ClockReadings {
            ahead_seconds: self.ahead_seconds(),
            ..self.began
        }
    }
}

/// Reads a list for a poll.
struct ListScan<'r, 'a> {
    run: &'r mut PollRun<'a>,
    request: &'r ListRequest,
    check: ClockCheck,
    is_clock_wrong: bool,
}

impl PageVisitor for ListScan<'_, '_> {
    type Error = PollError;

    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, PollError> {
        self.run.fetch(&page.of_list(self.request))
    }

    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, PollError> {
        let api_now = self.run.api_now();
        let observer = &mut self.run.observer;
        observer.recorder.state.first_polled.get_or_insert(api_now);
        observer.observe_page(tasks, api_now)?;
        self.is_clock_wrong = match self.check {
            ClockCheck::Against(assumed) => {
                (self.run.ahead_seconds() - assumed).abs() > MAX_CLOCK_DIFFERENCE_SECONDS
            }
            ClockCheck::Off => false,
        };
        Ok(if self.is_clock_wrong {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}
