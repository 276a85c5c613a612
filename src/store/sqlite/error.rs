//! What goes wrong inside SQLite, sorted by what the caller does next. Owns the line between damage and the rest.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// Why a statement, or the reading of its rows, failed.
#[derive(Debug)]
pub(super) enum SqliteError {
    /// SQLite or its binding said so.
    Sqlite(Error),
    /// What was read can't have been written by us.
    Damaged(String),
    /// Sound, but nothing that we can use.
    Refused(String),
}

impl From<Error> for SqliteError {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl SqliteError {
    /// Names the row that was read, if that is what is wrong.
    pub(super) fn in_row(self, row: impl FnOnce() -> String) -> Self {
        match self {
            Self::Sqlite(error) if is_damage(&error) => {
                Self::Damaged(format!("{}: {error}", row()))
            }
            Self::Damaged(what) => Self::Damaged(format!("{}: {what}", row())),
            other => other,
        }
    }

    /// The error of the state at `state`, when this came of trying to `action`.
    pub(super) fn into_error(self, state: &str, action: &'static str) -> StoreError {
        let state = state.to_owned();
        match self {
            Self::Sqlite(error) if is_damage(&error) => StoreError::Damaged {
                state,
                what: error.to_string(),
            },
            Self::Damaged(what) => StoreError::Damaged { state, what },
            Self::Sqlite(error) => StoreError::Unusable {
                state,
                action,
                source: Box::new(error),
            },
            Self::Refused(why) => StoreError::Unusable {
                state,
                action,
                source: why.into(),
            },
        }
    }
}

/// Whether the file's content is to blame, and not the disk, its permissions or its fullness.
///
/// Our statements fit our tables: if one is refused (`SqlInputError`, SQLite's unspecific `Unknown`, a violated
/// constraint), the tables are not those that we made.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown
        ),
        Error::SqlInputError { .. }
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    }
}
