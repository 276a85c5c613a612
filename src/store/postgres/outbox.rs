//! Events, and what each webhook is owed of them. Orders and counts; knows nothing of sending.

use tokio_postgres::Row;

use super::fault::Fault;
use super::row::{count, kept, optional_time, seconds, small_count, text, time};
use super::session::Work;
use crate::model::{TargetName, Timestamp, WebhookName};
use crate::store::{Delivery, NewEvent, Owed, Try};

/// Holds the row until the commit: the next one to add events waits for us.
const NEXT_SEQUENCES: &str =
    "UPDATE last_event SET sequence = sequence + $1 RETURNING sequence - $1";
const LAST_SEQUENCE: &str = "SELECT sequence FROM last_event";
const ADD_EVENT: &str =
    "INSERT INTO event (sequence, id, type, time, recorded, target, task, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const ADD_WEBHOOKS: &str = "INSERT INTO webhook (name)
    SELECT name FROM unnest($1::text[]) AS name ON CONFLICT DO NOTHING";
const ADD_DELIVERIES: &str = "INSERT INTO delivery (sequence, webhook, target)
    SELECT $1, name, $3 FROM unnest($2::text[]) AS name ON CONFLICT DO NOTHING";
const PENDING: &str = "SELECT d.sequence, e.id, e.type, e.document, e.recorded, d.tries, d.last_try, d.next_try, d.target
    FROM delivery d JOIN event e ON e.sequence = d.sequence
    WHERE d.webhook = $1 AND d.state = 'pending' AND d.target = ANY($2)
    ORDER BY d.sequence LIMIT $3";
const RECORD_TRY: &str = "UPDATE delivery
    SET state = $3, tries = tries + $4, next_try = $5, last_try = $6, last_answer = $7
    WHERE sequence = $1 AND webhook = $2 AND state = 'pending'";
const OWED: &str = "SELECT w.name,
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'),
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'dead'),
    (SELECT recorded FROM event WHERE sequence =
        (SELECT min(d.sequence) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'))
    FROM webhook w ORDER BY w.name";

/// A pending delivery, and whose event it is of.
pub(super) struct Pending {
    pub(super) target: TargetName,
    pub(super) delivery: Delivery,
}

/// Gives events their places, ids and documents, and writes down who is owed them.
pub(super) async fn add_events(
    work: &Work<'_>,
    state_id: u64,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let added = kept(events.len() as u64);
    let row = work.query_first(NEXT_SEQUENCES, &[&added]).await?;
    let row = row.ok_or_else(|| Fault::Damage("no last sequence is kept".to_owned()))?;
    let mut sequence = count(&row, 0)?;
    for event in events {
        sequence += 1;
        add_event(work, state_id, sequence, event, now).await?;
    }
    Ok(())
}

/// See [`crate::store::Store::pending`]: those of the targets that this instance holds.
pub(super) async fn pending(
    work: &Work<'_>,
    webhook: &WebhookName,
    held: &[&str],
    limit: usize,
) -> Result<Vec<Pending>, Fault> {
    let limit = kept(limit as u64);
    let rows = work
        .query(PENDING, &[&webhook.as_str(), &held, &limit])
        .await?;
    rows.iter().map(read_pending).collect()
}

/// One of [`crate::store::Store::record_tries`].
pub(super) async fn record_try(
    work: &Work<'_>,
    webhook: &WebhookName,
    one: &Try,
) -> Result<(), Fault> {
    let row = one.result.row();
    work.execute(
        RECORD_TRY,
        &[
            &kept(one.sequence),
            &webhook.as_str(),
            &row.state.as_str(),
            &row.failed,
            &seconds(row.next_try),
            &row.at.unix_seconds(),
            &text(row.answer),
        ],
    )
    .await?;
    Ok(())
}

/// See [`crate::store::Store::owed`].
pub(super) async fn owed(work: &Work<'_>) -> Result<Vec<Owed>, Fault> {
    let rows = work.query(OWED, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Owed {
                webhook: WebhookName(row.try_get(0)?),
                pending: count(row, 1)?,
                dead: count(row, 2)?,
                oldest_pending: optional_time(row, 3)?,
            })
        })
        .collect()
}

/// See [`crate::store::records::Records::last_sequence`].
pub(super) async fn last_sequence(work: &Work<'_>) -> Result<u64, Fault> {
    let row = work.query_first(LAST_SEQUENCE, &[]).await?;
    row.map_or(Ok(0), |row| count(&row, 0))
}

/// Those who are owed something.
pub(super) async fn add_webhooks(work: &Work<'_>, names: &[&str]) -> Result<(), Fault> {
    work.execute(ADD_WEBHOOKS, &[&names]).await.map(|_| ())
}

async fn add_event(
    work: &Work<'_>,
    state_id: u64,
    sequence: u64,
    event: &NewEvent,
    now: Timestamp,
) -> Result<(), Fault> {
    let draft = &event.draft;
    let id = format!("evt_{state_id:016x}{sequence:016x}");
    let document = draft.document(&id, sequence);
    let sequence = kept(sequence);
    work.execute(
        ADD_EVENT,
        &[
            &sequence,
            &id,
            &draft.r#type.as_str(),
            &draft.time.unix_seconds(),
            &now.unix_seconds(),
            &draft.target.as_str(),
            &draft.task.as_ref().map(|task| text(task.id.as_str())),
            &document,
        ],
    )
    .await?;
    let mut webhooks: Vec<&str> = event.owed_to.iter().map(WebhookName::as_str).collect();
    // In one order everywhere: two commits that add the same names must not wait for each other.
    webhooks.sort_unstable();
    webhooks.dedup();
    if webhooks.is_empty() {
        return Ok(());
    }
    add_webhooks(work, &webhooks).await?;
    work.execute(
        ADD_DELIVERIES,
        &[&sequence, &webhooks, &draft.target.as_str()],
    )
    .await?;
    Ok(())
}

fn read_pending(row: &Row) -> Result<Pending, Fault> {
    let sequence = count(row, 0)?;
    let read = || -> Result<Pending, Fault> {
        Ok(Pending {
            target: TargetName(row.try_get(8)?),
            delivery: Delivery {
                sequence,
                event_id: row.try_get(1)?,
                event_type: row.try_get(2)?,
                document: row.try_get(3)?,
                recorded: time(row, 4)?,
                tries: small_count(row, 5)?,
                last_try: optional_time(row, 6)?,
                next_try: optional_time(row, 7)?,
            },
        })
    };
    read().map_err(|fault| fault.in_row(|| format!("delivery of event {sequence}")))
}
