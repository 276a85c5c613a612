//! `SqliteQueries` and `SqliteOutboxAdmin`: the state as commands, pages and metrics see it, opened beside its daemon and
//! without its lock.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::connection::{SharedConnection, apply_write_pragmas, open_beside};
use super::error::SqliteError;
use super::file::StateFile;
use super::{meta, outbox, schema};
use crate::domain::model::Timestamp;
use crate::store::batched;
use crate::store::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use crate::store::outbox::OutboxCommand;
use crate::store::queries::{
    DeliveryCursor, DeliveryRecord, EventRecord, HourlyCount, OutboxAdmin, StateQueries, TaskCount,
    TaskCursor, TaskRecord,
};
use crate::store::{OutboxBacklog, StoreError};

mod deliveries;
mod events;
mod tasks;
#[cfg(test)]
mod tests;
mod where_clause;

/// How long [`StateQueries::close`] waits for a read under way.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Reads the state at `path`, whether or not a daemon has it open.
#[derive(Debug)]
pub struct SqliteQueries {
    file: StateFile,
    connection: SharedConnection,
}

/// Changes the outbox of the state at `path`, whether or not a daemon has it open.
#[derive(Debug)]
pub struct SqliteOutboxAdmin {
    file: StateFile,
    connection: SharedConnection,
}

impl SqliteQueries {
    /// Opens it read-only. May leave an empty write-ahead log beside the database, which means nothing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let connection = open_beside(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, schema::LATEST)?;
        let connection = SharedConnection::new(connection);
        Ok(Self { file, connection })
    }

    fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let read = self.connection.read(query);
        read.map_err(|error| error.into_error(self.file.said(), action))
    }
}

impl SqliteOutboxAdmin {
    /// Opens it for writing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let connection = open_beside(&file, OpenFlags::SQLITE_OPEN_READ_WRITE, schema::LATEST)?;
        apply_write_pragmas(&connection)
            .map_err(|error| error.into_error(file.said(), "open its database"))?;
        let connection = SharedConnection::new(connection);
        Ok(Self { file, connection })
    }

    fn run(&self, command: OutboxCommand, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        batched::walk(|after| {
            let batch = |state: &Connection| deliveries::batch(state, filter, command, after);
            let done = self.connection.write(batch);
            done.map_err(|error| error.into_error(self.file.said(), command.action()))
        })
    }
}

impl StateQueries for SqliteQueries {
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskCursor>,
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
        self.read("read events", meta::last_sequence)
    }

    fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryCursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("read the outbox", |state| {
            deliveries::page(state, filter, after, limit)
        })
    }

    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", outbox::outbox_backlog)
    }

    fn close(&self) {
        drop(self.connection.take(CLOSE_TIMEOUT));
    }
}

impl OutboxAdmin for SqliteOutboxAdmin {
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.run(OutboxCommand::Retry, filter)
    }

    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.run(OutboxCommand::Discard, filter)
    }
}
