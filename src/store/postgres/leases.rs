//! Which targets this instance holds: advisory locks of the session that also writes, so whoever has lost them can't write
//! any more. Owns the locks' numbers; how many to hold is [`super::share`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::balance::{LeaseCensus, Seen, Step, step};
use super::error::PostgresError;
use super::lock_capacity::LockCapacity;
use super::session::Transaction;
use super::state_lock;
use super::values::count;
use crate::domain::model::TargetName;

/// One number a target, for advisory locks are numbers.
const ADD_KEYS: &str = "INSERT INTO target_key (name)
    SELECT name FROM unnest($1::text[]) AS name ON CONFLICT (name) DO NOTHING";
const KEYS: &str = "SELECT name, id FROM target_key WHERE name = ANY($1)";
/// Of targets that no config may name any more: what they are owed must be delivered all the same.
const OWING: &str = "SELECT DISTINCT target FROM delivery WHERE state = 'pending'";
/// The locks of one schema: its own number tells them from those of other programs and other states in the database.
const CLASS: &str = "SELECT current_schema()::regnamespace::oid::int8::int4";
/// Either changes only with a restart of the server.
const LOCK_TABLE: &str = "SELECT current_setting('max_locks_per_transaction')::int8,
    current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8";
const LOCKS: &str = "SELECT pid = pg_backend_pid(), pid, objid::int8 FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = $1::int4::oid AND objsubid = 2 AND objid <> $2::int4::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const TAKE: &str =
    "SELECT id FROM unnest($2::int4[]) AS id WHERE pg_try_advisory_lock($1::int4, id)";
const RELEASE: &str = "SELECT pg_advisory_unlock($1::int4, id) FROM unnest($2::int4[]) AS id";

/// Those are looked for at each of so many looks.
const OWING_EVERY: u32 = 10;

/// A target's lock.
type Key = i32;

/// What this session holds.
#[derive(Debug, Default)]
pub(super) struct LeaseTable {
    /// The schema's number; none before the first look.
    class: Option<i32>,
    table: LockCapacity,
    keys: BTreeMap<TargetName, Key>,
    held: BTreeMap<TargetName, Lease>,
    free_before: Seen,
    takes: u64,
    looks: u32,
    /// How many targets somebody should hold, as of the last look.
    wanted: usize,
    /// Targets that somebody is owed events of, as of a recent look.
    owing: BTreeSet<TargetName>,
}

/// Which taking of a target it is: what was read under an earlier one may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease(u64);

/// The lock table, as one look shows it.
struct Locks {
    ours: BTreeSet<Key>,
    /// By the server's process; an instance without a target has 0.
    others: BTreeMap<i32, usize>,
    taken: BTreeSet<Key>,
}

impl Locks {
    /// Targets that somebody holds.
    fn count(&self) -> usize {
        self.ours.len() + self.taken.len()
    }
}

impl LeaseTable {
    /// The targets held.
    pub(super) fn held(&self) -> &BTreeMap<TargetName, Lease> {
        &self.held
    }

    /// Why some targets are held by nobody.
    pub(super) fn capacity_error(&self) -> Option<String> {
        self.table.capacity_error(self.wanted)
    }

    /// Holds nothing any more: the session is gone. What is taken later is held anew.
    pub(super) fn begin_anew(&mut self) {
        let (keys, takes) = (std::mem::take(&mut self.keys), self.takes);
        *self = Self {
            keys,
            takes,
            ..Self::default()
        };
    }

    /// Says in the lock table that there is this instance. Once a session.
    pub(super) async fn enlist(&mut self, tx: &Transaction<'_>) -> Result<(), PostgresError> {
        let class = tx
            .query_first(CLASS, &[])
            .await?
            .ok_or_else(|| PostgresError::Refused("the server has no schema of ours".to_owned()))?
            .try_get(0)?;
        self.class = Some(class);
        if let Some(row) = tx.query_first(LOCK_TABLE, &[]).await? {
            let setting = |column| {
                Ok::<_, PostgresError>(usize::try_from(count(&row, column)?).unwrap_or(usize::MAX))
            };
            self.table = LockCapacity {
                per_session: setting(0)?,
                sessions: setting(1)?,
            };
        }
        state_lock::share(tx, class).await?;
        loop {
            // Targets have positive numbers.
            let own = -fastrand::i32(1..i32::MAX);
            if !tx.query(TAKE, &[&class, &vec![own]]).await?.is_empty() {
                return Ok(());
            }
        }
    }

