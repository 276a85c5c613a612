//! A session that is opened again when it has broken, but not at every call: a server that is away would be asked without end.

use std::sync::Arc;
use std::time::Duration;

use super::error::PostgresError;
use super::session::{Role, Session};
use super::url::ConnectUrl;
use crate::clock::{CancelToken, Clock};

/// Between two attempts to connect.
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// One session at a time. At first there is none.
#[derive(Debug)]
pub(super) struct Reconnect {
    address: ConnectUrl,
    role: Role,
    clock: Arc<dyn Clock>,
    stop: CancelToken,
    session: Option<Session>,
    again_at: Duration,
    is_over: bool,
}

impl Reconnect {
    pub(super) fn new(
        address: &ConnectUrl,
        role: Role,
        clock: &Arc<dyn Clock>,
        stop: &CancelToken,
    ) -> Self {
        Self {
            address: address.clone(),
            role,
            clock: Arc::clone(clock),
            stop: stop.clone(),
            session: None,
            again_at: Duration::ZERO,
            is_over: false,
        }
    }

    /// The session, if there is one that is sound.
    pub(super) fn sound(&mut self) -> Result<&mut Session, PostgresError> {
        let session = self.session.as_mut();
        session
            .filter(|it| it.is_sound())
            .ok_or(PostgresError::Away)
    }

    /// A sound session: a new one, if need be, is taken into use by `begin`, or not at all.
    pub(super) fn renewed(
        &mut self,
        begin: impl FnOnce(&mut Session) -> Result<(), PostgresError>,
    ) -> Result<&mut Session, PostgresError> {
        if self.sound().is_err() {
            self.session = None;
            let now = self.clock.monotonic();
            if self.is_over || now < self.again_at {
                return Err(PostgresError::Away);
            }
            self.again_at = now.saturating_add(RECONNECT_EVERY);
            let mut session = Session::open(&self.address, self.role, &self.stop)?;
            begin(&mut session)?;
            self.session = Some(session);
        }
        self.sound()
    }

    /// Gives the session up. The next [`Reconnect::renewed`] opens another one.
    pub(super) fn close(&mut self) {
        self.session = None;
    }

    /// Gives the session up for good.
    pub(super) fn end(&mut self) {
        self.close();
        self.is_over = true;
    }
}
