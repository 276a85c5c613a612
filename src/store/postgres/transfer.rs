//! A shared state as the source and as the destination of a copy: one transaction, in which nobody else writes.

use std::ops::ControlFlow;
use std::time::Duration;

use super::error::PostgresError;
use super::session::{Role, Session};
use super::{ConnectUrl, schema, state_lock};
use crate::clock::CancelToken;
use crate::store::StoreError;
use crate::store::transfer::{
    Chunk, ContentHash, ExportSource, ImportTarget, RowCounts, Sink, not_empty,
};

mod read;
mod write;

/// Longer than any copy takes: who waits may end it.
const COPY_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A state to be read whole.
#[derive(Debug)]
pub struct PostgresExport(Place);

/// A state to be filled.
#[derive(Debug)]
pub struct PostgresImport(Place);

#[derive(Debug)]
struct Place {
    address: ConnectUrl,
    session: Session,
}

impl Place {
    fn connect(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let session = Session::open(address, Role::Copier, stop)
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self {
            address: address.clone(),
            session,
        })
    }
}

fn error(address: &ConnectUrl, fault: PostgresError, action: &'static str) -> StoreError {
    fault.into_error(address.said(), action, schema::LATEST)
}

impl PostgresExport {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut place = Place::connect(address, stop)?;
        let checked = place.session.write(async |tx| {
            schema::check(tx, address.schema()).await?;
            // For now: so that nobody makes a destination for nothing.
            state_lock::take(tx).await
        });
        checked.map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(place))
    }
}

impl ExportSource for PostgresExport {
    fn export(&mut self, receiver: &mut Sink<'_>) -> Result<(), StoreError> {
        let Place { address, session } = &mut self.0;
        let read = session.write_within(COPY_WITHIN, async |tx| {
            state_lock::take(tx).await?;
            read::all(tx, receiver).await
        });
        read.map_err(|fault| error(address, fault, "read it"))
    }
}

impl PostgresImport {
    /// Connects, and makes the schema if there is none.
    pub fn open(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut place = Place::connect(address, stop)?;
        schema::prepare(&mut place.session, address.schema())
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(place))
    }
}

impl ImportTarget for PostgresImport {
    fn import(
        &mut self,
        portions: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError> {
        let Place { address, session } = &mut self.0;
        let taken = session.write_within(COPY_WITHIN, async |tx| {
            state_lock::take(tx).await?;
            let origin = read::origin(tx).await?;
            if origin.counts != RowCounts::default() || origin.last_sequence > 0 {
                return Err(PostgresError::Refused(not_empty(origin.counts)));
            }
            let mut came = ContentHash::default();
            for portion in portions {
                came.add(&portion);
                write::portion(tx, &portion).await?;
            }
            write::numbers_go_on(tx).await?;
            let mut kept = ContentHash::default();
            read::all(tx, &mut |portion| {
                kept.add(&portion);
                ControlFlow::Continue(())
            })
            .await?;
            came.difference(&kept).map_or(Ok(kept), |difference| {
                Err(PostgresError::Refused(difference))
            })
        });
        taken.map_err(|fault| error(address, fault, "copy another one into it"))
    }
}
