//! An operator's orders about deliveries, a step at a time: no commit of the daemon's waits for more than one of them.

use rusqlite::{Connection, params, params_from_iter};

use super::conditions::{Conditions, sequence, text};
use super::deliveries;
use crate::model::WebhookName;
use crate::store::filter::DeliveryFilter;
use crate::store::records::DeliveryPlace;
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::row::count;

/// Deliveries a step: some milliseconds.
const STEP: usize = 500;

/// As if it had never been tried; what came of the last try stays to be seen. No row: it is so already.
pub(super) const RETRY: &str = "UPDATE delivery SET state = 'pending', tries = 0, next_try = NULL
    WHERE sequence = ?1 AND webhook = ?2
        AND (state = 'dead' OR (state = 'pending' AND (tries > 0 OR next_try IS NOT NULL)))";
pub(super) const DISCARD: &str =
    "DELETE FROM delivery WHERE sequence = ?1 AND webhook = ?2 AND state <> 'delivered'";

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Deliveries that it changed.
    pub(super) changed: u64,
    /// Whether it found the last that there are.
    pub(super) is_last: bool,
}

/// A walk over the deliveries that a filter lets through, each met once: what a courier gives up again behind the walk's back is
/// not met a second time, so that every walk ends.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    filter: &'a DeliveryFilter,
    order: &'static str,
    last: Option<DeliveryPlace>,
}

impl<'a> Walk<'a> {
    /// `order` is one of the above.
    pub(super) fn new(filter: &'a DeliveryFilter, order: &'static str) -> Self {
        Self {
            filter,
            order,
            last: None,
        }
    }

    /// Within a write transaction.
    pub(super) fn step(&mut self, connection: &Connection) -> Result<Step, Fault> {
        let places = self.next_places(connection)?;
        let mut order = connection.prepare_cached(self.order)?;
        let mut changed = 0;
        for place in &places {
            let row = params![place.sequence.cast_signed(), place.webhook.as_str()];
            changed += order.execute(row)? as u64;
        }
        let is_last = places.len() < STEP;
        self.last = places.into_iter().next_back();
        Ok(Step { changed, is_last })
    }

    fn next_places(&self, connection: &Connection) -> Result<Vec<DeliveryPlace>, Fault> {
        let conditions = self.conditions();
        let sql = format!(
            "SELECT d.sequence, d.webhook FROM delivery d JOIN event e ON e.sequence = d.sequence {}
             ORDER BY d.sequence, d.webhook LIMIT {STEP}",
            conditions.sql()
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(conditions.into_values()))?;
        let mut places = Vec::new();
        while let Some(row) = rows.next()? {
            places.push(DeliveryPlace {
                sequence: count(row, 0)?,
                webhook: WebhookName(row.get(1)?),
            });
        }
        Ok(places)
    }

    fn conditions(&self) -> Conditions {
        let mut conditions = deliveries::conditions(self.filter);
        conditions.add("(d.state = 'pending' OR d.state = 'dead')");
        if let Some(last) = &self.last {
            let number = sequence(last.sequence);
            conditions.add_with(
                "d.sequence >= ? AND (d.sequence > ? OR d.webhook > ?)",
                [number.clone(), number, text(last.webhook.as_str())],
            );
        }
        conditions
    }
}
