//! How tries and orders change a delivery, in the words that all engines understand.

use super::TryResult;
use super::records::DeliveryState;
use crate::model::Timestamp;

/// What an operator orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// See [`super::records::OutboxOrders::retry`].
    Retry,
    /// See [`super::records::OutboxOrders::discard`].
    Discard,
}

impl Order {
    /// What it makes of the delivery of the event `$1` to the webhook `$2`. No row: it is so already.
    pub(super) fn sql(self) -> &'static str {
        match self {
            // As if it had never been tried; what came of the last try stays to be seen.
            Self::Retry => {
                "UPDATE delivery SET state = 'pending', tries = 0, next_try = NULL
                WHERE sequence = $1 AND webhook = $2
                    AND (state = 'dead' OR (state = 'pending' AND (tries > 0 OR next_try IS NOT NULL)))"
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

/// What a try makes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TryRow<'a> {
    pub(super) state: DeliveryState,
    /// By how much [`super::Delivery::tries`] grows.
    pub(super) failed: i64,
    pub(super) next_try: Option<Timestamp>,
    pub(super) at: Timestamp,
    pub(super) answer: &'a str,
}

impl TryResult {
    pub(super) fn row(&self) -> TryRow<'_> {
        let (state, failed, next_try, at, answer) = match self {
            Self::Delivered { at, answer } => (DeliveryState::Delivered, 0, None, at, answer),
            Self::Failed {
                at,
                answer,
                next_try,
            } => (DeliveryState::Pending, 1, Some(*next_try), at, answer),
            Self::Dead { at, answer } => (DeliveryState::Dead, 1, None, at, answer),
        };
        TryRow {
            state,
            failed,
            next_try,
            at: *at,
            answer,
        }
    }
}
