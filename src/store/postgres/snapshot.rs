//! The snapshot: targets and tasks as rows.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::session::Transaction;
use super::values::{
    count, escape, number, optional_time, seconds, small_count, time, to_bigint, unescape,
};
use crate::domain::model::{
    Absence, Fingerprint, KnownTask, Status, TargetName, TaskId, TaskRowId, Timestamp,
};
use crate::store::{Baseline, FingerprintUpdate, TargetState, TaskInFlight, TaskUpsert};

const TARGET: &str = "SELECT list, first_polled, baseline, failed_polls, failing_reported, paging
    FROM target WHERE name = $1";
const SET_TARGET: &str = "INSERT INTO target
    (name, list, first_polled, baseline, failed_polls, failing_reported, paging)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (name) DO UPDATE SET list = excluded.list, first_polled = excluded.first_polled,
        baseline = excluded.baseline, failed_polls = excluded.failed_polls,
        failing_reported = excluded.failing_reported, paging = excluded.paging";
const TASKS: &str =
    "SELECT id, type, status, created, first_seen, stalled, missed_polls, vanished, urls, number
    FROM task WHERE number = ANY($2) AND target = $1";
/// All tasks of a page in one statement: each column is an array.
const SET_TASKS: &str = "INSERT INTO task
    (target, changed, id, type, status, created, first_seen, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::boolean[],
        $9::bigint[], $10::boolean[], $11::boolean[], $12::bigint[], $13::bigint[], $14::text[])
    ON CONFLICT (target, id) DO UPDATE SET type = excluded.type, status = excluded.status,
        created = excluded.created, first_seen = excluded.first_seen, changed = excluded.changed,
        stalled = excluded.stalled, missed_polls = excluded.missed_polls, vanished = excluded.vanished,
        in_flight = excluded.in_flight, url_count = excluded.url_count, fingerprint = excluded.fingerprint,
        urls = excluded.urls";
const RETOUCH: &str = "UPDATE task SET fingerprint = new.fingerprint
    FROM unnest($2::bigint[], $3::bigint[]) AS new (number, fingerprint)
    WHERE task.number = new.number AND task.target = $1";
const IN_FLIGHT: &str = "SELECT number, id, created, missed_polls, vanished
    FROM task WHERE target = $1 AND in_flight AND number > $2 ORDER BY number LIMIT $3";
const COUNT_IN_FLIGHT: &str = "SELECT count(*) FROM task WHERE target = $1 AND in_flight";
const FORGET_TASKS: &str = "DELETE FROM task WHERE target = $1";
const FORGET_TARGET: &str = "DELETE FROM target WHERE name = $1";

/// See [`crate::store::Store::target`].
pub(super) async fn target(
    tx: &Transaction<'_>,
    name: &TargetName,
) -> Result<TargetState, PostgresError> {
    let Some(row) = tx.query_first(TARGET, &[&name.as_str()]).await? else {
        return Ok(TargetState::default());
    };
    read_target(&row).map_err(|error| error.in_row(|| format!("target {:?}", name.as_str())))
}

/// Replaces a target's state.
pub(super) async fn set_target(
    tx: &Transaction<'_>,
    name: &TargetName,
    state: &TargetState,
) -> Result<(), PostgresError> {
    let baseline = match state.baseline {
        Baseline::Open => "open",
        Baseline::Taken => "taken",
    };
    tx.execute(
        SET_TARGET,
        &[
            &name.as_str(),
            &escape(&state.list),
            &seconds(state.first_polled),
            &baseline,
            &i64::from(state.failed_polls),
            &state.failing_reported,
            &state.paging,
        ],
    )
    .await?;
    Ok(())
}

/// See [`crate::store::Store::forget_target`].
pub(super) async fn forget_target(
    tx: &Transaction<'_>,
    name: &TargetName,
) -> Result<(), PostgresError> {
    for sql in [FORGET_TASKS, FORGET_TARGET] {
        tx.execute(sql, &[&name.as_str()]).await?;
    }
    Ok(())
}

