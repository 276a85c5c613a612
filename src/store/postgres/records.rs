//! The shared state as onlookers and operators see it: a session that holds nothing, beside whatever instances there are.

use parking_lot::Mutex;
use std::sync::Arc;

use super::fault::Fault;
use super::reconnecting::Reconnecting;
use super::session::{Role, Session, Work};
use super::{Address, outbox, schema};
use crate::clock::{CancelToken, Clock};
use crate::domain::model::Timestamp;
use crate::store::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use crate::store::outbox::OutboxCommand;
use crate::store::queries::{
    DeliveryPlace, DeliveryRecord, EventRecord, HourlyCount, OutboxAdmin, StateQueries, TaskCount,
    TaskPlace, TaskRecord,
};
use crate::store::{OutboxBacklog, StoreError, steps};

mod conditions;
mod deliveries;
mod events;
mod tasks;

pub(super) use deliveries::state as delivery_state;

/// Reads the state, and takes orders about its outbox. Connects again after a fault.
#[derive(Debug)]
pub struct PostgresRecords {
    address: Address,
    session: Mutex<Reconnecting>,
}

impl PostgresRecords {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(
        address: &Address,
        clock: &Arc<dyn Clock>,
        stop: &CancelToken,
    ) -> Result<Self, StoreError> {
        let session = Reconnecting::new(address, Role::Reader, clock, stop);
        let records = Self {
            address: address.clone(),
            session: Mutex::new(session),
        };
        records.read("open its database", async |work| {
            schema::check(work, address.schema()).await
        })?;
        Ok(records)
    }

    fn read<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&Work<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.run(action, |session| session.read(work))
    }

    fn run<T>(
        &self,
        action: &'static str,
        transact: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut session = self.session.lock();
        let session = session.renewed(|_| Ok(()));
        session
            .and_then(transact)
            .map_err(|fault| fault.into_error(self.address.said(), action, schema::LATEST))
    }

    fn carry_out(&self, order: OutboxCommand, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        steps::walk(|after| {
            self.run(order.action(), |session| {
                session.write(async |work| deliveries::step(work, filter, order, after).await)
            })
        })
    }
}

impl StateQueries for PostgresRecords {
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskPlace>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.read("read tasks", async |work| {
            tasks::page(work, filter, after, limit).await
        })
    }

    fn task_counts(&self) -> Result<Vec<TaskCount>, StoreError> {
        self.read("count tasks", async |work| tasks::counts(work).await)
    }

    fn hourly_counts(&self, since: Timestamp) -> Result<Vec<HourlyCount>, StoreError> {
        self.read("count tasks", async |work| {
            tasks::hourly_counts(work, since).await
        })
    }

    fn events(
        &self,
        filter: &EventFilter,
        span: EventSpan,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.read("read events", async |work| {
            events::page(work, filter, span, limit).await
        })
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        self.read("read events", async |work| {
            outbox::last_sequence(work).await
        })
    }

    fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("read the outbox", async |work| {
            deliveries::page(work, filter, after, limit).await
        })
    }

    fn owed(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", async |work| outbox::owed(work).await)
    }

    fn close(&self) {
        self.session.lock().end();
    }
}

impl OutboxAdmin for PostgresRecords {
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.carry_out(OutboxCommand::Retry, filter)
    }

    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.carry_out(OutboxCommand::Discard, filter)
    }
}
