//! An operator's orders about deliveries, a step at a time: no commit of the daemon's waits for more than one of them.

use rusqlite::{Connection, params, params_from_iter};

use super::deliveries;
use super::where_clause::{WhereClause, sequence, text};
use crate::domain::model::WebhookName;
use crate::store::batched::{STEP, Step};
use crate::store::filter::DeliveryFilter;
use crate::store::outbox::OutboxCommand;
use crate::store::queries::DeliveryCursor;
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::values::count;

/// One step of a walk over the deliveries that a filter lets through, behind a place. Within a write transaction.
pub(super) fn step(
    connection: &Connection,
    filter: &DeliveryFilter,
    order: OutboxCommand,
    after: Option<&DeliveryCursor>,
) -> Result<Step, SqliteError> {
    let met = places(connection, filter, after)?;
    let mut order = connection.prepare_cached(order.sql())?;
    let mut changed = 0;
    for place in &met {
        let row = params![place.sequence.cast_signed(), place.webhook.as_str()];
        changed += order.execute(row)? as u64;
    }
    Ok(Step { met, changed })
}

fn places(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<&DeliveryCursor>,
) -> Result<Vec<DeliveryCursor>, SqliteError> {
    let conditions = conditions(filter, after);
    let sql = format!(
        "SELECT d.sequence, d.webhook FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence, d.webhook LIMIT {STEP}",
        conditions.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.into_values()))?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        places.push(DeliveryCursor {
            sequence: count(row, 0)?,
            webhook: WebhookName(row.get(1)?),
        });
    }
    Ok(places)
}

fn conditions(filter: &DeliveryFilter, after: Option<&DeliveryCursor>) -> WhereClause {
    let mut conditions = deliveries::conditions(filter);
    conditions.add("(d.state = 'pending' OR d.state = 'dead')");
    if let Some(last) = after {
        let number = sequence(last.sequence);
        conditions.add_with(
            "d.sequence >= ? AND (d.sequence > ? OR d.webhook > ?)",
            [number.clone(), number, text(last.webhook.as_str())],
        );
    }
    conditions
}
