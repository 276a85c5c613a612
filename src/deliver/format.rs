//! How an event becomes a request's body: one file a format. Pure, and the same bytes for the same event.

use crate::config::Format;

mod json;

/// A request's body, ready to be signed and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body<'a> {
    /// `Content-Type`.
    pub(super) content_type: &'static str,
    /// The bytes.
    pub(super) bytes: &'a [u8],
}

/// Lays an event's document out as `format` wants it.
#[must_use]
pub(super) fn body(format: Format, document: &str) -> Body<'_> {
    match format {
        Format::Json => json::body(document),
    }
}
