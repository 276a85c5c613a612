//! How a poll tells the daemon that it has ended: also one that died, of a fault of the program's own.

use std::sync::mpsc;

use crate::clock::Notify;
use crate::domain::model::TargetName;
use crate::poll::PollReport;

/// A poll's end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) target: TargetName,
    /// None: it died. What it had seen is in the state.
    pub(super) report: Option<PollReport>,
}

/// Where the ends of polls come in.
#[derive(Debug)]
pub(super) struct Reports {
    sender: mpsc::Sender<Ended>,
    pub(super) receiver: mpsc::Receiver<Ended>,
}

/// What a poll's thread has with it: tells of the end when it is dropped, which a panic does too.
pub(super) struct Messenger {
    ended: Option<Ended>,
    sender: mpsc::Sender<Ended>,
    bell: Notify,
}

impl Reports {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }

    pub(super) fn messenger(&self, target: TargetName, bell: Notify) -> Messenger {
        let report = None;
        Messenger {
            ended: Some(Ended { target, report }),
            sender: self.sender.clone(),
            bell,
        }
    }
}

impl Messenger {
    pub(super) fn tell(mut self, report: PollReport) {
        if let Some(ended) = &mut self.ended {
            ended.report = Some(report);
        }
    }
}

impl Drop for Messenger {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            // The daemon may have stopped meanwhile; what matters is in the state.
            let _ = self.sender.send(ended);
        }
        self.bell.notify();
    }
}
