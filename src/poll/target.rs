//! The polled target: its settings, the list they select, and what a poll needs besides.

use std::sync::Arc;
use std::time::Duration;

use super::routing::Router;
use crate::clock::Clock;
use crate::config::Target;
use crate::domain::event::EventBuilder;
use crate::domain::model::{TargetName, Timestamp, Window};
use crate::store::{Store, StoreError, TargetState};
use crate::ucdn::ListRequest;
use crate::ucdn::client::ListApi;

/// What polls need besides their target.
#[derive(Clone, Debug)]
pub struct PollContext {
    /// The client of the target's account.
    pub client: Arc<dyn ListApi>,
    /// The state.
    pub store: Arc<dyn Store>,
    /// Which receivers get an event.
    pub router: Arc<Router>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long finished tasks are kept.
    pub retention: Duration,
}

/// A target and what its polls need.
#[derive(Debug)]
pub(super) struct PolledTarget {
    pub(super) name: TargetName,
    pub(super) settings: Target,
    /// Which list the settings select. The stored tasks of a target are void once it selects another list.
    pub(super) list: String,
    pub(super) context: PollContext,
}

impl PolledTarget {
    pub(super) fn new(name: TargetName, settings: Target, context: PollContext) -> Self {
        let list = format!(
            "{}|{}|{}|{}",
            context.client.endpoint(),
            settings.project_id.as_deref().unwrap_or_default(),
            settings
                .is_dcdn
                .map_or_else(String::new, |dcdn| dcdn.to_string()),
            settings.tasks,
        );
        Self {
            name,
            settings,
            list,
            context,
        }
    }

    /// What the last poll stored, or a new state if the target selects another list now.
    pub(super) fn load_state(&self) -> Result<TargetState, StoreError> {
        let store = &self.context.store;
        let state = store.target(&self.name)?;
        if state.list == self.list {
            return Ok(state);
        }
        if !state.list.is_empty() {
            log::warn!(
                "the target means another list now, and begins anew: target={}",
                self.name
            );
            store.forget_target(&self.name)?;
        }
        Ok(TargetState {
            list: self.list.clone(),
            ..TargetState::default()
        })
    }

    pub(super) fn page_size(&self) -> u32 {
        self.settings.poll.page_size.get()
    }

    /// The request for the tasks that were created in a window.
    pub(super) fn list_request(&self, window: Window) -> ListRequest {
        ListRequest {
            project_id: self.settings.project_id.clone(),
            is_dcdn: self.settings.is_dcdn,
            window: Some(window),
            ..ListRequest::of(self.settings.tasks)
        }
    }

    pub(super) fn event_builder(&self, time: Timestamp) -> EventBuilder<'_> {
        EventBuilder {
            target: &self.name,
            kind: self.settings.tasks,
            time,
        }
    }
}
