//! Events: their types, the JSON document that receivers get, and how a difference becomes an event. Pure.

mod builder;
mod document;
mod draft;
mod event_type;

pub use builder::EventBuilder;
pub use document::{EventDocument, EventTask, UrlChange, UrlCounts};
pub use draft::{EventDraft, MAX_CHANGES};
pub use event_type::EventType;
