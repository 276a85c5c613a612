//! Errors of the PostgreSQL engine, by what the caller does next.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::Severity;

use crate::domain::model::TargetName;
use crate::store::StoreError;

/// Why a statement, or decoding its rows, failed.
#[derive(Debug)]
pub(super) enum PostgresError {
    /// The server or the connection reported it.
    Postgres(Error),
    /// No answer for this long.
    Timeout(Duration),
    /// Encryption can't be set up as the URL asks for it.
    Tls(Box<dyn std::error::Error + Send + Sync>),
    /// A row holds a value that this program never writes.
    Unreadable(String),
    /// The server works, but this program can't use what it offers; the text says why.
    Refused(String),
    /// The schema has this version, which is later than ours.
    TooNew(i64),
    /// Another instance owns the target now, or owned it between our read and our write.
    LeaseLost(TargetName),
    /// Instances use the state.
    InUse,
    /// There is no connection, and it is too early to reconnect.
    NotConnected,
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl PostgresError {
    /// Whether the session must be dropped: the connection is gone, or it is unknown what the server did.
    pub(super) fn breaks_the_session(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Postgres(error) => match error.as_db_error() {
                Some(reported) => matches!(
                    reported.parsed_severity(),
                    Some(Severity::Fatal | Severity::Panic)
                ),
                // A value or row that does not fit is not the connection's fault.
                None => {
                    error.is_closed()
                        || error
                            .source()
                            .is_some_and(<dyn std::error::Error>::is::<io::Error>)
                }
            },
            _ => false,
        }
    }

    /// Adds which row it was, if a row is what is wrong.
    pub(super) fn in_row(self, row: impl FnOnce() -> String) -> Self {
        match self {
            Self::Unreadable(what) => Self::Unreadable(format!("{}: {what}", row())),
            other => other,
        }
    }

    /// The store's error for this, met while trying to `action`. Never [`StoreError::Damaged`]: a database that others use
    /// can't be set aside.
    pub(super) fn into_error(self, state: &str, action: &'static str, known: i64) -> StoreError {
        let source: Box<dyn std::error::Error + Send + Sync> = match self {
            Self::TooNew(found) => {
                return StoreError::TooNew {
                    state: state.to_owned(),
                    found,
                    known,
                };
            }
            Self::InUse => {
                return StoreError::Held {
                    state: state.to_owned(),
                    holder: None,
                };
            }
            Self::Postgres(error) => Box::new(error),
            Self::Timeout(limit) => {
                format!("no answer within {}", humantime::format_duration(limit)).into()
            }
            Self::Tls(error) => error,
            Self::Unreadable(what) => format!("a row can't be read: {what}").into(),
            Self::Refused(why) => why.into(),
            Self::LeaseLost(target) => {
                format!("another instance owns target `{target}` now; nothing was written").into()
            }
            Self::NotConnected => "there is no connection to it".into(),
        };
        StoreError::Unusable {
            state: state.to_owned(),
            action,
            source,
        }
    }
}
