//! What goes wrong between us and the server, sorted by what the caller does next.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::Severity;

use crate::domain::model::TargetName;
use crate::store::StoreError;

/// Why a statement, or the reading of its rows, failed.
#[derive(Debug)]
pub(super) enum PostgresError {
    /// The server or the connection said so.
    Engine(Error),
    /// No answer for this long.
    Unanswered(Duration),
    /// Encryption can't be set up as the URL asks for it.
    Setup(Box<dyn std::error::Error + Send + Sync>),
    /// What was read can't have been written by us.
    Damage(String),
    /// Sound, but nothing that we can use.
    Refused(String),
    /// A version that we don't know.
    TooNew(i64),
    /// The target is another instance's now, or was between what we read and what we meant to write.
    NotOurs(TargetName),
    /// Instances watch with it.
    Held,
    /// There is no connection, and it is too early to try again.
    Away,
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl PostgresError {
    /// Whether the session is of no more use: the connection is gone, or what the server did is not known.
    pub(super) fn breaks_the_session(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Engine(error) => match error.as_db_error() {
                Some(said) => matches!(
                    said.parsed_severity(),
                    Some(Severity::Fatal | Severity::Panic)
                ),
                // Our own values or rows that did not fit are no fault of the connection's.
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

    /// Names the row that was read, if that is what is wrong.
    pub(super) fn in_row(self, row: impl FnOnce() -> String) -> Self {
        match self {
            Self::Damage(what) => Self::Damage(format!("{}: {what}", row())),
            other => other,
        }
    }

    /// The error of the state at `state`, when this came of trying to `action`. Never [`StoreError::Damaged`]: a database
    /// that others use is nothing to be set aside.
    pub(super) fn into_error(self, state: &str, action: &'static str, known: i64) -> StoreError {
        let source: Box<dyn std::error::Error + Send + Sync> = match self {
            Self::TooNew(found) => {
                return StoreError::TooNew {
                    state: state.to_owned(),
                    found,
                    known,
                };
            }
            Self::Held => {
                return StoreError::Held {
                    state: state.to_owned(),
                    holder: None,
                };
            }
            Self::Engine(error) => Box::new(error),
            Self::Unanswered(limit) => {
                format!("no answer within {}", humantime::format_duration(limit)).into()
            }
            Self::Setup(error) => error,
            Self::Damage(what) => format!("a row can't be read: {what}").into(),
            Self::Refused(why) => why.into(),
            Self::NotOurs(target) => {
                format!("target `{target}` is another instance's now, and nothing was written")
                    .into()
            }
            Self::Away => "there is no connection to it".into(),
        };
        StoreError::Unusable {
            state: state.to_owned(),
            action,
            source,
        }
    }
}
