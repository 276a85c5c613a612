//! One thing to be done when the bell rings, on a thread of its own: whoever rings never waits for it.

use std::fmt;
use std::io;
use std::thread::{Builder, JoinHandle};

use crate::clock::{Bell, Stop, Woken};

/// A thread that waits for its bell. Rings during the work count as one. Dropped, it is told to end, and not waited for.
pub(super) struct Errand {
    bell: Bell,
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
        mut work: impl FnMut(&Stop) + Send + 'static,
    ) -> io::Result<Self> {
        let bell = Bell::new(&Stop::default());
        let own = bell.clone();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            while own.wait(None) != Woken::Stopped {
                work(own.stop());
            }
        })?;
        Ok(Self {
            bell,
            cut: Box::new(cut),
            thread: Some(thread),
        })
    }

    pub(super) fn ring(&self) {
        self.bell.ring();
    }

    /// Told to end: the thread, to be waited for.
    pub(super) fn end(mut self) -> Option<JoinHandle<()>> {
        self.tell_to_end();
        self.thread.take()
    }

    fn tell_to_end(&self) {
        // In this order: what is cut must not be taken for a fault.
        self.bell.stop().request();
        (self.cut)();
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}
