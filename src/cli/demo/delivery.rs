//! One webhook delivery of `demo`, as its receiver checked it.

use crate::domain::event::EventDocument;

/// One request.
#[derive(Debug)]
pub(super) struct DemoDelivery {
    /// `webhook-id`.
    pub(super) id: String,
    pub(super) event: EventDocument,
    pub(super) signature: SignatureCheck,
    pub(super) urgency: Urgency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureCheck {
    Ok,
    Wrong,
}

/// Which of the two webhooks an event was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    OnCall,
    Chat,
}