    /// Looks at the lock table, and takes or lets go what brings the shares closer to equal. Those in `under_way` are not let go.
    pub(super) async fn renew_leases(
        &mut self,
        tx: &Transaction<'_>,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let class = self.class.ok_or(PostgresError::Away)?;
        if self.looks.is_multiple_of(OWING_EVERY) {
            self.owing = owing(tx).await?;
        }
        self.looks = self.looks.wrapping_add(1);
        let wanted: BTreeSet<TargetName> = wanted.union(&self.owing).cloned().collect();
        self.learn_keys(tx, &wanted).await?;
        let locks = look(tx, class).await?;
        self.check_nothing_was_lost(&locks)?;
        self.adopt(&locks, &wanted);
        let free: Vec<Key> = wanted
            .iter()
            .filter_map(|name| self.keys.get(name).copied())
            .filter(|key| !locks.ours.contains(key) && !locks.taken.contains(key))
            .collect();
        // What there is no room for is wanted in vain: the shares are those of what can be held.
        let room = self.table.room();
        let census = LeaseCensus {
            wanted: wanted.len().min(room),
            free: free.len().min(room.saturating_sub(locks.count())),
            ours: self.held.len(),
            poorest_other: locks.others.values().min().copied(),
            instances: locks.others.len() + 1,
            free_before: self.free_before,
        };
        self.wanted = wanted.len();
        self.free_before = if census.free == 0 {
            Seen::Now
        } else {
            Seen::Before
        };
        match step(census) {
            Step::Take(0) => {}
            Step::Take(count) => self.take(tx, class, free, count).await?,
            Step::Release(count) => self.release(tx, class, under_way, count).await?,
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

    /// Locks go with their session. If one is gone while the session seems to live, the session is not what it seems.
    fn check_nothing_was_lost(&self, locks: &Locks) -> Result<(), PostgresError> {
        let lost = self.held.keys().find(|name| {
            self.keys
                .get(name)
                .is_none_or(|key| !locks.ours.contains(key))
        });
        match lost {
            None => Ok(()),
            Some(_) => Err(PostgresError::Refused(POOLED.to_owned())),
        }
    }

    /// A lock that was taken by a transaction which then failed is held all the same.
    fn adopt(&mut self, locks: &Locks, wanted: &BTreeSet<TargetName>) {
        for name in wanted {
            let ours = self
                .keys
                .get(name)
                .is_some_and(|key| locks.ours.contains(key));
            if ours && !self.held.contains_key(name) {
                self.hold(name.clone());
            }
        }
    }

    fn hold(&mut self, name: TargetName) {
        self.takes += 1;
        self.held.insert(name, Lease(self.takes));
    }

    async fn take(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        mut free: Vec<Key>,
        count: usize,
    ) -> Result<(), PostgresError> {
        // At random, or instances that start at once would all try for the same ones.
        fastrand::shuffle(&mut free);
        free.truncate(count);
        let rows = tx.query(TAKE, &[&class, &free]).await?;
        let taken: BTreeSet<Key> = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        let names = self.keys.iter().filter(|(_, key)| taken.contains(key));
        let names: Vec<TargetName> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.hold(name);
        }
        Ok(())
    }

    async fn release(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        under_way: &BTreeSet<TargetName>,
        count: usize,
    ) -> Result<(), PostgresError> {
        let mut idle: Vec<TargetName> = self
            .held
            .keys()
            .filter(|name| !under_way.contains(name))
            .cloned()
            .collect();
        fastrand::shuffle(&mut idle);
        idle.truncate(count);
        self.let_go(tx, class, &idle).await
    }

    /// What no config names and nobody is owed anything of.
    async fn release_unwanted(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let unwanted: Vec<TargetName> = self
            .held
            .keys()
            .filter(|name| !wanted.contains(name) && !under_way.contains(name))
            .cloned()
            .collect();
        self.let_go(tx, class, &unwanted).await
    }

    async fn let_go(
        &mut self,
        tx: &Transaction<'_>,
        class: i32,
        names: &[TargetName],
    ) -> Result<(), PostgresError> {
        if names.is_empty() {
            return Ok(());
        }
        // First here: what is being let go must not be written any more.
        for name in names {
            self.held.remove(name);
        }
        let keys: Vec<Key> = names
            .iter()
            .filter_map(|name| self.keys.get(name).copied())
            .collect();
        tx.query(RELEASE, &[&class, &keys]).await?;
        Ok(())
    }
}

/// What is said of a session that is not one.
pub(super) const POOLED: &str = "its session is shared: a connection pool in transaction mode stands before the server, and locks do not \
     survive there; connect to the server itself, or to a pool in session mode";

async fn owing(tx: &Transaction<'_>) -> Result<BTreeSet<TargetName>, PostgresError> {
    let rows = tx.query(OWING, &[]).await?;
    rows.iter()
        .map(|row| Ok(TargetName(row.try_get(0)?)))
        .collect()
}

async fn look(tx: &Transaction<'_>, class: i32) -> Result<Locks, PostgresError> {
    let mut locks = Locks {
        ours: BTreeSet::new(),
        others: BTreeMap::new(),
        taken: BTreeSet::new(),
    };
    for row in tx.query(LOCKS, &[&class, &state_lock::NUMBER]).await? {
        let (is_ours, process, number): (bool, i32, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // Above the positive numbers of 32 bits: an instance, not a target.
        let key = Key::try_from(number).ok();
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
