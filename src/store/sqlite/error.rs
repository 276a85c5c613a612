//! Errors of the SQLite engine, and which of them mean that the file is damaged.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// Why a statement, or decoding its rows, failed.
#[derive(Debug)]
pub(super) enum SqliteError {
    /// SQLite or its binding reported it.
    Sqlite(Error),
    /// A value that this program never writes.
    Damaged(String),
    /// The file is not damaged, but can't be used; the text says why.
    Refused(String),
}

impl From<Error> for SqliteError {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl SqliteError {
    /// Adds which row it was, if a row is what is wrong.
    pub(super) fn in_row(self, row: impl FnOnce() -> String) -> Self {
        match self {
            Self::Sqlite(error) if is_damage(&error) => {
                Self::Damaged(format!("{}: {error}", row()))
            }
            Self::Damaged(what) => Self::Damaged(format!("{}: {what}", row())),
            other => other,
        }
    }

    /// The store's error for this, met while trying to `action`.
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

/// Whether the file's content is the cause, and not the disk, its permissions or its free space.
///
/// Our statements fit our tables. If SQLite refuses one (`SqlInputError`, the unspecific `Unknown`, a violated constraint), the
/// tables are not as the migrations made them.
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
