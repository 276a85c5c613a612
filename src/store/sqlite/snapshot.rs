//! The snapshot: targets and tasks as rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Statement, params};

use super::error::SqliteError;
use super::footprint::{number, number_column};
use super::values::{count, optional_time, seconds, time};
use crate::domain::model::{
    Absence, Fingerprint, KnownTask, Status, TargetName, TaskId, TaskRowId, Timestamp,
};
use crate::store::transfer::TaskRow;
use crate::store::{Baseline, FingerprintUpdate, TargetState, TaskInFlight, TaskUpsert};

const TARGET: &str = "SELECT list, first_polled, baseline, failed_polls, failing_reported, paging
    FROM target WHERE name = ?1";
const TARGET_NAMES: &str = "SELECT name FROM target";
const SET_TARGET: &str = "INSERT OR REPLACE INTO target
    (name, list, first_polled, baseline, failed_polls, failing_reported, paging)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const TASK: &str =
    "SELECT id, type, status, created, first_seen, stalled, missed_polls, vanished, urls
    FROM task WHERE number = ?2 AND target = ?1";
const ALL_TASKS: &str =
    "SELECT id, type, status, created, first_seen, stalled, missed_polls, vanished, urls
    FROM task";
/// Changes a task whose number is known and whose times stay. SQLite rewrites an index if the statement names one of its columns,
/// also if the value stays; the index over all tasks is in the order of their times, so this names none of them. The
/// parameters are those of [`SET_TASK`].
const CHANGE_TASK: &str = "UPDATE task
    SET type = ?4, status = ?5, changed = ?8, stalled = ?9, missed_polls = ?10, vanished = ?11, in_flight = ?12,
        url_count = ?13, fingerprint = ?14, urls = ?15
    WHERE number = ?1 AND target = ?2 AND id = ?3 AND created IS ?6 AND first_seen = ?7";
/// Not `INSERT OR REPLACE`: that would give the task another number.
const SET_TASK: &str = "INSERT INTO task
    (number, target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
    ON CONFLICT (target, id) DO UPDATE SET type = excluded.type, status = excluded.status,
        created = excluded.created, first_seen = excluded.first_seen, changed = excluded.changed,
        stalled = excluded.stalled, missed_polls = excluded.missed_polls, vanished = excluded.vanished,
        in_flight = excluded.in_flight, url_count = excluded.url_count, fingerprint = excluded.fingerprint,
        urls = excluded.urls";
const RETOUCH: &str = "UPDATE task SET fingerprint = ?3 WHERE number = ?2 AND target = ?1";
pub(super) const IN_FLIGHT: &str = "SELECT number, id, created, missed_polls, vanished
    FROM task WHERE target = ?1 AND in_flight = 1 AND number > ?2 ORDER BY number LIMIT ?3";
pub(super) const COUNT_IN_FLIGHT: &str =
    "SELECT count(*) FROM task WHERE target = ?1 AND in_flight = 1";
const FORGET_TASKS: &str = "DELETE FROM task WHERE target = ?1";
const FORGET_TARGET: &str = "DELETE FROM target WHERE name = ?1";

/// Everything above, to be prepared at open.
pub(super) const STATEMENTS: &[&str] = &[
    TARGET,
    TARGET_NAMES,
    SET_TARGET,
    TASK,
    ALL_TASKS,
    CHANGE_TASK,
    SET_TASK,
    RETOUCH,
    IN_FLIGHT,
    COUNT_IN_FLIGHT,
    FORGET_TASKS,
    FORGET_TARGET,
];

/// See [`crate::store::Store::target`].
pub(super) fn target(
    connection: &Connection,
    name: &TargetName,
) -> Result<TargetState, SqliteError> {
    let mut statement = connection.prepare_cached(TARGET)?;
    let mut rows = statement.query([name.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(TargetState::default());
    };
    read_target(row).map_err(|error| error.in_row(|| format!("target {:?}", name.as_str())))
}

/// See [`crate::store::Store::known_tasks`]. One lookup per number: as fast as a list of numbers, and without its length limit.
pub(super) fn known_tasks(
    connection: &Connection,
    target: &TargetName,
    numbers: &[TaskRowId],
) -> Result<BTreeMap<TaskRowId, KnownTask>, SqliteError> {
    let mut statement = connection.prepare_cached(TASK)?;
    let mut known = BTreeMap::new();
    for number in numbers {
        let mut rows = statement.query(params![target.as_str(), number_column(*number)])?;
        if let Some(row) = rows.next()? {
            known.insert(*number, read_task(row)?);
        }
    }
    Ok(known)
}

/// See [`crate::store::Store::in_flight_after`].
pub(super) fn in_flight_after(
    connection: &Connection,
    target: &TargetName,
    after: TaskRowId,
    at_most: u32,
) -> Result<Vec<TaskInFlight>, SqliteError> {
    let mut statement = connection.prepare_cached(IN_FLIGHT)?;
    let mut rows = statement.query(params![target.as_str(), number_column(after), at_most])?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(TaskInFlight {
            number: number(row, 0)?,
            id: TaskId(row.get(1)?),
            created: optional_time(row, 2)?,
            absence: absence(row, 3, 4)?,
        });
    }
    Ok(tasks)
}

/// See [`crate::store::Store::count_in_flight`].
pub(super) fn count_in_flight(
    connection: &Connection,
    target: &TargetName,
) -> Result<u64, SqliteError> {
    let mut statement = connection.prepare_cached(COUNT_IN_FLIGHT)?;
    let mut rows = statement.query([target.as_str()])?;
    rows.next()?.map_or(Ok(0), |row| count(row, 0))
}

/// Inserts or replaces records; `now` is when they changed.
pub(super) fn set_tasks(
    connection: &Connection,
    target: &TargetName,
    records: &[TaskUpsert],
    now: Timestamp,
) -> Result<(), SqliteError> {
    let mut change = connection.prepare_cached(CHANGE_TASK)?;
    let mut set = connection.prepare_cached(SET_TASK)?;
    for record in records {
        let is_changed = record.number.is_some()
            && write_task(&mut change, record.number, target, record, now)? > 0;
        if !is_changed {
            write_task(&mut set, None, target, record, now)?;
        }
    }
    Ok(())
}

/// Adds a task with the number that it has in another state.
pub(super) fn add_task(connection: &Connection, row: &TaskRow) -> Result<(), SqliteError> {
    let mut set = connection.prepare_cached(SET_TASK)?;
    let number = Some(row.number);
    write_task(&mut set, number, &row.target, &row.learned, row.changed)?;
    Ok(())
}

/// Runs one of the two statements. Returns how many rows it wrote. Without a number, a task keeps its number, or gets the next.
fn write_task(
    statement: &mut Statement<'_>,
    number: Option<TaskRowId>,
    target: &TargetName,
    TaskUpsert {
        task, fingerprint, ..
    }: &TaskUpsert,
    changed: Timestamp,
) -> Result<usize, SqliteError> {
    let (missed_polls, vanished) = match task.absence {
        Absence::Missing { polls } => (polls, false),
        Absence::Vanished => (0, true),
    };
    let urls = serde_json::to_string(&task.urls)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(statement.execute(params![
        number.map(number_column),
        target.as_str(),
        task.id.as_str(),
        task.r#type,
        task.status.as_str(),
        seconds(task.created),
        task.first_seen.unix_seconds(),
        changed.unix_seconds(),
        task.stalled,
        missed_polls,
        vanished,
        task.is_in_flight(),
        i64::try_from(task.urls.len()).unwrap_or(i64::MAX),
        fingerprint.map(Fingerprint::to_bits),
        urls,
    ])?)
}

/// Sets new fingerprints of tasks that stay as they are. Their time of change stays too.
pub(super) fn retouch(
    connection: &Connection,
    target: &TargetName,
    fingerprints: &[FingerprintUpdate],
) -> Result<(), SqliteError> {
    let mut statement = connection.prepare_cached(RETOUCH)?;
    for FingerprintUpdate {
        number,
        fingerprint,
    } in fingerprints
    {
        let number = number_column(*number);
        statement.execute(params![target.as_str(), number, fingerprint.to_bits()])?;
    }
    Ok(())
}

/// Replaces a target's state.
pub(super) fn set_target(
    connection: &Connection,
    name: &TargetName,
    state: &TargetState,
) -> Result<(), SqliteError> {
    let baseline = match state.baseline {
        Baseline::Open => "open",
        Baseline::Taken => "taken",
    };
    connection.prepare_cached(SET_TARGET)?.execute(params![
        name.as_str(),
        state.list,
        seconds(state.first_polled),
        baseline,
        state.failed_polls,
        state.failing_reported,
        state.paging,
    ])?;
    Ok(())
}

/// See [`crate::store::Store::forget_target`].
pub(super) fn forget_target(connection: &Connection, name: &TargetName) -> Result<(), SqliteError> {
    for sql in [FORGET_TASKS, FORGET_TARGET] {
        connection.prepare_cached(sql)?.execute([name.as_str()])?;
    }
    Ok(())
}

/// Reads every row once, to find unreadable values.
pub(super) fn check_rows(connection: &Connection) -> Result<(), SqliteError> {
    let mut statement = connection.prepare_cached(ALL_TASKS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read_task(row)?;
    }
    let mut statement = connection.prepare_cached(TARGET_NAMES)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        target(connection, &TargetName(row.get(0)?))?;
    }
    Ok(())
}

