//! Writing to stdout and stderr: a full disk is an error, a closed pipe ends the output, and stderr never fails.

use std::io::{self, Write as _};
use std::sync::{Arc, mpsc};
use std::thread::Builder;
use std::time::Duration;

use crate::clock::{CancelToken, Notify};
use crate::logging;

/// How long a write may still take after a stop.
const STOP_GRACE: Duration = Duration::from_millis(500);

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

/// Like [`print()`], but a stop ends the wait for a pipe that nothing reads.
pub(super) fn print_until(text: &Arc<str>, stop: &CancelToken) -> Result<Reader, WriteError> {
    let ended = Notify::new(stop);
    let (sender, result) = mpsc::channel();
    let (notify, shared) = (ended.clone(), Arc::clone(text));
    let printer = Builder::new().name("stdout".to_owned()).spawn(move || {
        let _ = sender.send(print(&shared));
        notify.notify();
    });
    if printer.is_err() {
        return print(text);
    }
    ended.wait(None);
    result
        .recv_timeout(STOP_GRACE)
        .unwrap_or_else(|_| Err(WriteError(io::ErrorKind::TimedOut.into())))
}

/// Writes a line to stderr. A stderr that can't be written changes nothing: there is no better place to say so.
pub(super) fn note(line: &str) {
    let colours = anstream::AutoStream::choice(&io::stderr());
    let mut text = anstream::AutoStream::new(Vec::new(), colours);
    // Writing to a Vec can't fail.
    let _ = text.write_all(line.as_bytes());
    logging::print(&String::from_utf8_lossy(&text.into_inner()));
}
