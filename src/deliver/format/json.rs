//! `format = "json"`: the event's own document, as the state keeps it.

use super::Body;

pub(super) fn body(document: &str) -> Body<'_> {
    Body {
        content_type: "application/json",
        bytes: document.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stored_bytes_are_sent() {
        let body = super::body(r#"{"version":1, "summary":"刷新"}"#);
        assert_eq!(body.content_type, "application/json");
        assert_eq!(body.bytes, r#"{"version":1, "summary":"刷新"}"#.as_bytes());
    }
}
