//! Which targets this instance owns: session-level advisory locks. The same session also writes, so an instance that has lost
//! its locks can't write any more. [`super::balance`] decides how many targets to own.

use std::collections::{BTreeMap, BTreeSet};

use super::balance::{BalanceStep, FreeTargets, LeaseCensus, LockCapacity, balance};
use super::error::PostgresError;
use super::session::Transaction;
use super::state_lock;
use super::values::count;
use crate::domain::model::TargetName;

/// Each target gets a key, because advisory locks are numbers.
const ADD_KEYS: &str = "INSERT INTO target_key (name)
    SELECT name FROM unnest($1::text[]) AS name ON CONFLICT (name) DO NOTHING";
const KEYS: &str = "SELECT name, id FROM target_key WHERE name = ANY($1)";
/// Includes targets that no config names any more: their pending deliveries must be made all the same.
const PENDING_TARGETS: &str = "SELECT DISTINCT target FROM delivery WHERE state = 'pending'";
/// The schema's own number, which separates our locks from those of other programs and states in the database.
const CLASS: &str = "SELECT current_schema()::regnamespace::oid::int8::int4";
/// Both change only with a restart of the server.
const LOCK_CAPACITY: &str = "SELECT current_setting('max_locks_per_transaction')::int8,
    current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8";
const LOCKS: &str = "SELECT pid = pg_backend_pid(), pid, objid::int8 FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = $1::int4::oid AND objsubid = 2 AND objid <> $2::int4::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const ACQUIRE: &str =
    "SELECT id FROM unnest($2::int4[]) AS id WHERE pg_try_advisory_lock($1::int4, id)";
const RELEASE: &str = "SELECT pg_advisory_unlock($1::int4, id) FROM unnest($2::int4[]) AS id";

/// Every how many renewals the targets with pending deliveries are read.
const PENDING_INTERVAL: u32 = 10;

/// A target's advisory lock.
type LockKey = i32;

/// The leases of this session.
#[derive(Debug, Default)]
pub(super) struct LeaseTable {
    /// The schema's number. `None` before [`LeaseTable::register`].
    class: Option<i32>,
    capacity: LockCapacity,
    keys: BTreeMap<TargetName, LockKey>,
    owned: BTreeMap<TargetName, Lease>,
    free_before: FreeTargets,
    acquired: u64,
    renewals: u32,
    /// How many targets some instance should own, as of the last renewal.
    wanted: usize,
    /// Targets with pending deliveries, as of a recent renewal.
    with_pending: BTreeSet<TargetName>,
}

/// One period of owning a target. What was read under an earlier lease may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease(u64);

/// The advisory locks of the schema, as one query shows them.
struct Locks {
    ours: BTreeSet<LockKey>,
    /// How many targets each other instance owns, by its server process. 0 for an instance without targets.
    others: BTreeMap<i32, usize>,
    taken: BTreeSet<LockKey>,
}

impl Locks {
    /// Targets that some instance owns.
    fn count(&self) -> usize {
        self.ours.len() + self.taken.len()
    }
}

impl LeaseTable {
    /// The targets that this instance owns.
    pub(super) fn owned(&self) -> &BTreeMap<TargetName, Lease> {
        &self.owned
    }

    /// Why the server can't lock all targets. `None` if it can.
    pub(super) fn capacity_error(&self) -> Option<String> {
        self.capacity.capacity_error(self.wanted)
    }

    /// Forgets all leases, because the session is gone. Targets acquired later get new leases.
    pub(super) fn reset(&mut self) {
        let (keys, acquired) = (std::mem::take(&mut self.keys), self.acquired);
        *self = Self {
            keys,
            acquired,
            ..Self::default()
        };
    }

