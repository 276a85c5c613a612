//! The advisory lock of the state as a whole: instances share it while they run, and a transfer takes it exclusively.

use super::error::PostgresError;
use super::session::Transaction;

/// Targets have positive keys, and instances negative ones.
pub(super) const KEY: i32 = 0;

const SHARE: &str = "SELECT pg_try_advisory_lock_shared($1::int4, $2)";
/// Held until the end of the transaction, so it also works behind a pool in transaction mode.
const TAKE: &str =
    "SELECT pg_try_advisory_xact_lock(current_schema()::regnamespace::oid::int8::int4, $1)";
/// Commands that change the outbox don't take that lock.
const LOCK_DELIVERIES: &str = "LOCK TABLE delivery IN SHARE ROW EXCLUSIVE MODE";

/// Takes the shared lock until the session ends: meanwhile no transfer can run. `class` is the schema's key.
pub(super) async fn lock_shared(tx: &Transaction<'_>, class: i32) -> Result<(), PostgresError> {
    if is_granted(tx, SHARE, &[&class, &KEY]).await? {
        return Ok(());
    }
    Err(PostgresError::Refused(
        "it is being copied; start again when the copy is done".to_owned(),
    ))
}

/// Takes the exclusive lock: until the transaction ends, nothing else writes.
pub(super) async fn lock_exclusive(tx: &Transaction<'_>) -> Result<(), PostgresError> {
    if !is_granted(tx, TAKE, &[&KEY]).await? {
        return Err(PostgresError::InUse);
    }
    tx.batch(LOCK_DELIVERIES).await
}

async fn is_granted(
    tx: &Transaction<'_>,
    sql: &'static str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<bool, PostgresError> {
    let row = tx.query_first(sql, parameters).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}
