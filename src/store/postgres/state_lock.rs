//! The lock of the state as a whole: instances share it for as long as they live, and a copy has it alone. Owns its number.

use super::error::PostgresError;
use super::session::Transaction;

/// Targets have positive numbers, and instances negative ones.
pub(super) const NUMBER: i32 = 0;

const SHARE: &str = "SELECT pg_try_advisory_lock_shared($1::int4, $2)";
/// Until the end of the transaction: so it holds in a pool's transaction mode too.
const TAKE: &str =
    "SELECT pg_try_advisory_xact_lock(current_schema()::regnamespace::oid::int8::int4, $1)";
/// Operators give their orders without that lock.
const STOP_ORDERS: &str = "LOCK TABLE delivery IN SHARE ROW EXCLUSIVE MODE";

/// Says that there is an instance: until its session ends nothing is copied. `class` is the schema's number.
pub(super) async fn share(tx: &Transaction<'_>, class: i32) -> Result<(), PostgresError> {
    if is_granted(tx, SHARE, &[&class, &NUMBER]).await? {
        return Ok(());
    }
    Err(PostgresError::Refused(
        "it is being copied; start again when that is done".to_owned(),
    ))
}

/// Keeps everybody else from writing, until the transaction ends.
pub(super) async fn take(tx: &Transaction<'_>) -> Result<(), PostgresError> {
    if !is_granted(tx, TAKE, &[&NUMBER]).await? {
        return Err(PostgresError::Held);
    }
    tx.batch(STOP_ORDERS).await
}

async fn is_granted(
    tx: &Transaction<'_>,
    sql: &'static str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<bool, PostgresError> {
    let row = tx.query_first(sql, parameters).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}