/// Reads what [`TARGET`] selects.
pub(super) fn read_target(row: &Row<'_>) -> Result<TargetState, SqliteError> {
    let baseline: String = row.get(2)?;
    Ok(TargetState {
        list: row.get(0)?,
        first_polled: optional_time(row, 1)?,
        baseline: match baseline.as_str() {
            "open" => Baseline::Open,
            "taken" => Baseline::Taken,
            other => return Err(SqliteError::Damaged(format!("{other:?} is no baseline"))),
        },
        failed_polls: row.get(3)?,
        failing_reported: row.get(4)?,
        paging: row.get(5)?,
    })
}

pub(super) fn read_task(row: &Row<'_>) -> Result<KnownTask, SqliteError> {
    let id: String = row
        .get(0)
        .map_err(|error| SqliteError::from(error).in_row(|| "a task's id".to_owned()))?;
    read_task_of(row, &id).map_err(|error| error.in_row(|| format!("task {id:?}")))
}

fn read_task_of(row: &Row<'_>, id: &str) -> Result<KnownTask, SqliteError> {
    let status: String = row.get(2)?;
    let urls = row.get_ref(8)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(KnownTask {
        id: id.into(),
        r#type: row.get(1)?,
        status: Status::from_word(&status),
        created: optional_time(row, 3)?,
        first_seen: time(row, 4)?,
        stalled: row.get(5)?,
        absence: absence(row, 6, 7)?,
        urls: serde_json::from_str(urls)
            .map_err(|error| SqliteError::Damaged(format!("its URLs can't be read: {error}")))?,
    })
}

fn absence(row: &Row<'_>, missed_polls: usize, vanished: usize) -> Result<Absence, SqliteError> {
    if row.get(vanished)? {
        return Ok(Absence::Vanished);
    }
    let polls = row.get(missed_polls)?;
    Ok(Absence::Missing { polls })
}
