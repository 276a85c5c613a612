//! HTTP responses of a fixed content type. The headers that every response carries are added by the router.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use maud::Markup;

use crate::domain::text::sanitize_json;

/// `Content-Security-Policy` of a page: a browser loads only what this server serves, and runs nothing inline.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Response {
    with_type(status, "text/plain; charset=utf-8", body.into())
}

/// JSON text, with characters that could steer a terminal escaped.
pub(super) fn json(status: StatusCode, body: &str) -> Response {
    let body = sanitize_json(body).into_owned();
    with_type(status, "application/json", body)
}

pub(super) fn html(status: StatusCode, body: Markup) -> Response {
    let policy = [(CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    (
        policy,
        with_type(status, "text/html; charset=utf-8", body.into_string()),
    )
        .into_response()
}

/// A response of another type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}
