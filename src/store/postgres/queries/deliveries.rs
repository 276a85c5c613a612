//! Lists of deliveries, and the batches in which an operator's command changes them: no commit waits for more than one batch.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::events;
use super::where_clause::PgWhereClause;
use crate::domain::model::WebhookName;
use crate::store::batched::{BATCH_ROWS, VisitedBatch};
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::outbox::OutboxCommand;
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::values::{
    count, delivery_state, optional_time, small_count, to_bigint, unescape,
};
use crate::store::queries::{DeliveryCursor, DeliveryRecord};

/// See [`crate::store::queries::StateQueries::deliveries`].
pub(super) async fn page(
    tx: &Transaction<'_>,
    filter: &DeliveryFilter,
    after: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, PostgresError> {
    let mut conditions = conditions(filter);
    if let Some(cursor) = after {
        let sequence = conditions.place(to_bigint(cursor.sequence));
        let webhook = conditions.place(cursor.webhook.as_str().to_owned());
        conditions.add(&format!(
            "(d.sequence < {sequence} OR (d.sequence = {sequence} AND d.webhook > {webhook}))"
        ));
    }
    let limit = conditions.place(to_bigint(limit as u64));
    let sql = format!(
        "SELECT {}, d.webhook, d.state, d.attempts, d.next_attempt, d.last_attempt, d.last_answer
         FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence DESC, d.webhook LIMIT {limit}",
        events::COLUMNS,
        conditions.sql()
    );
    let rows = tx.query_once(&sql, &conditions.values()).await?;
    rows.iter().map(read).collect()
}

/// Applies `command` to the next deliveries after `after` that match the filter.
pub(super) async fn batch(
    tx: &Transaction<'_>,
    filter: &DeliveryFilter,
    command: OutboxCommand,
    after: Option<&DeliveryCursor>,
) -> Result<VisitedBatch, PostgresError> {
    let mut conditions = conditions(filter);
    conditions.add("d.state IN ('pending', 'dead')");
    if let Some(cursor) = after {
        let sequence = conditions.place(to_bigint(cursor.sequence));
        let webhook = conditions.place(cursor.webhook.as_str().to_owned());
        conditions.add(&format!(
            "(d.sequence, d.webhook) > ({sequence}, {webhook})"
        ));
    }
    let sql = format!(
        "SELECT d.sequence, d.webhook FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence, d.webhook LIMIT {BATCH_ROWS}",
        conditions.sql()
    );
    let rows = tx.query_once(&sql, &conditions.values()).await?;
    let visited: Vec<DeliveryCursor> = rows.iter().map(read_cursor).collect::<Result<_, _>>()?;
    let mut changed = 0;
    for cursor in &visited {
        let row: [&(dyn ToSql + Sync); 2] = [&to_bigint(cursor.sequence), &cursor.webhook.as_str()];
        changed += tx.execute(command.sql(), &row).await?;
    }
    Ok(VisitedBatch { visited, changed })
}

fn read_cursor(row: &Row) -> Result<DeliveryCursor, PostgresError> {
    Ok(DeliveryCursor {
        sequence: count(row, 0)?,
        webhook: WebhookName(row.try_get(1)?),
    })
}

/// On `delivery d` joined with its `event e`.
fn conditions(filter: &DeliveryFilter) -> PgWhereClause {
    let mut conditions = PgWhereClause::default();
    let webhooks = filter.webhooks.iter().map(|name| name.as_str().to_owned());
    conditions.one_of("d.webhook", webhooks.collect());
    // Spelt out: a parameter would keep the server from the indexes of the pending and the dead.
    let states = filter.states.iter();
    let states: Vec<String> = states.map(|state| format!("d.state = '{state}'")).collect();
    conditions.any_of(&states);
    let types = filter.types.iter().map(|one| one.as_str().to_owned());
    conditions.one_of("e.type", types.collect());
    let events: Vec<String> = filter
        .events
        .iter()
        .map(|event| match event {
            EventRef::Sequence(number) => {
                format!("d.sequence = {}", conditions.place(to_bigint(*number)))
            }
            EventRef::Id(id) => format!("e.id = {}", conditions.place(id.clone())),
        })
        .collect();
    conditions.any_of(&events);
    conditions
}

fn read(row: &Row) -> Result<DeliveryRecord, PostgresError> {
    let event = events::read(row, 0)?;
    let of_event = event.sequence;
    let read = || -> Result<DeliveryRecord, PostgresError> {
        let first = events::COLUMN_COUNT;
        let last_answer: Option<&str> = row.try_get(first + 5)?;
        Ok(DeliveryRecord {
            webhook: WebhookName(row.try_get(first)?),
            state: delivery_state(row, first + 1)?,
            attempts: small_count(row, first + 2)?,
            next_attempt: optional_time(row, first + 3)?,
            last_attempt: optional_time(row, first + 4)?,
            last_answer: last_answer.map(unescape),
            event,
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {of_event}")))
}
