//! The shared state as onlookers and operators see it: a session that holds nothing, beside whatever instances there are.

use std::sync::{Mutex, PoisonError};

use super::fault::Fault;
use super::session::{Role, Session, Work};
use super::{Address, outbox, schema};
use crate::clock::Stop;
use crate::model::Timestamp;
use crate::store::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use crate::store::records::{
    DeliveryPlace, DeliveryRecord, EventRecord, HourlyCount, OutboxOrders, Records, TaskCount,
    TaskPlace, TaskRecord,
};
use crate::store::{Owed, StoreError};

mod conditions;
mod deliveries;
mod events;
mod tasks;

pub(super) use deliveries::state as delivery_state;

/// Reads the state, and takes orders about its outbox. Connects again after a fault.
#[derive(Debug)]
pub struct PostgresRecords {
    address: Address,
    stop: Stop,
    session: Mutex<Option<Session>>,
}

impl PostgresRecords {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(address: &Address, stop: &Stop) -> Result<Self, StoreError> {
        let records = Self {
            address: address.clone(),
            stop: stop.clone(),
            session: Mutex::new(None),
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
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let run = |session: &mut Option<Session>| {
            if session.as_ref().is_none_or(|session| !session.is_sound()) {
                *session = Some(Session::open(&self.address, Role::Reader, &self.stop)?);
            }
            transact(session.as_mut().ok_or(Fault::Away)?)
        };
        run(&mut session)
            .map_err(|fault| fault.into_error(self.address.said(), action, schema::LATEST))
    }

    fn in_steps(
        &self,
        action: &'static str,
        filter: &DeliveryFilter,
        order: &'static str,
    ) -> Result<u64, StoreError> {
        let (mut changed, mut after) = (0, None);
        loop {
            let step = self.run(action, |session| {
                session
                    .write(async |work| deliveries::step(work, filter, order, after.as_ref()).await)
            })?;
            changed += step.changed;
            if step.last.is_none() {
                return Ok(changed);
            }
            after = step.last;
        }
    }
}

impl Records for PostgresRecords {
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

    fn owed(&self) -> Result<Vec<Owed>, StoreError> {
        self.read("count the outbox", async |work| outbox::owed(work).await)
    }
}

impl OutboxOrders for PostgresRecords {
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.in_steps("make deliveries due", filter, deliveries::RETRY)
    }

    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.in_steps("drop deliveries", filter, deliveries::DISCARD)
    }
}
