//! The schema and its migrations. One instance at a time migrates, under an advisory lock.

use std::time::Duration;

use super::error::PostgresError;
use super::session::{Session, Transaction};

/// Migration n turns version n - 1 into version n. A released migration never changes: a later one corrects it.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version that this program writes.
pub(super) const LATEST: i64 = MIGRATIONS.len().cast_signed() as i64;

/// How long a migration may take, including the wait for another instance's.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);

/// Held while the schema is checked and migrated. Any number that no other program uses will do.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('ucdn-watch schema ' || $1, 0))";
const EXISTS: &str =
    "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta'),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))";
const META: &str = "SELECT value FROM meta WHERE name = $1";
const SET_META: &str = "INSERT INTO meta (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// In `meta`.
const VERSION: &str = "version";
const STATE_ID: &str = "state_id";
const FINGERPRINT_SEED: &str = "fingerprint_seed";

/// What all instances of a state share, and what never changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// Makes this state's event ids differ from any other's.
    pub(super) state_id: u64,
    /// See [`crate::store::Store::fingerprint_seed`].
    pub(super) fingerprint_seed: u64,
}

/// Creates or migrates the schema.
pub(super) fn prepare(session: &mut Session, schema: &str) -> Result<Identity, PostgresError> {
    migrate(session, schema, MIGRATIONS)
}

pub(super) fn migrate(
    session: &mut Session,
    schema: &str,
    migrations: &[&str],
) -> Result<Identity, PostgresError> {
    let latest = migrations.len().cast_signed() as i64;
    session.write_within(MIGRATION_TIMEOUT, async |tx| {
        tx.batch("SET LOCAL statement_timeout = 0").await?;
        tx.query(LOCK, &[&schema]).await?;
        let version = version(tx, schema).await?;
        if version > latest {
            return Err(PostgresError::TooNew(version));
        }
        let done = usize::try_from(version).unwrap_or(0);
        for migration in migrations.iter().skip(done) {
            tx.batch(migration).await?;
        }
        if version < latest {
            tx.execute(SET_META, &[&VERSION, &latest.to_string()])
                .await?;
        }
        Ok(Identity {
            state_id: number(tx, STATE_ID).await?,
            fingerprint_seed: number(tx, FINGERPRINT_SEED).await?,
        })
    })
}

/// Fails unless there is a schema of this program's version. Changes nothing.
pub(super) async fn check(tx: &Transaction<'_>, schema: &str) -> Result<(), PostgresError> {
    match find(tx, schema).await? {
        FoundSchema::Ours(LATEST) => Ok(()),
        FoundSchema::Ours(version) if version > LATEST => Err(PostgresError::TooNew(version)),
        FoundSchema::Ours(version) => Err(PostgresError::Refused(format!(
            "it is of version {version}, and this program reads version {LATEST}; the daemon upgrades it when it starts"
        ))),
        FoundSchema::Nothing => Err(PostgresError::Refused(format!(
            "there is no state in its schema `{schema}` yet; the daemon makes it when it starts"
        ))),
    }
}

/// See [`Identity::fingerprint_seed`].
pub(super) async fn fingerprint_seed(tx: &Transaction<'_>) -> Result<u64, PostgresError> {
    number(tx, FINGERPRINT_SEED).await
}

/// Sets the seed of an imported state.
pub(super) async fn set_fingerprint_seed(
    tx: &Transaction<'_>,
    seed: u64,
) -> Result<(), PostgresError> {
    set_number(tx, FINGERPRINT_SEED, seed).await
}

/// What the schema of this name is.
enum FoundSchema {
    Nothing,
    Ours(i64),
}

/// The version of the schema. If there is none, it is created, and the version is 0.
async fn version(tx: &Transaction<'_>, schema: &str) -> Result<i64, PostgresError> {
    match find(tx, schema).await? {
        FoundSchema::Ours(version) => Ok(version),
        FoundSchema::Nothing => {
            // The name has plain letters only: see `ConnectUrl`.
            tx.batch(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
                .await?;
            Ok(0)
        }
    }
}

async fn find(tx: &Transaction<'_>, schema: &str) -> Result<FoundSchema, PostgresError> {
    let row = tx.query_first(EXISTS, &[&schema]).await?;
    let row = row.ok_or_else(|| {
        PostgresError::Unreadable("the server's catalogue gives no answer".to_owned())
    })?;
    match (row.try_get(0)?, row.try_get(1)?) {
        (false, false) => Ok(FoundSchema::Nothing),
        (false, true) => Err(PostgresError::Refused(format!(
            "its schema `{schema}` is of another program; name another one with `schema=` in the URL"
        ))),
        (true, _) => {
            let version: Option<i64> = meta(tx, VERSION).await?.and_then(|it| it.parse().ok());
            version.map(FoundSchema::Ours).ok_or_else(|| {
                PostgresError::Refused(format!("its schema `{schema}` does not say its version"))
            })
        }
    }
}

async fn meta(tx: &Transaction<'_>, name: &str) -> Result<Option<String>, PostgresError> {
    let row = tx.query_first(META, &[&name]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// A random 64-bit number that is drawn once, in hex.
async fn number(tx: &Transaction<'_>, name: &str) -> Result<u64, PostgresError> {
    if let Some(known) = meta(tx, name).await? {
        return u64::from_str_radix(&known, 16).map_err(|_| {
            PostgresError::Unreadable(format!("meta {name}: {known:?} is no number"))
        });
    }
    let drawn = fastrand::u64(..);
    set_number(tx, name, drawn).await?;
    Ok(drawn)
}

async fn set_number(tx: &Transaction<'_>, name: &str, number: u64) -> Result<(), PostgresError> {
    let value = format!("{number:016x}");
    tx.execute(SET_META, &[&name, &value]).await.map(|_| ())
}
