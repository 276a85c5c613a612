//! One poll of one target: walk the list, compare, commit. Sends nothing.
//!
//! Each page is committed when it is read, so what a page showed is kept if the next one fails. What was *not* shown is
//! concluded from a [`CompleteWalk`] of the whole list only.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Target;
use crate::domain::event::{EventBuilder, EventDraft};
use crate::domain::incident::Incident;
use crate::domain::model::{TargetName, Timestamp};
use crate::domain::text::with_causes;
use crate::store::{Commit, NewEvent, Store, StoreError, TargetState};
use crate::ucdn::client::ListApi;
#[cfg(doc)]
use crate::ucdn::walk::CompleteWalk;

mod absent;
mod journal;
mod reading;
mod report;
mod round;
pub mod routing;
mod server_clock;
mod sight;

use journal::log_event;
use reading::Progress;
pub use report::{PollError, PollReport};
use round::Round;
use routing::Router;
use server_clock::ServerClock;

/// Polls one target.
#[derive(Debug)]
pub struct Poller {
    name: TargetName,
    target: Target,
    /// Which list the target means: if that changes under the same name, what is known of it is void.
    list: String,
    client: Arc<dyn ListApi>,
    store: Arc<dyn Store>,
    routes: Arc<Router>,
    clock: Arc<dyn Clock>,
    retention: Duration,
    memory: Mutex<PollState>,
}

/// What a poller remembers between polls: nothing about tasks.
#[derive(Clone, Debug, Default)]
struct PollState {
    /// Of the polls, without what differs each time.
    fault: Incident,
    server_clock: ServerClock,
    /// When the last page was asked for, by the monotonic clock.
    last_turn: Duration,
    /// What the last poll can be built upon; none if it failed, or was none.
    progress: Option<Progress>,
}

/// What polls need besides their target.
#[derive(Clone, Debug)]
pub struct PollContext {
    /// The target's account's client.
    pub client: Arc<dyn ListApi>,
    /// The state.
    pub store: Arc<dyn Store>,
    /// Who is owed what.
    pub routes: Arc<Router>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long finished tasks are kept.
    pub retention: Duration,
}

impl Poller {
    /// A poller of the target as it is configured.
    #[must_use]
    pub fn new(name: TargetName, target: Target, surroundings: PollContext) -> Self {
        let list = format!(
            "{}|{}|{}|{}",
            surroundings.client.endpoint(),
            target.project_id.as_deref().unwrap_or_default(),
            target
                .is_dcdn
                .map_or_else(String::new, |dcdn| dcdn.to_string()),
            target.tasks,
        );
        Self {
            name,
            target,
            list,
            client: surroundings.client,
            store: surroundings.store,
            routes: surroundings.routes,
            clock: surroundings.clock,
            retention: surroundings.retention,
            memory: Mutex::default(),
        }
    }

    /// The target's settings.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes over what a poller of the same list remembers: a reload is no new beginning, so a fault that goes on is
    /// not logged again.
    pub fn succeed_to(&self, predecessor: &Self) {
        if self.list == predecessor.list {
            let memory = predecessor.memory.lock().clone();
            // The settings may say another lookback now, or other pages.
            let memory = PollState {
                progress: None,
                ..memory
            };
            *self.memory.lock() = memory;
        }
    }

    /// Ends the call under way, for a stop.
    pub fn cut(&self) {
        self.client.shut_down();
    }

    /// When the poll under way last asked for a page, by the monotonic clock.
    #[must_use]
    pub fn last_turn(&self) -> Duration {
        self.memory.lock().last_turn
    }

    /// The present as far as both the API's clock and ours vouch for it; none before the API's first answer. What is
    /// forgotten for its age is not forgotten for a clock of ours that is ahead.
    #[must_use]
    pub fn vouched_now(&self) -> Option<Timestamp> {
        self.server_clock().vouched_now(&*self.clock)
    }

    fn server_clock(&self) -> ServerClock {
        self.memory.lock().server_clock
    }

