//! Signals: SIGTERM and SIGINT stop the program, a second one ends it at once, SIGHUP reloads the config.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::{register, register_conditional_shutdown};
use signal_hook::iterator::Signals;

use crate::clock::{CancelToken, Notify};

/// Calls `on_signal` with the number of each of these `signals`, on a thread of its own. A second SIGTERM or SIGINT ends the
/// process at once, with exit code 128 + its number.
pub fn install(signals: &[i32], mut on_signal: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
    }
    let mut signals = Signals::new(signals)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if matches!(signal, SIGTERM | SIGINT) {
                    stopping.store(true, Ordering::SeqCst);
                }
                on_signal(signal);
            }
        })?;
    Ok(())
}

/// Controls a running daemon from other threads: stop, reload, wake.
#[derive(Clone, Debug)]
pub struct Control {
    /// Stops the daemon and everything that waits.
    pub stop: CancelToken,
    /// Wakes the daemon's main loop.
    pub(super) notify: Notify,
    reload: Arc<AtomicBool>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// Nothing is requested yet.
    #[must_use]
    pub fn new() -> Self {
        let stop = CancelToken::default();
        Self {
            notify: Notify::new(&stop),
            stop,
            reload: Arc::default(),
        }
    }

    /// Requests a reload. Several requests before the daemon takes the first one count as one.
    pub fn request_reload(&self) {
        self.reload.store(true, Ordering::SeqCst);
        self.notify.notify();
    }

    pub(super) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::SeqCst)
    }

    /// Connects the daemon's signals: SIGTERM and SIGINT stop, SIGHUP reloads. See [`install`].
    pub fn install(&self) -> io::Result<()> {
        // Without a handler SIGXFSZ ends the process. With one, a file that may not grow (`ulimit -f`) is a failed write.
        register(SIGXFSZ, Arc::default())?;
        let control = self.clone();
        install(&[SIGTERM, SIGINT, SIGHUP], move |signal| {
            if signal == SIGHUP {
                control.request_reload();
            } else {
                control.stop.cancel();
            }
        })
    }
}
