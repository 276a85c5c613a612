//! The snapshot at a glance: what is known of a page's tasks, and how far back the newest reach. Answers from one index,
//! `task_footprint`, without a row with its URLs being read.

use std::cmp::Ordering;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::error::SqliteError;
use super::values::{count, optional_time, time};
use crate::domain::model::{
    Fingerprint, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp,
};
use crate::store::{PageCapacity, RecentSpan};

pub(super) const FROM_HERE: &str = "SELECT number, fingerprint, created, in_flight, stalled, id
    FROM task INDEXED BY task_footprint
    WHERE target = ?1 AND (created, id) >= (?2, ?3) ORDER BY created, id";
const BY_ID: &str = "SELECT number, fingerprint, created, in_flight, stalled
    FROM task WHERE target = ?1 AND id = ?2";
pub(super) const NEWEST: &str = "SELECT created, url_count FROM task INDEXED BY task_footprint
    WHERE target = ?1 AND created >= ?2 ORDER BY created DESC, id DESC";
pub(super) const LAST_NUMBER: &str = "SELECT max(number) FROM task";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[FROM_HERE, BY_ID, NEWEST, LAST_NUMBER];

/// Rows that a scan skips before a new look-up is cheaper.
const STRAYS: u32 = 8;

/// What is still to be found, and where its answer goes.
struct Wanted<'a> {
    created: Timestamp,
    id: &'a str,
    place: usize,
}

impl Wanted<'_> {
    /// Ids compare by bytes, as in SQLite.
    fn cmp_to(&self, created: Timestamp, id: &[u8]) -> Ordering {
        (self.created, self.id.as_bytes()).cmp(&(created, id))
    }
}

/// See [`crate::store::Store::task_summaries`]. A page's tasks lie side by side in the index, so walking along it finds
/// nearly all; looking each of them up costs eight times as much.
pub(super) fn task_summaries(
    connection: &Connection,
    target: &TargetName,
    sought: &[TaskLookup<'_>],
) -> Result<Vec<Option<TaskSummary>>, SqliteError> {
    let mut found = vec![None; sought.len()];
    let dated = sought.iter().enumerate().filter_map(|(place, sought)| {
        Some(Wanted {
            created: sought.created?,
            id: sought.id.as_str(),
            place,
        })
    });
    let mut wanted: Vec<Wanted<'_>> = dated.collect();
    wanted.sort_by(|a, b| a.cmp_to(b.created, b.id.as_bytes()));
    let mut rest = wanted.as_slice();
    let mut statement = connection.prepare_cached(FROM_HERE)?;
    while !rest.is_empty() {
        rest = walk_along(&mut statement, target, rest, &mut found)?;
    }
    let mut statement = connection.prepare_cached(BY_ID)?;
    for (sought, found) in sought.iter().zip(&mut found) {
        if found.is_none() {
            *found = look_up(&mut statement, target, *sought)?;
        }
    }
    Ok(found)
}

/// Walks along the index from the first of `wanted`, which are in its order. Returns those that it did not come to: at
/// least the first is done with.
fn walk_along<'w, 'a>(
    statement: &mut CachedStatement<'_>,
    target: &TargetName,
    wanted: &'w [Wanted<'a>],
    found: &mut [Option<TaskSummary>],
) -> Result<&'w [Wanted<'a>], SqliteError> {
    let mut rest = wanted;
    let Some(first) = rest.first() else {
        return Ok(rest);
    };
    let mut rows = statement.query(params![
        target.as_str(),
        first.created.unix_seconds(),
        first.id
    ])?;
    let mut strays = 0;
    while let Some(row) = rows.next()? {
        let created = time(row, 2)?;
        let id = row.get_ref(5)?.as_bytes().map_err(rusqlite::Error::from)?;
        strays += 1;
        while let [next, others @ ..] = rest {
            match next.cmp_to(created, id) {
                Ordering::Greater => break,
                Ordering::Less => {}
                Ordering::Equal => {
                    strays = 0;
                    if let Some(place) = found.get_mut(next.place) {
                        *place = Some(read_footprint(row, Some(created))?);
                    }
                }
            }
            rest = others;
        }
        if rest.is_empty() || strays > STRAYS {
            return Ok(rest);
        }
    }
    // The index ends here: nothing that is still wanted is in it.
    Ok(&[])
}

fn look_up(
    statement: &mut CachedStatement<'_>,
    target: &TargetName,
    sought: TaskLookup<'_>,
) -> Result<Option<TaskSummary>, SqliteError> {
    let mut rows = statement.query([target.as_str(), sought.id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    read_footprint(row, optional_time(row, 2)?).map(Some)
}

fn read_footprint(row: &Row<'_>, created: Option<Timestamp>) -> Result<TaskSummary, SqliteError> {
    Ok(TaskSummary {
        number: number(row, 0)?,
        fingerprint: row.get::<_, Option<i64>>(1)?.map(Fingerprint::from_bits),
        created,
        in_flight: row.get(3)?,
        stalled: row.get(4)?,
    })
}

/// See [`crate::store::Store::recent_span`].
pub(super) fn recent_span(
    connection: &Connection,
    target: &TargetName,
    room: PageCapacity,
    from: Timestamp,
) -> Result<RecentSpan, SqliteError> {
    let mut statement = connection.prepare_cached(NEWEST)?;
    let mut rows = statement.query(params![target.as_str(), from.unix_seconds()])?;
    let (PageCapacity::Tasks(mut left) | PageCapacity::Urls(mut left)) = room;
    let mut newest = None;
    while let Some(row) = rows.next()? {
        let created = time(row, 0)?;
        let newest = *newest.get_or_insert(created);
        let takes = match room {
            PageCapacity::Tasks(_) => 1,
            PageCapacity::Urls(_) => count(row, 1)?.max(1),
        };
        let Some(rest) = left.checked_sub(takes) else {
            let fits = created.saturating_add(std::time::Duration::from_secs(1));
            return Ok(RecentSpan::Since { fits, newest });
        };
        left = rest;
    }
    Ok(RecentSpan::Everything)
}

/// See [`crate::store::Store::last_task_row_id`].
pub(super) fn last_number(connection: &Connection) -> Result<TaskRowId, SqliteError> {
    let last: Option<Option<i64>> = connection
        .prepare_cached(LAST_NUMBER)?
        .query_row([], |row| row.get(0))
        .optional()?;
    as_number(last.flatten().unwrap_or_default())
}

/// A task's number.
pub(super) fn number(row: &Row<'_>, column: usize) -> Result<TaskRowId, SqliteError> {
    as_number(row.get(column)?)
}

/// How a task's number is kept. None has one beyond SQLite's.
pub(super) fn number_column(number: TaskRowId) -> i64 {
    i64::try_from(number.0).unwrap_or(i64::MAX)
}

fn as_number(number: i64) -> Result<TaskRowId, SqliteError> {
    u64::try_from(number)
        .map(TaskRowId)
        .map_err(|_| SqliteError::Damaged(format!("{number} is not a task's number")))
}
