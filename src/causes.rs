//! An error and why it came about, as one line: for logs, and for the last words of a command.

use std::error::Error;

/// The error, and each of its causes behind a colon.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
