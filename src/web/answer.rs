//! What goes out: a status, a body, and the headers that every answer carries.

use crate::domain::model::Timestamp;
use crate::domain::text::sanitize_json;
use crate::web::request::Method;

/// The statuses that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 200.
    Ok,
    /// 400: the request can't be read.
    BadRequest,
    /// 404.
    NotFound,
    /// 405: neither GET nor HEAD.
    MethodNotAllowed,
    /// 421: it was meant for another host.
    Misdirected,
    /// 431: the head of the request is too long.
    HeadTooLong,
    /// 500: our own fault.
    Broken,
    /// 503: not now.
    Unavailable,
}

impl Code {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Misdirected => "421 Misdirected Request",
            Self::HeadTooLong => "431 Request Header Fields Too Large",
            Self::Broken => "500 Internal Server Error",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// An answer in the making. Header values are fixed texts: nothing from outside gets into a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub code: Code,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Content-Security-Policy`: what a browser may load for this body. By default, nothing at all.
    pub policy: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// A browser must not guess types, show us in a frame, keep what it was shown, or tell others where it was.
const ALWAYS: &str = "X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n";

impl Answer {
    /// A plain text.
    #[must_use]
    pub fn text(code: Code, body: impl Into<String>) -> Self {
        Self {
            code,
            content_type: "text/plain; charset=utf-8",
            policy: "default-src 'none'; frame-ancestors 'none'",
            body: body.into().into_bytes(),
        }
    }

    /// JSON, sanitized.
    #[must_use]
    pub fn json(code: Code, body: &str) -> Self {
        Self {
            content_type: "application/json",
            ..Self::text(code, sanitize_json(body))
        }
    }

    /// The bytes that go out.
    pub(super) fn bytes(&self, method: Method, now: Timestamp) -> Vec<u8> {
        let allow = match self.code {
            Code::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nContent-Security-Policy: {}\r\n{ALWAYS}{allow}\r\n",
            self.code.line(),
            httpdate::fmt_http_date(now.into()),
            self.content_type,
            self.body.len(),
            self.policy,
        );
        let mut bytes = head.into_bytes();
        if method == Method::Get {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}
