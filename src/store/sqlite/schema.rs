//! The schema and its migrations: numbered SQL files, and the version that a database says it has.

use rusqlite::{Connection, TransactionBehavior};

use super::error::SqliteError;
use super::{footprint, meta, outbox, prune, snapshot};

/// Migration n turns version n - 1 into version n. A released migration never changes: a later one corrects it.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version that [`MIGRATIONS`] lead to.
pub(super) const LATEST: i64 = version_of(MIGRATIONS);

/// The version that these migrations lead to.
pub(super) const fn version_of(migrations: &[&str]) -> i64 {
    migrations.len().cast_signed() as i64
}

/// The version of this database; 0 if it is new.
pub(super) fn version(connection: &Connection) -> Result<i64, SqliteError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// A database of no version is a new one, or one that lost its version, or none of ours. One of another program may
/// well have a version that we know.
pub(super) fn check_is_ours(connection: &Connection, version: i64) -> Result<(), SqliteError> {
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let ours = count(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'target', 'task', 'event', 'webhook', 'delivery')",
    )?;
    if ours > 0 {
        return if version > 0 {
            Ok(())
        } else {
            Err(SqliteError::Damaged(format!("its version is {version}")))
        };
    }
    let named: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if version == 0 && named == 0 && count("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(());
    }
    Err(SqliteError::Refused(
        "it is a database of another program; give this one a `state` of its own".to_owned(),
    ))
}

/// All or nothing: if a migration fails, or the process dies in one, the state keeps its version.
pub(super) fn migrate(
    writer: &mut Connection,
    version: i64,
    migrations: &[&str],
) -> Result<(), SqliteError> {
    let latest = version_of(migrations);
    if version == latest {
        return Ok(());
    }
    let done = usize::try_from(version).unwrap_or_default();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in migrations.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if version == 0 {
        for name in [meta::STATE_ID, meta::FINGERPRINT_SEED] {
            meta::set_number(&transaction, name, fastrand::u64(..))?;
        }
    }
    transaction.pragma_update(None, "user_version", latest)?;
    Ok(transaction.commit()?)
}

/// Finds missing tables and columns before a statement needs them.
pub(super) fn check_statements(writer: &Connection) -> Result<(), SqliteError> {
    let lists = [
        meta::STATEMENTS,
        snapshot::STATEMENTS,
        footprint::STATEMENTS,
        outbox::STATEMENTS,
        prune::STATEMENTS,
    ];
    for sql in lists.into_iter().flatten() {
        writer.prepare_cached(sql)?;
    }
    Ok(())
}
