//! What the program is told to do from outside: stop, reload. Signals become control here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::{register, register_conditional_shutdown};
use signal_hook::iterator::Signals;

use crate::clock::{CancelToken, Notify};

/// Shared by whoever gives control and whoever obeys.
#[derive(Clone, Debug)]
pub struct Control {
    /// Ends everything.
    pub stop: CancelToken,
    /// Wakes the daemon.
    pub(super) bell: Notify,
    reload: Arc<AtomicBool>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// No control yet.
    #[must_use]
    pub fn new() -> Self {
        let stop = CancelToken::default();
        Self {
            bell: Notify::new(&stop),
            stop,
            reload: Arc::default(),
        }
    }

    /// Control a reload. Several before the first is obeyed are one.
    pub fn request_reload(&self) {
        self.reload.store(true, Ordering::SeqCst);
        self.bell.notify();
    }

    pub(super) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::SeqCst)
    }

    /// From now on SIGTERM and SIGINT stop, a second one of them ends the process at once, and SIGHUP reloads.
    pub fn install(&self) -> io::Result<()> {
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
        }
        // A file that may not grow (`ulimit -f`) is a failed write like any other, and not the end.
        register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let control = self.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if signal == SIGHUP {
                        control.request_reload();
                    } else {
                        stopping.store(true, Ordering::SeqCst);
                        control.stop.cancel();
                    }
                }
            })?;
        Ok(())
    }
}