    /// Registers this instance in the lock table. Once per session.
    pub(super) async fn register(&mut self, tx: &Transaction<'_>) -> Result<(), PostgresError> {
        let class = tx
            .query_first(CLASS, &[])
            .await?
            .ok_or_else(|| PostgresError::Refused("the server has no schema of ours".to_owned()))?
            .try_get(0)?;
        self.class = Some(class);
        if let Some(row) = tx.query_first(LOCK_CAPACITY, &[]).await? {
            let setting = |column| {
                Ok::<_, PostgresError>(usize::try_from(count(&row, column)?).unwrap_or(usize::MAX))
            };
            self.capacity = LockCapacity {
                per_session: setting(0)?,
                sessions: setting(1)?,
            };
        }
        state_lock::lock_shared(tx, class).await?;
        loop {
            // Targets have positive keys.
            let own = -fastrand::i32(1..i32::MAX);
            if !tx.query(ACQUIRE, &[&class, &vec![own]]).await?.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads the lock table, then acquires or releases targets so that the instances' shares become more equal. Does not release
    /// targets in `under_way`.
    pub(super) async fn renew(
        &mut self,
        tx: &Transaction<'_>,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let class = self.class.ok_or(PostgresError::NotConnected)?;
        if self.renewals.is_multiple_of(PENDING_INTERVAL) {
            self.with_pending = targets_with_pending(tx).await?;
        }
        self.renewals = self.renewals.wrapping_add(1);
        let wanted: BTreeSet<TargetName> = wanted.union(&self.with_pending).cloned().collect();
        self.learn_keys(tx, &wanted).await?;
        let locks = read_locks(tx, class).await?;
        self.check_none_lost(&locks)?;
        self.note_acquired(&locks, &wanted);
        let free: Vec<LockKey> = wanted
            .iter()
            .filter_map(|name| self.keys.get(name).copied())
            .filter(|key| !locks.ours.contains(key) && !locks.taken.contains(key))
            .collect();
        // Shares are computed over the targets that the lock table has room for.
        let room = self.capacity.room();
        let census = LeaseCensus {
            wanted: wanted.len().min(room),
            free: free.len().min(room.saturating_sub(locks.count())),
            owned: self.owned.len(),
            fewest_elsewhere: locks.others.values().min().copied(),
            instances: locks.others.len() + 1,
            free_before: self.free_before,
        };
        self.wanted = wanted.len();
        self.free_before = if census.free == 0 {
            FreeTargets::New
        } else {
            FreeTargets::SeenBefore
        };
        match balance(census) {
            BalanceStep::Take(0) => {}
            BalanceStep::Take(count) => self.acquire(tx, class, free, count).await?,
            BalanceStep::Release(count) => self.release_idle(tx, class, under_way, count).await?,
        }
        self.release_unwanted(tx, class, &wanted, under_way).await
    }

    async fn learn_keys(
        &mut self,
        tx: &Transaction<'_>,
        wanted: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let unknown: Vec<&str> = wanted
            .iter()
            .filter(|name| !self.keys.contains_key(name))
            .map(TargetName::as_str)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        tx.execute(ADD_KEYS, &[&unknown]).await?;
        for row in tx.query(KEYS, &[&unknown]).await? {
            self.keys
                .insert(TargetName(row.try_get(0)?), row.try_get(1)?);
        }
        Ok(())
    }

    /// Locks last as long as their session. If one is missing while the session seems to live, a pool shares the session.
    fn check_none_lost(&self, locks: &Locks) -> Result<(), PostgresError> {
        let lost = self.owned.keys().find(|name| {
            self.keys
                .get(name)
                .is_none_or(|key| !locks.ours.contains(key))
        });
        match lost {
            None => Ok(()),
            Some(_) => Err(PostgresError::Refused(POOLED.to_owned())),
        }
    }

    /// Notes locks that a transaction acquired which then failed: the session holds them all the same.
    fn note_acquired(&mut self, locks: &Locks, wanted: &BTreeSet<TargetName>) {
        for name in wanted {
            let ours = self
                .keys
                .get(name)
                .is_some_and(|key| locks.ours.contains(key));
            if ours && !self.owned.contains_key(name) {
                self.add(name.clone());
            }
        }
    }

    fn add(&mut self, name: TargetName) {
        self.acquired += 1;
        self.owned.insert(name, Lease(self.acquired));
    }

    async fn acquire(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        mut free: Vec<LockKey>,
        count: usize,
    ) -> Result<(), PostgresError> {
        // In random order, or instances that start at the same time would all try the same targets.
        fastrand::shuffle(&mut free);
        free.truncate(count);
        let rows = tx.query(ACQUIRE, &[&class, &free]).await?;
        let acquired: BTreeSet<LockKey> = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        let names = self.keys.iter().filter(|(_, key)| acquired.contains(key));
        let names: Vec<TargetName> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.add(name);
        }
        Ok(())
    }

    async fn release_idle(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        under_way: &BTreeSet<TargetName>,
        count: usize,
    ) -> Result<(), PostgresError> {
        let mut idle: Vec<TargetName> = self
            .owned
            .keys()
            .filter(|name| !under_way.contains(name))
            .cloned()
            .collect();
        fastrand::shuffle(&mut idle);
        idle.truncate(count);
        self.release(tx, class, &idle).await
    }

    /// Releases targets that no config names and that have no pending deliveries.
    async fn release_unwanted(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let unwanted: Vec<TargetName> = self
            .owned
            .keys()
            .filter(|name| !wanted.contains(name) && !under_way.contains(name))
            .cloned()
            .collect();
        self.release(tx, class, &unwanted).await
    }

    async fn release(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        names: &[TargetName],
    ) -> Result<(), PostgresError> {
        if names.is_empty() {
            return Ok(());
        }
        // Forgotten first: a target under release must not be written any more.
        for name in names {
            self.owned.remove(name);
        }
        let keys: Vec<LockKey> = names
            .iter()
            .filter_map(|name| self.keys.get(name).copied())
            .collect();
        tx.query(RELEASE, &[&class, &keys]).await?;
        Ok(())
    }
}

/// The error text if a pool gives one session to several clients.
pub(super) const POOLED: &str = "its session is shared: a connection pool in transaction mode stands before the server, and locks do not \
     survive there; connect to the server itself, or to a pool in session mode";

async fn targets_with_pending(tx: &Transaction<'_>) -> Result<BTreeSet<TargetName>, PostgresError> {
    let rows = tx.query(PENDING_TARGETS, &[]).await?;
    rows.iter()
        .map(|row| Ok(TargetName(row.try_get(0)?)))
        .collect()
}

async fn read_locks(tx: &Transaction<'_>, class: i32) -> Result<Locks, PostgresError> {
    let mut locks = Locks {
        ours: BTreeSet::new(),
        others: BTreeMap::new(),
        taken: BTreeSet::new(),
    };
    for row in tx.query(LOCKS, &[&class, &state_lock::KEY]).await? {
        let (is_ours, process, number): (bool, i32, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // Beyond the positive 32-bit numbers: an instance, not a target.
        let key = LockKey::try_from(number).ok();
        match (is_ours, key) {
            (true, Some(key)) => {
                locks.ours.insert(key);
            }
            (true, None) => {}
            (false, Some(key)) => {
                *locks.others.entry(process).or_default() += 1;
                locks.taken.insert(key);
            }
            (false, None) => {
                locks.others.entry(process).or_default();
            }
        }
    }
    Ok(locks)
}
