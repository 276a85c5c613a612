//! Writing to stdout and stderr: a full disk is an error, a closed pipe ends the output, and stderr never fails.

use std::io::{self, Write as _};

/// Whether anything still reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The text was written.
    Present,
    /// The pipe is closed, as by `head`: its reader wants no more. This is no error.
    Gone,
}

/// stdout can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write to stdout; the output is incomplete")]
pub(super) struct WriteError(#[source] io::Error);

/// Writes `text` to stdout and flushes it. Removes colours if stdout is no terminal.
pub(super) fn print(text: &str) -> Result<Reader, WriteError> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Ok(()) => Ok(Reader::Present),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(WriteError(error)),
    }
}

/// Writes a line to stderr. A stderr that can't be written changes nothing: there is no better place to say so.
pub(super) fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
