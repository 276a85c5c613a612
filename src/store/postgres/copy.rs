//! A shared state as the source and as the destination of a copy: one transaction, in which nobody else writes.

use std::ops::ControlFlow;
use std::time::Duration;

use super::fault::Fault;
use super::session::{Role, Session};
use super::{Address, occupancy, schema};
use crate::clock::CancelToken;
use crate::store::StoreError;
use crate::store::copy::{Counts, Destination, Portion, Receiver, Source, Tally, not_empty};

mod read;
mod write;

/// Longer than any copy takes: who waits may end it.
const COPY_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A state to be read whole.
#[derive(Debug)]
pub struct PostgresSource(Place);

/// A state to be filled.
#[derive(Debug)]
pub struct PostgresDestination(Place);

#[derive(Debug)]
struct Place {
    address: Address,
    session: Session,
}

impl Place {
    fn connect(address: &Address, stop: &CancelToken) -> Result<Self, StoreError> {
        let session = Session::open(address, Role::Copier, stop)
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self {
            address: address.clone(),
            session,
        })
    }
}

fn error(address: &Address, fault: Fault, action: &'static str) -> StoreError {
    fault.into_error(address.said(), action, schema::LATEST)
}

impl PostgresSource {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(address: &Address, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut place = Place::connect(address, stop)?;
        let checked = place.session.write(async |work| {
            schema::check(work, address.schema()).await?;
            // For now: so that nobody makes a destination for nothing.
            occupancy::take(work).await
        });
        checked.map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(place))
    }
}

impl Source for PostgresSource {
    fn read_out(&mut self, receiver: &mut Receiver<'_>) -> Result<(), StoreError> {
        let Place { address, session } = &mut self.0;
        let read = session.write_within(COPY_WITHIN, async |work| {
            occupancy::take(work).await?;
            read::all(work, receiver).await
        });
        read.map_err(|fault| error(address, fault, "read it"))
    }
}

impl PostgresDestination {
    /// Connects, and makes the schema if there is none.
    pub fn open(address: &Address, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut place = Place::connect(address, stop)?;
        schema::prepare(&mut place.session, address.schema())
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(place))
    }
}

impl Destination for PostgresDestination {
    fn take_in(
        &mut self,
        portions: &mut dyn Iterator<Item = Portion>,
    ) -> Result<Tally, StoreError> {
        let Place { address, session } = &mut self.0;
        let taken = session.write_within(COPY_WITHIN, async |work| {
            occupancy::take(work).await?;
            let origin = read::origin(work).await?;
            if origin.counts != Counts::default() || origin.last_sequence > 0 {
                return Err(Fault::Refused(not_empty(origin.counts)));
            }
            let mut came = Tally::default();
            for portion in portions {
                came.add(&portion);
                write::portion(work, &portion).await?;
            }
            write::numbers_go_on(work).await?;
            let mut kept = Tally::default();
            read::all(work, &mut |portion| {
                kept.add(&portion);
                ControlFlow::Continue(())
            })
            .await?;
            came.difference(&kept)
                .map_or(Ok(kept), |difference| Err(Fault::Refused(difference)))
        });
        taken.map_err(|fault| error(address, fault, "copy another one into it"))
    }
}