    /// How long one page may take: the wait for the account's budget, and the call.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.client.page_timeout()
    }

    /// Says in an event that what was known of the target is lost; the next good poll says that it is watched again.
    pub fn report_lost_state(&self, reason: &str) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.failing_reported = true;
        let lost = self.event_builder(self.clock.now()).lost_state(reason);
        let commit = Commit {
            target: Some(state),
            ..Commit::default()
        };
        self.commit(commit, vec![lost], &mut PollReport::begun())
    }

    /// Polls once, to the end or to the first error.
    pub fn poll(&self) -> PollReport {
        let begun = self.clock.monotonic();
        let mut report = PollReport::begun();
        report.result = self.run(&mut report);
        if let Ok(in_flight) = self.store.count_in_flight(&self.name) {
            report.in_flight = in_flight;
        }
        self.log_fault(report.result.as_ref().err());
        report.took = self.clock.monotonic().saturating_sub(begun);
        report
    }

    fn run(&self, report: &mut PollReport) -> Result<(), PollError> {
        let state = self.state()?;
        let mut round = Round::begin(self, state, report);
        let result = round.run();
        let (state, report) = round.into_parts();
        match result {
            Ok(()) => Ok(self.succeed(state, report)?),
            Err(error) if error.is_stop() || matches!(error, PollError::Store(_)) => Err(error),
            Err(error) => {
                self.fail(state, report, &error)?;
                Err(error)
            }
        }
    }

    /// What the last poll left, or a new beginning if the name now means another list.
    fn state(&self) -> Result<TargetState, StoreError> {
        let state = self.store.target(&self.name)?;
        if state.list == self.list {
            return Ok(state);
        }
        if !state.list.is_empty() {
            log::warn!(
                "the target means another list now, and begins anew: target={}",
                self.name
            );
            self.store.forget_target(&self.name)?;
        }
        Ok(TargetState {
            list: self.list.clone(),
            ..TargetState::default()
        })
    }

    fn succeed(&self, mut state: TargetState, report: &mut PollReport) -> Result<(), StoreError> {
        let mut drafts = Vec::new();
        if state.failing_reported {
            drafts.push(
                self.event_builder(self.clock.now())
                    .recovered(state.failed_polls),
            );
        }
        if state.failed_polls == 0 && !state.failing_reported {
            return Ok(());
        }
        (state.failed_polls, state.failing_reported) = (0, false);
        self.commit(
            Commit {
                target: Some(state),
                ..Commit::default()
            },
            drafts,
            report,
        )
    }

    fn fail(
        &self,
        mut state: TargetState,
        report: &mut PollReport,
        error: &PollError,
    ) -> Result<(), StoreError> {
        state.failed_polls = state.failed_polls.saturating_add(1);
        report.failed_polls = state.failed_polls;
        let mut drafts = Vec::new();
        if state.failed_polls >= self.target.poll.fail_after.get() && !state.failing_reported {
            state.failing_reported = true;
            let reason = error.to_string();
            drafts.push(
                self.event_builder(self.clock.now())
                    .failing(state.failed_polls, &reason),
            );
        }
        self.commit(
            Commit {
                target: Some(state),
                ..Commit::default()
            },
            drafts,
            report,
        )
    }

    /// Writes what was learned and what is owed for it in one transaction, then says so.
    fn commit(
        &self,
        mut commit: Commit,
        drafts: Vec<EventDraft>,
        report: &mut PollReport,
    ) -> Result<(), StoreError> {
        commit.events = drafts
            .into_iter()
            .map(|draft| NewEvent {
                subscribers: self.routes.subscribers(&draft),
                draft,
            })
            .collect();
        if commit.is_empty() {
            return Ok(());
        }
        commit.time = self.clock.now();
        self.store.commit(&self.name, &commit)?;
        if !commit.events.is_empty() {
            self.routes.notify();
        }
        for event in &commit.events {
            report.events += 1;
            report.newly_failed += u64::from(event.draft.is_new_failure());
            *report.types.entry(event.draft.r#type).or_default() += 1;
            report.durations.extend(event.draft.took);
            log_event(&event.draft);
        }
        Ok(())
    }

    fn event_builder(&self, time: Timestamp) -> EventBuilder<'_> {
        EventBuilder {
            target: &self.name,
            kind: self.target.tasks,
            time,
        }
    }

    /// A fault is logged when it begins, when it changes and when it ends.
    fn log_fault(&self, error: Option<&PollError>) {
        if error.is_some_and(PollError::is_stop) {
            return;
        }
        let name = &self.name;
        let mut memory = self.memory.lock();
        match error {
            Some(error) if memory.fault.failed(&error.dedup_key()).is_news() => {
                log::warn!("poll failed: target={name} reason={}", with_causes(error));
            }
            None if memory.fault.ended().is_some() => {
                log::info!("polls succeed again: target={name}");
            }
            _ => {}
        }
    }
}
