//! The state seen from beside its daemon: opened without its lock, by commands and onlookers. Never creates, checks, mends
//! or sets aside anything; an older version is not brought up to date here.

use parking_lot::Mutex;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault::Fault;
use super::file::StateFile;
use super::open::{self, MIGRATIONS, version_of};
use super::{outbox, with_connection};
use crate::domain::model::Timestamp;
use crate::store::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use crate::store::outbox::OutboxCommand;
use crate::store::queries::{
    DeliveryPlace, DeliveryRecord, EventRecord, HourlyCount, OutboxAdmin, StateQueries, TaskCount,
    TaskPlace, TaskRecord,
};
use crate::store::steps::{self, Step};
use crate::store::{OutboxBacklog, StoreError};

mod conditions;
mod deliveries;
mod events;
mod orders;
mod tasks;
#[cfg(test)]
mod tests;
mod url_search;

pub(super) use deliveries::state as delivery_state;

/// How long an order waits for a commit of the daemon's; readers wait for nobody.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the state at `path`, whether or not a daemon has it open.
#[derive(Debug)]
pub struct SqliteRecords {
    file: StateFile,
    /// `None` after [`StateQueries::close`].
    connection: Mutex<Option<Connection>>,
}

/// Changes the outbox of the state at `path`, whether or not a daemon has it open.
#[derive(Debug)]
pub struct SqliteOutbox {
    file: StateFile,
    connection: Mutex<Connection>,
}

impl SqliteRecords {
    /// Opens it read-only. Leaves the database as it is; empty journals that may be left beside it mean nothing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let connection = Mutex::new(Some(connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?));
        Ok(Self { file, connection })
    }

    fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let read = |connection: &mut Connection| query(&*connection.transaction()?);
        with_connection(&mut self.connection.lock(), read)
            .map_err(|fault| fault.into_error(self.file.said(), action))
    }
}

impl SqliteOutbox {
    /// Opens it for orders.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        open::apply_connection_pragmas(&connection)
            .map_err(|fault| fault.into_error(file.said(), "open its database"))?;
        let connection = Mutex::new(connection);
        Ok(Self { file, connection })
    }

    fn carry_out(&self, order: OutboxCommand, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        let mut connection = self.connection.lock();
        steps::walk(|after| {
            let mut write = || -> Result<Step, Fault> {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let step = orders::step(&transaction, filter, order, after)?;
                transaction.commit()?;
                Ok(step)
            };
            write().map_err(|fault| fault.into_error(self.file.said(), order.action()))
        })
    }
}

/// Opens what is there, if it is of this program's version.
pub(super) fn connect(file: &StateFile, mode: OpenFlags) -> Result<Connection, StoreError> {
    connect_as(file, mode, version_of(MIGRATIONS))
}

pub(super) fn connect_as(
    file: &StateFile,
    mode: OpenFlags,
    latest: i64,
) -> Result<Connection, StoreError> {
    let open = || -> Result<(Connection, i64), Fault> {
        let connection =
            Connection::open_with_flags(file.path(), mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Whether the journal is sound is the daemon's to find out: it stays as it is.
        open::checkpoint_on_close(&connection, false)?;
        let version = open::user_version(&connection)?;
        Ok((connection, version))
    };
    let (connection, version) =
        open().map_err(|fault| fault.into_error(file.said(), "open its database"))?;
    file.check_version(version, latest)?;
    if version < latest {
        let why = format!(
            "it is of version {version}, and this program reads version {latest}; the daemon brings it up to date when it \
             starts"
        );
        return Err(Fault::Refused(why).into_error(file.said(), "read it yet"));
    }
    Ok(connection)
}

impl StateQueries for SqliteRecords {
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskPlace>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.read("read tasks", |state| {
            tasks::page(state, filter, after, limit)
        })
    }

    fn task_counts(&self) -> Result<Vec<TaskCount>, StoreError> {
        self.read("count tasks", tasks::counts)
    }

    fn hourly_counts(&self, since: Timestamp) -> Result<Vec<HourlyCount>, StoreError> {
        self.read("count tasks", |state| tasks::hourly_counts(state, since))
    }

    fn events(
        &self,
        filter: &EventFilter,
        span: EventSpan,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.read("read events", |state| {
            events::page(state, filter, span, limit)
        })
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        self.read("read events", outbox::last_sequence)
    }

    fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("read the outbox", |state| {
            deliveries::page(state, filter, after, limit)
        })
    }

    fn owed(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", outbox::owed)
    }

    fn close(&self) {
        drop(self.connection.lock().take());
    }
}

impl OutboxAdmin for SqliteOutbox {
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.carry_out(OutboxCommand::Retry, filter)
    }

    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.carry_out(OutboxCommand::Discard, filter)
    }
}
