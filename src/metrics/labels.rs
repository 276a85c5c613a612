//! Label sets. Their constructors accept only names of the config and fixed words.

use prometheus_client::encoding::EncodeLabelSet;

use crate::deliver::AttemptOutcome;
use crate::domain::event::EventType;
use crate::domain::model::{AccountName, Status, TargetName, WebhookName};
use crate::poll::{PollError, PollReport};
use crate::ucdn::error::CallOutcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByTarget {
    target: String,
}

impl ByTarget {
    pub(super) fn of(target: &TargetName) -> Self {
        Self {
            target: target.0.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Polled {
    target: String,
    outcome: &'static str,
}

impl Polled {
    pub(super) fn of(target: &TargetName, outcome: PollOutcome) -> Self {
        Self {
            target: target.0.clone(),
            outcome: outcome.as_str(),
        }
    }
}

/// A target and one of five fixed status words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByStatus {
    target: String,
    status: &'static str,
}

impl ByStatus {
    /// Every value of `status`.
    pub(super) const ALL: [&'static str; 5] = ["wait", "process", "success", "failure", "unknown"];

    /// One per status.
    pub(super) fn all(target: &TargetName) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|status| Self {
            target: target.0.clone(),
            status,
        })
    }

    pub(super) fn of(target: &TargetName, status: &Status) -> Self {
        let [wait, process, success, failure, unknown] = Self::ALL;
        Self {
            target: target.0.clone(),
            status: match status {
                Status::Wait => wait,
                Status::Process => process,
                Status::Success => success,
                Status::Failure => failure,
                Status::Other(_) => unknown,
            },
        }
    }

    /// The new status that an event of this type reports. `None` if it reports no transition.
    pub(super) fn of_event(target: &TargetName, r#type: EventType) -> Option<Self> {
        let [wait, process, success, failure, unknown] = Self::ALL;
        let status = match r#type {
            EventType::TaskWait => wait,
            EventType::TaskProcess => process,
            EventType::TaskSuccess => success,
            EventType::TaskFailure => failure,
            EventType::TaskUnknown => unknown,
            _ => return None,
        };
        Some(Self {
            target: target.0.clone(),
            status,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByEvent {
    target: String,
    r#type: &'static str,
}

impl ByEvent {
    pub(super) fn of(target: &TargetName, r#type: EventType) -> Self {
        Self {
            target: target.0.clone(),
            r#type: r#type.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Requested {
    account: String,
    outcome: &'static str,
}

impl Requested {
    pub(super) fn of(account: &AccountName, outcome: CallOutcome) -> Self {
        Self {
            account: account.0.clone(),
            outcome: outcome.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByWebhook {
    webhook: String,
}

impl ByWebhook {
    pub(super) fn of(webhook: &WebhookName) -> Self {
        Self {
            webhook: webhook.0.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Delivered {
    webhook: String,
    outcome: &'static str,
}

impl Delivered {
    pub(super) fn of(webhook: &WebhookName, outcome: AttemptOutcome) -> Self {
        Self {
            webhook: webhook.0.clone(),
            outcome: outcome.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}

/// Result of a poll, as label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollOutcome {
    Success,
    ApiError,
    ListError,
    StateError,
}

impl PollOutcome {
    pub(super) const ALL: [Self; 4] = [
        Self::Success,
        Self::ApiError,
        Self::ListError,
        Self::StateError,
    ];

    pub(super) fn of(report: &PollReport) -> Self {
        match &report.result {
            Ok(()) => Self::Success,
            Err(PollError::Api(_)) => Self::ApiError,
            Err(PollError::Walk(_)) => Self::ListError,
            Err(PollError::Store(_)) => Self::StateError,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApiError => "api_error",
            Self::ListError => "list_error",
            Self::StateError => "state_error",
        }
    }
}
