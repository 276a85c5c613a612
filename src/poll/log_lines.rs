//! What a poll says in the log. Concludes nothing.

use crate::event::EventDraft;

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// One line for an event, as loud as its type asks for.
pub(super) fn log_event(draft: &EventDraft) {
    use crate::event::EventType as T;
    let level = match draft.r#type {
        T::TaskFailure | T::TaskUrlFailure | T::TaskVanished => log::Level::Error,
        T::TaskStalled | T::TaskUnknown | T::WatchFailing => log::Level::Warn,
        _ => log::Level::Info,
    };
    log::log!(level, "{}: {}", draft.r#type.as_str(), draft.summary);
}
