//! Poll threads: one per poll under way. Their results reach the main loop through a channel.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::supervisor::spawn_guarded;
use crate::clock::Notify;
use crate::domain::model::TargetName;
use crate::poll::{PollReport, Poller};

/// The end of a poll.
#[derive(Debug)]
pub(super) struct PollFinished {
    pub(super) target: TargetName,
    /// `None` if the poll panicked. The state holds the pages that it had committed.
    pub(super) report: Option<PollReport>,
}

/// Spawns poll threads and collects their results.
#[derive(Debug)]
pub(super) struct PollThreads {
    sender: mpsc::Sender<PollFinished>,
    receiver: mpsc::Receiver<PollFinished>,
    daemon: Notify,
}

impl PollThreads {
    /// Each result notifies `daemon`.
    pub(super) fn new(daemon: Notify) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            sender,
            receiver,
            daemon,
        }
    }

    /// Starts a thread that polls once.
    pub(super) fn spawn(&self, target: &TargetName, poller: Arc<Poller>) -> io::Result<()> {
        let (sender, daemon) = (self.sender.clone(), self.daemon.clone());
        let target_name = target.clone();
        let report_result = move |report| {
            let target = target_name;
            // Fails if the daemon has stopped meanwhile. The state holds the poll's result.
            let _ = sender.send(PollFinished { target, report });
            daemon.notify();
        };
        let poll = move || poller.poll();
        spawn_guarded(format!("poll {target}"), poll, report_result).map(drop)
    }

    /// A result that has come in.
    pub(super) fn try_result(&self) -> Option<PollFinished> {
        self.receiver.try_recv().ok()
    }

    /// The next result. `None` if there is none within `timeout`.
    pub(super) fn wait_for_result(&self, timeout: Duration) -> Option<PollFinished> {
        self.receiver.recv_timeout(timeout).ok()
    }
}
