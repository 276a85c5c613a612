//! `format = "json"`: the event's document as stored.

use std::borrow::Cow;

use super::outgoing::OutgoingEvent;

pub(super) const CONTENT_TYPE: &str = "application/json";

pub(super) fn body<'a>(events: &[OutgoingEvent<'a>]) -> Cow<'a, [u8]> {
    let document = events.first().map_or("", |event| event.document);
    Cow::Borrowed(document.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_the_stored_bytes() {
        let document = r#"{"version":1, "summary":"刷新"}"#;
        let body = body(&[OutgoingEvent {
            id: "evt_1",
            document,
        }]);
        assert_eq!(*body, *document.as_bytes());
    }
}
