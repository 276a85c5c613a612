//! Poll: reads the task list of one target, compares it with the stored tasks, and commits the changes and their events.
//!
//! [`Poller::poll`] is one whole poll. It sends nothing: delivery workers read the events from the store. Each page is committed as
//! it is read, so a failing later page loses nothing. Only a complete walk over the whole list concludes that a task is missing.

use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Target;
use crate::domain::model::{TargetName, Timestamp};
use crate::domain::text::with_causes;
use crate::store::{StoreError, TargetState};

mod missing;
mod observe;
mod record;
mod report;
pub mod routing;
mod run;
mod scan_window;
mod server_clock;
mod state;
mod target;

use record::{commit, of_state};
pub use report::{PollError, PollReport};
use run::PollRun;
use state::PollState;
pub use target::PollContext;
use target::PolledTarget;

/// Polls one target.
#[derive(Debug)]
pub struct Poller {
    target: PolledTarget,
    state: Mutex<PollState>,
}

impl Poller {
    /// A poller of the target with these settings.
    #[must_use]
    pub fn new(name: TargetName, settings: Target, context: PollContext) -> Self {
        Self {
            target: PolledTarget::new(name, settings, context),
            state: Mutex::default(),
        }
    }

    /// The target's settings.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target.settings
    }

    /// Takes over what a poller of the same list remembers, so that a reload does not log an ongoing fault again.
    pub fn take_over(&self, predecessor: &Self) {
        if self.target.list == predecessor.target.list {
            let state = predecessor.state.lock().clone();
            *self.state.lock() = state.after_reload();
        }
    }

    /// Aborts the running call, for shutdown.
    pub fn abort(&self) {
        self.target.context.client.shut_down();
    }

    /// When the running poll last requested a page, by the monotonic clock.
    #[must_use]
    pub fn last_request_at(&self) -> Duration {
        self.state.lock().last_request_at
    }

    /// The earlier of the API's time and ours. `None` before the API's first response. Retention counts from it, so that a wrong
    /// clock deletes nothing too early.
    #[must_use]
    pub fn conservative_now(&self) -> Option<Timestamp> {
        let server_clock = self.state.lock().server_clock;
        server_clock.conservative_now(&*self.target.context.clock)
    }

    /// Longest time for one page: the wait for the account's request rate, and the call.
    #[must_use]
    pub fn page_timeout(&self) -> Duration {
        self.target.context.client.page_timeout()
    }

    /// Records a `watch.failing` event, because the state of the target was lost. The next good poll records `watch.recovered`.
    pub fn report_lost_state(&self, reason: &str) -> Result<(), StoreError> {
        let mut stored = self.target.load_state()?;
        stored.failing_reported = true;
        let lost = self.target.event_builder(self.now()).lost_state(reason);
        commit(
            &self.target,
            of_state(stored),
            vec![lost],
            &mut PollReport::new(),
        )
    }

    /// Polls once, until the list was read or an error occurs.
    pub fn poll(&self) -> PollReport {
        let clock = &self.target.context.clock;
        let begun = clock.monotonic();
        let mut report = PollReport::new();
        report.result = self.run(&mut report);
        let store = &self.target.context.store;
        if let Ok(in_flight) = store.count_in_flight(&self.target.name) {
            report.in_flight = in_flight;
        }
        self.log_incident(report.result.as_ref().err());
        report.took = clock.monotonic().saturating_sub(begun);
        report
    }

    fn run(&self, report: &mut PollReport) -> Result<(), PollError> {
        let stored = self.target.load_state()?;
        let mut run = PollRun::new(&self.target, &self.state, stored, report);
        let result = run.run();
        let (stored, report) = run.into_parts();
        match result {
            Ok(()) => Ok(self.handle_success(stored, report)?),
            Err(error) if error.is_stop() || matches!(error, PollError::Store(_)) => Err(error),
            Err(error) => {
                self.handle_failure(stored, report, &error)?;
                Err(error)
            }
        }
    }

    fn handle_success(
        &self,
        mut stored: TargetState,
        report: &mut PollReport,
    ) -> Result<(), StoreError> {
        if stored.failed_polls == 0 && !stored.failing_reported {
            return Ok(());
        }
        let mut drafts = Vec::new();
        if stored.failing_reported {
            let events = self.target.event_builder(self.now());
            drafts.push(events.recovered(stored.failed_polls));
        }
        (stored.failed_polls, stored.failing_reported) = (0, false);
        commit(&self.target, of_state(stored), drafts, report)
    }

    fn handle_failure(
        &self,
        mut stored: TargetState,
        report: &mut PollReport,
        error: &PollError,
    ) -> Result<(), StoreError> {
        stored.failed_polls = stored.failed_polls.saturating_add(1);
        report.failed_polls = stored.failed_polls;
        let mut drafts = Vec::new();
        let fail_after = self.target.settings.poll.fail_after.get();
        if stored.failed_polls >= fail_after && !stored.failing_reported {
            stored.failing_reported = true;
            let events = self.target.event_builder(self.now());
            drafts.push(events.failing(stored.failed_polls, &error.to_string()));
        }
        commit(&self.target, of_state(stored), drafts, report)
    }

    /// Logs an ongoing fault when it begins, changes and ends.
    fn log_incident(&self, error: Option<&PollError>) {
        if error.is_some_and(PollError::is_stop) {
            return;
        }
        let name = &self.target.name;
        let mut state = self.state.lock();
        match error {
            Some(error) if state.incident.failed(&error.dedup_key()).is_news() => {
                log::warn!("poll failed: target={name} reason={}", with_causes(error));
            }
            None if state.incident.ended().is_some() => {
                log::info!("polls succeed again: target={name}");
            }
            _ => {}
        }
    }

    fn now(&self) -> Timestamp {
        self.target.context.clock.now()
    }
}
