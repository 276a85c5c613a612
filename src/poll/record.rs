//! Recording: commits changes and their events in one transaction, then notifies the delivery workers and logs the events.

use super::report::{PollReport, log_event};
use super::target::PolledTarget;
use crate::domain::event::EventDraft;
use crate::store::{Commit, NewEvent, StoreError, TargetState};

/// Records what one poll finds.
pub(super) struct Recorder<'a> {
    target: &'a PolledTarget,
    /// The target's state. Written with the next commit if it differs from `stored_state`.
    pub(super) state: TargetState,
    stored_state: TargetState,
    pub(super) report: &'a mut PollReport,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        target: &'a PolledTarget,
        state: TargetState,
        report: &'a mut PollReport,
    ) -> Self {
        let stored_state = if state.first_polled.is_some() {
            state.clone()
        } else {
            TargetState::default()
        };
        Self {
            target,
            state,
            stored_state,
            report,
        }
    }

    pub(super) fn into_parts(self) -> (TargetState, &'a mut PollReport) {
        (self.state, self.report)
    }

    /// Commits changed tasks, their events, and the target's state.
    pub(super) fn commit(
        &mut self,
        mut changes: Commit,
        drafts: Vec<EventDraft>,
    ) -> Result<(), StoreError> {
        if self.state != self.stored_state {
            changes.target = Some(self.state.clone());
        }
        commit(self.target, changes, drafts, self.report)?;
        self.stored_state.clone_from(&self.state);
        Ok(())
    }
}

/// Commits changes with their events and outbox rows in one transaction.
pub(super) fn commit(
    target: &PolledTarget,
    mut commit: Commit,
    drafts: Vec<EventDraft>,
    report: &mut PollReport,
) -> Result<(), StoreError> {
    let context = &target.context;
    commit.events = drafts
        .into_iter()
        .map(|draft| NewEvent {
            subscribers: context.router.subscribers(&draft),
            draft,
        })
        .collect();
    if commit.is_empty() {
        return Ok(());
    }
    commit.time = context.clock.now();
    context.store.commit(&target.name, &commit)?;
    if !commit.events.is_empty() {
        context.router.notify();
    }
    for event in &commit.events {
        report.add_event(&event.draft);
        log_event(&event.draft);
    }
    Ok(())
}

/// A commit of the target's state alone.
pub(super) fn of_state(state: TargetState) -> Commit {
    Commit {
        target: Some(state),
        ..Commit::default()
    }
}
