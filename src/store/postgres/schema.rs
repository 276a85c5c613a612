//! Our schema: made, brought up to date, and recognized. One instance at a time does so, whoever comes first.

use std::time::Duration;

use super::fault::Fault;
use super::session::{Session, Work};

/// Migration n turns version n - 1 into version n. A released migration never changes: a later one corrects it.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version that this program writes.
pub(super) const LATEST: i64 = MIGRATIONS.len().cast_signed() as i64;

/// How long an instance waits for another one's migration, and for its own.
const MIGRATE_WITHIN: Duration = Duration::from_secs(600);

/// Held while the schema is looked at and changed: any number will do that nobody else's program uses.
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

/// What is the same for all instances of a state, for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// Makes this state's event ids differ from any other's.
    pub(super) state_id: u64,
    /// See [`crate::store::Store::fingerprint_seed`].
    pub(super) fingerprint_seed: u64,
}

/// Makes the schema what this program expects.
pub(super) fn prepare(session: &mut Session, schema: &str) -> Result<Identity, Fault> {
    migrate(session, schema, MIGRATIONS)
}

pub(super) fn migrate(
    session: &mut Session,
    schema: &str,
    migrations: &[&str],
) -> Result<Identity, Fault> {
    let latest = migrations.len().cast_signed() as i64;
    session.write_within(MIGRATE_WITHIN, async |work| {
        work.batch("SET LOCAL statement_timeout = 0").await?;
        work.query(LOCK, &[&schema]).await?;
        let version = version(work, schema).await?;
        if version > latest {
            return Err(Fault::TooNew(version));
        }
        let done = usize::try_from(version).unwrap_or(0);
        for migration in migrations.iter().skip(done) {
            work.batch(migration).await?;
        }
        if version < latest {
            work.execute(SET_META, &[&VERSION, &latest.to_string()])
                .await?;
        }
        Ok(Identity {
            state_id: number(work, STATE_ID).await?,
            fingerprint_seed: number(work, FINGERPRINT_SEED).await?,
        })
    })
}

/// Whether there is a schema of this program's version. Changes nothing.
pub(super) async fn check(work: &Work<'_>, schema: &str) -> Result<(), Fault> {
    match find(work, schema).await? {
        Found::Ours(LATEST) => Ok(()),
        Found::Ours(version) if version > LATEST => Err(Fault::TooNew(version)),
        Found::Ours(version) => Err(Fault::Refused(format!(
            "it is of version {version}, and this program reads version {LATEST}; the daemon brings it up to date when \
             it starts"
        ))),
        Found::Nothing => Err(Fault::Refused(format!(
            "there is no state in its schema `{schema}` yet; the daemon makes it when it starts"
        ))),
    }
}

/// See [`Identity::fingerprint_seed`].
pub(super) async fn fingerprint_seed(work: &Work<'_>) -> Result<u64, Fault> {
    number(work, FINGERPRINT_SEED).await
}

/// Takes over the one of another state.
pub(super) async fn set_fingerprint_seed(work: &Work<'_>, seed: u64) -> Result<(), Fault> {
    set_number(work, FINGERPRINT_SEED, seed).await
}

/// What stands in the place of our schema.
enum Found {
    Nothing,
    Ours(i64),
}

/// 0: there is nothing yet, and there is a place for it now.
async fn version(work: &Work<'_>, schema: &str) -> Result<i64, Fault> {
    match find(work, schema).await? {
        Found::Ours(version) => Ok(version),
        Found::Nothing => {
            // Its name is of plain letters: see `Address`.
            work.batch(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
                .await?;
            Ok(0)
        }
    }
}

async fn find(work: &Work<'_>, schema: &str) -> Result<Found, Fault> {
    let row = work.query_first(EXISTS, &[&schema]).await?;
    let row = row.ok_or_else(|| Fault::Damage("the server's catalogue is silent".to_owned()))?;
    match (row.try_get(0)?, row.try_get(1)?) {
        (false, false) => Ok(Found::Nothing),
        (false, true) => Err(Fault::Refused(format!(
            "its schema `{schema}` is another program's; name one of our own with `schema=` in the URL"
        ))),
        (true, _) => {
            let version: Option<i64> = meta(work, VERSION).await?.and_then(|it| it.parse().ok());
            version.map(Found::Ours).ok_or_else(|| {
                Fault::Refused(format!("its schema `{schema}` does not say its version"))
            })
        }
    }
}

async fn meta(work: &Work<'_>, name: &str) -> Result<Option<String>, Fault> {
    let row = work.query_first(META, &[&name]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// A number of 64 bits that is drawn once, in hex.
async fn number(work: &Work<'_>, name: &str) -> Result<u64, Fault> {
    if let Some(known) = meta(work, name).await? {
        return u64::from_str_radix(&known, 16)
            .map_err(|_| Fault::Damage(format!("meta {name}: {known:?} is no number")));
    }
    let drawn = fastrand::u64(..);
    set_number(work, name, drawn).await?;
    Ok(drawn)
}

async fn set_number(work: &Work<'_>, name: &str, number: u64) -> Result<(), Fault> {
    let value = format!("{number:016x}");
    work.execute(SET_META, &[&name, &value]).await.map(|_| ())
}
