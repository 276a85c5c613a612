//! How attempts and operators' commands change a delivery, in SQL that all engines understand.

use super::AttemptResult;
use super::queries::DeliveryState;
use crate::domain::model::Timestamp;

/// A command of an operator about deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutboxCommand {
    /// See [`super::queries::OutboxAdmin::retry`].
    Retry,
    /// See [`super::queries::OutboxAdmin::discard`].
    Discard,
}

impl OutboxCommand {
    /// The statement that applies it to the delivery of event `$1` to webhook `$2`. Changes no row if the delivery already is as
    /// commanded.
    pub(super) fn sql(self) -> &'static str {
        match self {
            // As if it had never been attempted; the outcome of the last attempt stays visible.
            Self::Retry => {
                "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt = NULL
                WHERE sequence = $1 AND webhook = $2
                    AND (state = 'dead' OR (state = 'pending' AND (attempts > 0 OR next_attempt IS NOT NULL)))"
            }
            Self::Discard => {
                "DELETE FROM delivery WHERE sequence = $1 AND webhook = $2 AND state <> 'delivered'"
            }
        }
    }

    /// For errors.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Retry => "make deliveries due",
            Self::Discard => "drop deliveries",
        }
    }
}

/// The columns of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttemptRow<'a> {
    pub(super) state: DeliveryState,
    /// By how much [`super::Delivery::attempts`] grows.
    pub(super) failed: i64,
    pub(super) next_attempt: Option<Timestamp>,
    pub(super) at: Timestamp,
    pub(super) answer: &'a str,
}

impl AttemptResult {
    pub(super) fn row(&self) -> AttemptRow<'_> {
        let (state, failed, next_attempt, at, answer) = match self {
            Self::Delivered { at, answer } => (DeliveryState::Delivered, 0, None, at, answer),
            Self::Failed {
                at,
                answer,
                next_attempt,
            } => (DeliveryState::Pending, 1, Some(*next_attempt), at, answer),
            Self::Dead { at, answer } => (DeliveryState::Dead, 1, None, at, answer),
        };
        AttemptRow {
            state,
            failed,
            next_attempt,
            at: *at,
            answer,
        }
    }
}
