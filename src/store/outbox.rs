//! How attempts and operators' commands change a delivery, in SQL that all engines understand.

use std::fmt;

use super::AttemptResult;
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

impl<'a> From<&'a AttemptResult> for AttemptRow<'a> {
    fn from(result: &'a AttemptResult) -> Self {
        let (state, failed, next_attempt, at, answer) = match result {
            AttemptResult::Delivered { at, answer } => {
                (DeliveryState::Delivered, 0, None, at, answer)
            }
            AttemptResult::Failed {
                at,
                answer,
                next_attempt,
            } => (DeliveryState::Pending, 1, Some(*next_attempt), at, answer),
            AttemptResult::Dead { at, answer } => (DeliveryState::Dead, 1, None, at, answer),
        };
        Self {
            state,
            failed,
            next_attempt,
            at: *at,
            answer,
        }
    }
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// Still to be made.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// Reads [`DeliveryState::as_str`].
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
