//! One thing to be done when the bell rings, on a thread of its own: whoever rings never waits for it.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use crate::clock::{CancelToken, Notify, Woken};

/// A thread that waits for its bell. Rings during the work count as one. Work that panics is done anew at the next ring.
/// Dropped, it is told to end, and not waited for.
pub(super) struct Errand {
    bell: Notify,
    /// Ends work under way.
    cut: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand")
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}

impl Errand {
    pub(super) fn start(
        name: &str,
        cut: impl Fn() + Send + 'static,
        mut work: impl FnMut(&CancelToken) + Send + 'static,
    ) -> io::Result<Self> {
        let bell = Notify::new(&CancelToken::default());
        let own = bell.clone();
        let errand = name.to_owned();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            while own.wait(None) != Woken::Stopped {
                // What the work keeps between two rings is a fault that lasts and a client: neither is left half-made.
                let done = catch_unwind(AssertUnwindSafe(|| work(own.stop())));
                if done.is_err() {
                    log::error!(
                        "telling the outside died of a fault of this program, trying again with the next news: to={errand}"
                    );
                }
            }
        })?;
        Ok(Self {
            bell,
            cut: Box::new(cut),
            thread: Some(thread),
        })
    }

    pub(super) fn notify(&self) {
        self.bell.notify();
    }

    /// Told to end: the thread, to be waited for.
    pub(super) fn end(mut self) -> Option<JoinHandle<()>> {
        self.tell_to_end();
        self.thread.take()
    }

    fn tell_to_end(&self) {
        // In this order: what is cut must not be taken for a fault.
        self.bell.stop().cancel();
        (self.cut)();
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_errand_that_panicked_is_done_again_at_the_next_ring() {
        let (sender, begun) = mpsc::channel();
        let mut done = 0;
        let errand = Errand::start(
            "errand",
            || {},
            move |_| {
                done += 1;
                sender.send(done).unwrap();
                assert!(done > 1, "the first time fails");
            },
        );
        let errand = errand.unwrap();
        for expected in [1, 2] {
            errand.notify();
            assert_eq!(begun.recv(), Ok(expected));
        }
        errand.end().unwrap().join().unwrap();
    }
}
