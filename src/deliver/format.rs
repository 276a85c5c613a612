//! How events become a request's body: one file a format. Pure, and the same bytes for the same events.

use super::Outgoing;
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

/// How many events one request carries at the most.
pub(super) fn events_a_request(format: Format) -> usize {
    match format {
        Format::Json => 1,
    }
}

/// Lays events out as `format` wants them; at least one, and at most [`events_a_request`].
pub(super) fn body<'a>(format: Format, events: &[Outgoing<'a>]) -> Body<'a> {
    match format {
        Format::Json => json::body(events),
    }
}
