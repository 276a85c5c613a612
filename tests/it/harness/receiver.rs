//! A stub webhook receiver, with waits for what it receives.

use std::ops::Deref;

use serde_json::Value;
use ucdn_simulator::{Delivery, StubReceiver};

use super::eventually;

/// Answers 204 unless the test says otherwise.
pub(crate) struct Receiver(StubReceiver);

impl Deref for Receiver {
    type Target = StubReceiver;

    fn deref(&self) -> &StubReceiver {
        &self.0
    }
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self(StubReceiver::start().unwrap())
    }

    /// Waits until it has accepted this many events, and returns all.
    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} events at the receiver"), || {
            Some(self.events()).filter(|it| it.len() >= count)
        })
    }

    /// Waits until this many requests have arrived, whatever their responses, and returns all.
    pub(crate) fn wait_for_deliveries(&self, count: usize) -> Vec<Delivery> {
        eventually(&format!("{count} requests at the receiver"), || {
            Some(self.deliveries()).filter(|it| it.len() >= count)
        })
    }
}
