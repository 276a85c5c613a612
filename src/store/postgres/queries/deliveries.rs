//! Deliveries for onlookers, and an operator's orders about them, a step at a time: no commit waits for more than one.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::events;
use super::where_clause::PgWhereClause;
use crate::domain::model::WebhookName;
use crate::store::batched::{BATCH_ROWS, Batch};
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::outbox::OutboxCommand;
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::values::{as_it_came, count, kept, optional_time, small_count};
use crate::store::queries::{DeliveryCursor, DeliveryRecord, DeliveryState};

/// See [`crate::store::queries::StateQueries::deliveries`].
pub(super) async fn page(
    tx: &Transaction<'_>,
    filter: &DeliveryFilter,
    after: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, PostgresError> {
    let mut conditions = conditions(filter);
    if let Some(place) = after {
        let sequence = conditions.place(kept(place.sequence));
        let webhook = conditions.place(place.webhook.as_str().to_owned());
        conditions.add(&format!(
            "(d.sequence < {sequence} OR (d.sequence = {sequence} AND d.webhook > {webhook}))"
        ));
    }
    let limit = conditions.place(kept(limit as u64));
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

/// One step of a walk over the deliveries that a filter lets through, behind a place.
pub(super) async fn step(
    tx: &Transaction<'_>,
    filter: &DeliveryFilter,
    order: OutboxCommand,
    after: Option<&DeliveryCursor>,
) -> Result<Batch, PostgresError> {
    let mut conditions = conditions(filter);
    conditions.add("d.state IN ('pending', 'dead')");
    if let Some(place) = after {
        let sequence = conditions.place(kept(place.sequence));
        let webhook = conditions.place(place.webhook.as_str().to_owned());
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
    let visited: Vec<DeliveryCursor> = rows.iter().map(read_place).collect::<Result<_, _>>()?;
    let mut changed = 0;
    for place in &visited {
        let row: [&(dyn ToSql + Sync); 2] = [&kept(place.sequence), &place.webhook.as_str()];
        changed += tx.execute(order.sql(), &row).await?;
    }
    Ok(Batch { visited, changed })
}

fn read_place(row: &Row) -> Result<DeliveryCursor, PostgresError> {
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
                format!("d.sequence = {}", conditions.place(kept(*number)))
            }
            EventRef::Id(id) => format!("e.id = {}", conditions.place(id.clone())),
        })
        .collect();
    conditions.any_of(&events);
    conditions
}

/// What a delivery has come to.
pub(in crate::store::postgres) fn state(
    row: &Row,
    column: usize,
) -> Result<DeliveryState, PostgresError> {
    let word: &str = row.try_get(column)?;
    DeliveryState::from_word(word)
        .ok_or_else(|| PostgresError::Damage(format!("{word:?} is no state")))
}

fn read(row: &Row) -> Result<DeliveryRecord, PostgresError> {
    let event = events::read(row, 0)?;
    let of_event = event.sequence;
    let read = || -> Result<DeliveryRecord, PostgresError> {
        let first = events::COLUMN_COUNT;
        let last_answer: Option<&str> = row.try_get(first + 5)?;
        Ok(DeliveryRecord {
            webhook: WebhookName(row.try_get(first)?),
            state: state(row, first + 1)?,
            attempts: small_count(row, first + 2)?,
            next_attempt: optional_time(row, first + 3)?,
            last_attempt: optional_time(row, first + 4)?,
            last_answer: last_answer.map(as_it_came),
            event,
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {of_event}")))
}
