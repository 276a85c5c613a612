//! `format = "json"`: the event's own document, as the state keeps it.

use super::Body;
use crate::deliver::Outgoing;

pub(super) fn body<'a>(events: &[Outgoing<'a>]) -> Body<'a> {
    Body {
        content_type: "application/json",
        bytes: events.first().map_or("", |event| event.document).as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_bytes_are_sent() {
        let body = body(&[Outgoing {
            id: "evt_1",
            document: r#"{"version":1, "summary":"刷新"}"#,
        }]);
        assert_eq!(body.content_type, "application/json");
        assert_eq!(body.bytes, r#"{"version":1, "summary":"刷新"}"#.as_bytes());
    }
}
