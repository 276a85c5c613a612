//! What ends a wait from outside: the time that is up, and signals. One stop ends every pause and the call under way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::clock::{CancelToken, Woken};
use crate::daemon::signals;
use crate::ucdn::client::ApiClient;

/// No signal's number.
const TIME_UP: i32 = 0;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// All tasks are finished.
    Finished,
    /// The time is up.
    TimeUp,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// The end, as it comes from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) stop: CancelToken,
    /// The signal that came, or [`TIME_UP`].
    reason: Arc<AtomicI32>,
}

impl Ending {
    /// From now on the time runs and signals count; a second signal ends the process at once.
    pub(super) fn watch(&self, client: &Arc<ApiClient>, timeout: Duration) -> io::Result<()> {
        let (ending, cut) = (self.clone(), Arc::clone(client));
        signals::install(&[SIGTERM, SIGINT], move |signal| ending.end(signal, &cut))?;
        let (ending, cut) = (self.clone(), Arc::clone(client));
        thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || {
                if ending.stop.sleep(timeout) == Woken::TimedOut {
                    ending.end(TIME_UP, &cut);
                }
            })?;
        Ok(())
    }

    /// Why the stop came.
    pub(super) fn cause(&self) -> Cause {
        match self.reason.load(Ordering::SeqCst) {
            SIGINT => Cause::Interrupted,
            SIGTERM => Cause::Terminated,
            _ => Cause::TimeUp,
        }
    }

    /// The first reason holds.
    fn end(&self, reason: i32, client: &ApiClient) {
        if !self.stop.is_cancelled() {
            self.reason.store(reason, Ordering::SeqCst);
        }
        self.stop.cancel();
        client.shut_down();
    }
}