/// See [`crate::store::Store::known_tasks`].
pub(super) async fn known_tasks(
    tx: &Transaction<'_>,
    target: &TargetName,
    numbers: &[TaskRowId],
) -> Result<BTreeMap<TaskRowId, KnownTask>, PostgresError> {
    let numbers: Vec<i64> = numbers.iter().map(|number| to_bigint(number.0)).collect();
    let rows = tx.query(TASKS, &[&target.as_str(), &numbers]).await?;
    let known = rows
        .iter()
        .map(|row| Ok((number(row, 9)?, read_task(row)?)));
    known.collect()
}

/// See [`crate::store::Store::in_flight_after`].
pub(super) async fn in_flight_after(
    tx: &Transaction<'_>,
    target: &TargetName,
    after: TaskRowId,
    at_most: u32,
) -> Result<Vec<TaskInFlight>, PostgresError> {
    let parameters: [Parameter<'_>; 3] =
        [&target.as_str(), &to_bigint(after.0), &i64::from(at_most)];
    let rows = tx.query(IN_FLIGHT, &parameters).await?;
    rows.iter()
        .map(|row| {
            Ok(TaskInFlight {
                number: number(row, 0)?,
                id: TaskId(unescape(row.try_get(1)?)),
                created: optional_time(row, 2)?,
                absence: absence(row, 3, 4)?,
            })
        })
        .collect()
}

/// See [`crate::store::Store::count_in_flight`].
pub(super) async fn count_in_flight(
    tx: &Transaction<'_>,
    target: &TargetName,
) -> Result<u64, PostgresError> {
    let row = tx.query_first(COUNT_IN_FLIGHT, &[&target.as_str()]).await?;
    row.map_or(Ok(0), |row| count(&row, 0))
}

/// Inserts or replaces records; `now` is when they changed.
pub(super) async fn set_tasks(
    tx: &Transaction<'_>,
    target: &TargetName,
    records: &[TaskUpsert],
    now: Timestamp,
) -> Result<(), PostgresError> {
    if records.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(records)?;
    let (target, now) = (target.as_str(), now.unix_seconds());
    let parameters = columns.after([&target, &now]);
    tx.execute(SET_TASKS, &parameters).await?;
    Ok(())
}

/// A statement parameter.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Tasks as one array per column.
#[derive(Default)]
pub(super) struct Columns {
    ids: Vec<String>,
    types: Vec<Option<String>>,
    statuses: Vec<String>,
    created: Vec<Option<i64>>,
    first_seen: Vec<i64>,
    stalled: Vec<bool>,
    missed_polls: Vec<i64>,
    vanished: Vec<bool>,
    in_flight: Vec<bool>,
    url_counts: Vec<i64>,
    fingerprints: Vec<Option<i64>>,
    urls: Vec<String>,
}

impl Columns {
    /// Keeps the last of two records of one task, because one statement must not write a row twice.
    fn of(records: &[TaskUpsert]) -> Result<Self, PostgresError> {
        let last: BTreeMap<&TaskId, usize> = records
            .iter()
            .enumerate()
            .map(|(at, record)| (&record.task.id, at))
            .collect();
        let mut columns = Self::default();
        for (at, record) in records.iter().enumerate() {
            if last.get(&record.task.id) == Some(&at) {
                columns.push(record)?;
            }
        }
        Ok(columns)
    }

    /// The arrays as parameters after `first`, in the order of [`SET_TASKS`].
    pub(super) fn after<'a, const N: usize>(
        &'a self,
        first: [Parameter<'a>; N],
    ) -> Vec<Parameter<'a>> {
        let columns: [Parameter<'a>; 12] = [
            &self.ids,
            &self.types,
            &self.statuses,
            &self.created,
            &self.first_seen,
            &self.stalled,
            &self.missed_polls,
            &self.vanished,
            &self.in_flight,
            &self.url_counts,
            &self.fingerprints,
            &self.urls,
        ];
        first.into_iter().chain(columns).collect()
    }

    pub(super) fn push(
        &mut self,
        TaskUpsert {
            task, fingerprint, ..
        }: &TaskUpsert,
    ) -> Result<(), PostgresError> {
        let (missed_polls, vanished) = match task.absence {
            Absence::Missing { polls } => (i64::from(polls), false),
            Absence::Vanished => (0, true),
        };
        self.ids.push(escape(task.id.as_str()));
        self.types.push(task.r#type.as_deref().map(escape));
        self.statuses.push(escape(task.status.as_str()));
        self.created.push(seconds(task.created));
        self.first_seen.push(task.first_seen.unix_seconds());
        self.stalled.push(task.stalled);
        self.missed_polls.push(missed_polls);
        self.vanished.push(vanished);
        self.in_flight.push(task.is_in_flight());
        self.url_counts.push(to_bigint(task.urls.len() as u64));
        self.fingerprints
            .push(fingerprint.map(Fingerprint::to_bits));
        let urls = serde_json::to_string(&task.urls)
            .map_err(|error| PostgresError::Refused(format!("URLs can't be written: {error}")))?;
        self.urls.push(urls);
        Ok(())
    }
}

/// Sets new fingerprints of tasks that stay as they are. Their time of change stays too.
pub(super) async fn retouch(
    tx: &Transaction<'_>,
    target: &TargetName,
    fingerprints: &[FingerprintUpdate],
) -> Result<(), PostgresError> {
    if fingerprints.is_empty() {
        return Ok(());
    }
    // Of two for one number, the last wins.
    let last: BTreeMap<i64, i64> = fingerprints
        .iter()
        .map(|one| (to_bigint(one.number.0), one.fingerprint.to_bits()))
        .collect();
    let (numbers, fingerprints): (Vec<i64>, Vec<i64>) = last.into_iter().unzip();
    tx.execute(RETOUCH, &[&target.as_str(), &numbers, &fingerprints])
        .await?;
    Ok(())
}

/// Reads what [`TARGET`] selects.
pub(super) fn read_target(row: &Row) -> Result<TargetState, PostgresError> {
    Ok(TargetState {
        list: unescape(row.try_get(0)?),
        first_polled: optional_time(row, 1)?,
        baseline: match row.try_get(2)? {
            "open" => Baseline::Open,
            "taken" => Baseline::Taken,
            other => {
                return Err(PostgresError::Unreadable(format!(
                    "{other:?} is no baseline"
                )));
            }
        },
        failed_polls: small_count(row, 3)?,
        failing_reported: row.try_get(4)?,
        paging: row.try_get(5)?,
    })
}

/// Reads what [`TASKS`] selects.
pub(super) fn read_task(row: &Row) -> Result<KnownTask, PostgresError> {
    let id = unescape(row.try_get(0)?);
    read_task_of(row, &id).map_err(|error| error.in_row(|| format!("task {id:?}")))
}

fn read_task_of(row: &Row, id: &str) -> Result<KnownTask, PostgresError> {
    Ok(KnownTask {
        id: id.into(),
        r#type: row.try_get::<_, Option<&str>>(1)?.map(unescape),
        status: Status::from_word(&unescape(row.try_get(2)?)),
        created: optional_time(row, 3)?,
        first_seen: time(row, 4)?,
        stalled: row.try_get(5)?,
        absence: absence(row, 6, 7)?,
        urls: serde_json::from_str(row.try_get(8)?).map_err(|error| {
            PostgresError::Unreadable(format!("its URLs can't be read: {error}"))
        })?,
    })
}

fn absence(row: &Row, missed_polls: usize, vanished: usize) -> Result<Absence, PostgresError> {
    if row.try_get(vanished)? {
        return Ok(Absence::Vanished);
    }
    let polls = small_count(row, missed_polls)?;
    Ok(Absence::Missing { polls })
}
