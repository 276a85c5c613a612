//! Deliveries for onlookers, and an operator's orders about them, a step at a time: no commit waits for more than one.

use tokio_postgres::Row;

use super::conditions::Conditions;
use super::events;
use crate::model::WebhookName;
use crate::store::filter::{DeliveryFilter, EventName};
use crate::store::postgres::fault::Fault;
use crate::store::postgres::row::{as_it_came, count, kept, optional_time, small_count};
use crate::store::postgres::session::Work;
use crate::store::records::{DeliveryPlace, DeliveryRecord, DeliveryState};

/// Deliveries a step: some tens of milliseconds.
const STEP: usize = 500;

/// As if it had never been tried; what came of the last try stays to be seen. No row: it is so already.
pub(super) const RETRY: &str = "UPDATE delivery SET state = 'pending', tries = 0, next_try = NULL
    WHERE sequence = $1 AND webhook = $2
        AND (state = 'dead' OR (state = 'pending' AND (tries > 0 OR next_try IS NOT NULL)))";
pub(super) const DISCARD: &str =
    "DELETE FROM delivery WHERE sequence = $1 AND webhook = $2 AND state <> 'delivered'";

/// What a step did.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Deliveries that it changed.
    pub(super) changed: u64,
    /// The last that it met; none: it found the last that there are.
    pub(super) last: Option<DeliveryPlace>,
}

/// See [`crate::store::records::Records::deliveries`].
pub(super) async fn page(
    work: &Work<'_>,
    filter: &DeliveryFilter,
    after: Option<&DeliveryPlace>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, Fault> {
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
        "SELECT {}, d.webhook, d.state, d.tries, d.next_try, d.last_try, d.last_answer
         FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence DESC, d.webhook LIMIT {limit}",
        events::COLUMNS,
        conditions.sql()
    );
    let rows = work.query_once(&sql, &conditions.values()).await?;
    rows.iter().map(read).collect()
}

/// One step of a walk that meets each delivery once, so that it ends whatever couriers do meanwhile. `order` is one of the above.
pub(super) async fn step(
    work: &Work<'_>,
    filter: &DeliveryFilter,
    order: &'static str,
    after: Option<&DeliveryPlace>,
) -> Result<Step, Fault> {
    let mut conditions = conditions(filter);
    conditions.add("d.state IN ('pending', 'dead')");
    if let Some(place) = after {
        let sequence = conditions.place(kept(place.sequence));
        let webhook = conditions.place(place.webhook.as_str().to_owned());
        conditions.add(&format!(
            "(d.sequence, d.webhook) > ({sequence}, {webhook})"
        ));
    }
    let limit = conditions.place(kept(STEP as u64));
    let sql = format!(
        "SELECT d.sequence, d.webhook FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence, d.webhook LIMIT {limit}",
        conditions.sql()
    );
    let rows = work.query_once(&sql, &conditions.values()).await?;
    let mut step = Step {
        changed: 0,
        last: None,
    };
    for row in &rows {
        let place = DeliveryPlace {
            sequence: count(row, 0)?,
            webhook: WebhookName(row.try_get(1)?),
        };
        let webhook = place.webhook.as_str();
        step.changed += work
            .execute(order, &[&kept(place.sequence), &webhook])
            .await?;
        step.last = Some(place);
    }
    if rows.len() < STEP {
        step.last = None;
    }
    Ok(step)
}

/// On `delivery d` joined with its `event e`.
fn conditions(filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Conditions::default();
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
            EventName::Sequence(number) => {
                format!("d.sequence = {}", conditions.place(kept(*number)))
            }
            EventName::Id(id) => format!("e.id = {}", conditions.place(id.clone())),
        })
        .collect();
    conditions.any_of(&events);
    conditions
}

/// What a delivery has come to.
pub(in crate::store::postgres) fn state(row: &Row, column: usize) -> Result<DeliveryState, Fault> {
    let word: &str = row.try_get(column)?;
    DeliveryState::from_word(word).ok_or_else(|| Fault::Damage(format!("{word:?} is no state")))
}

fn read(row: &Row) -> Result<DeliveryRecord, Fault> {
    let event = events::read(row, 0)?;
    let of_event = event.sequence;
    let read = || -> Result<DeliveryRecord, Fault> {
        let first = events::COLUMN_COUNT;
        let last_answer: Option<&str> = row.try_get(first + 5)?;
        Ok(DeliveryRecord {
            webhook: WebhookName(row.try_get(first)?),
            state: state(row, first + 1)?,
            tries: small_count(row, first + 2)?,
            next_try: optional_time(row, first + 3)?,
            last_try: optional_time(row, first + 4)?,
            last_answer: last_answer.map(as_it_came),
            event,
        })
    };
    read().map_err(|fault| fault.in_row(|| format!("delivery of event {of_event}")))
}
