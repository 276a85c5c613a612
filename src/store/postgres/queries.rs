//! `PostgresQueries`: the shared state as commands, pages and metrics see it, in a session that owns no locks.

use parking_lot::Mutex;
use std::sync::Arc;

use super::error::PostgresError;
use super::session::{Reconnect, Role, Session, Transaction};
use super::url::ConnectUrl;
use super::{outbox, schema};
use crate::clock::{CancelToken, Clock};
use crate::domain::model::Timestamp;
use crate::store::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use crate::store::outbox::OutboxCommand;
use crate::store::queries::{
    DeliveryCursor, DeliveryRecord, EventRecord, HourlyCount, OutboxAdmin, StateQueries, TaskCount,
    TaskCursor, TaskRecord,
};
use crate::store::{OutboxBacklog, StoreError, batched};

mod deliveries;
mod events;
mod tasks;
mod where_clause;

/// Reads the state, and changes its outbox for operators. Reconnects after an error.
#[derive(Debug)]
pub struct PostgresQueries {
    address: ConnectUrl,
    session: Mutex<Reconnect>,
}

impl PostgresQueries {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(
        address: &ConnectUrl,
        clock: &Arc<dyn Clock>,
        stop: &CancelToken,
    ) -> Result<Self, StoreError> {
        let session = Reconnect::new(address, Role::Reader, clock, stop);
        let records = Self {
            address: address.clone(),
            session: Mutex::new(session),
        };
        records.read("open its database", async |tx| {
            schema::check(tx, address.schema()).await
        })?;
        Ok(records)
    }

    fn read<T>(
        &self,
        action: &'static str,
        tx: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        self.run(action, |session| session.read(tx))
    }

    fn run<T>(
        &self,
        action: &'static str,
        transact: impl FnOnce(&mut Session) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let mut session = self.session.lock();
        let session = session.renewed(|_| Ok(()));
        session
            .and_then(transact)
            .map_err(|error| error.into_error(self.address.said(), action, schema::LATEST))
    }

    fn run_command(
        &self,
        command: OutboxCommand,
        filter: &DeliveryFilter,
    ) -> Result<u64, StoreError> {
        batched::walk(|after| {
            self.run(command.action(), |session| {
                session.write(async |tx| deliveries::batch(tx, filter, command, after).await)
            })
        })
    }
}

impl StateQueries for PostgresQueries {
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.read("read tasks", async |tx| {
            tasks::page(tx, filter, after, limit).await
        })
    }

    fn task_counts(&self) -> Result<Vec<TaskCount>, StoreError> {
        self.read("count tasks", async |tx| tasks::counts(tx).await)
    }

    fn hourly_counts(&self, since: Timestamp) -> Result<Vec<HourlyCount>, StoreError> {
        self.read("count tasks", async |tx| {
            tasks::hourly_counts(tx, since).await
        })
    }

    fn events(
        &self,
        filter: &EventFilter,
        span: EventSpan,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.read("read events", async |tx| {
            events::page(tx, filter, span, limit).await
        })
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        self.read("read events", async |tx| outbox::last_sequence(tx).await)
    }

    fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryCursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("read the outbox", async |tx| {
            deliveries::page(tx, filter, after, limit).await
        })
    }

    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", async |tx| {
            outbox::outbox_backlog(tx).await
        })
    }

    fn close(&self) {
        self.session.lock().end();
    }
}

impl OutboxAdmin for PostgresQueries {
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.run_command(OutboxCommand::Retry, filter)
    }

    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.run_command(OutboxCommand::Discard, filter)
    }
}
