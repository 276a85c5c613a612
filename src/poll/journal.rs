//! What a poll says in the log: levels and wording. Decides nothing about when.

use crate::domain::event::{EventDraft, EventType};

/// At the level that the contract gives its type.
pub(super) fn log_event(draft: &EventDraft) {
    let level = match draft.r#type {
        EventType::TaskFailure | EventType::TaskUrlFailure | EventType::TaskVanished => {
            log::Level::Error
        }
        EventType::TaskStalled | EventType::TaskUnknown | EventType::WatchFailing => {
            log::Level::Warn
        }
        _ => log::Level::Info,
    };
    log::log!(level, "{}: {}", draft.r#type.as_str(), draft.summary);
}
