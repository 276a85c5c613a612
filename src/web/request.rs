//! What comes in: from bytes to a request, or to the answer that says why not. Pure.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::AllowedHosts;
use crate::web::answer::{Answer, Code};

/// The longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

const MOST_HEADERS: usize = 64;

/// The methods that we know: both only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Head and body.
    Get,
    /// The head alone.
    Head,
}

/// A request that may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Begins with `/`; as it came, percent signs and all.
    pub path: String,
    /// What stood behind `?`, as it came; empty if there was none.
    pub query: String,
}

/// What the bytes so far come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// More of them are needed.
    Unfinished,
    /// A request.
    Whole(Request),
    /// None that we take; this is to be answered.
    Refused(Answer),
}

/// Reads the head of a request. What comes behind it (a body, a second request) is never looked at.
pub(super) fn read(bytes: &[u8], hosts: &AllowedHosts) -> Reading {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= LONGEST_HEAD => judge(&head, hosts),
        Ok(httparse::Status::Partial) if bytes.len() <= LONGEST_HEAD => Reading::Unfinished,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            refused(Code::HeadTooLong, "the head of the request is too long")
        }
        Err(_) => refused(Code::BadRequest, "this is not HTTP/1.1"),
    }
}

fn judge(head: &httparse::Request<'_, '_>, hosts: &AllowedHosts) -> Reading {
    let mut named = head
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host = match (named.next(), named.next(), head.version) {
        (Some(host), None, _) => std::str::from_utf8(host.value).ok(),
        // HTTP/1.0 knows no such header; what sends it is no browser.
        (None, None, Some(0)) => Some("localhost"),
        _ => None,
    };
    let Some(host) = host else {
        return refused(Code::BadRequest, "one readable Host header is needed");
    };
    if !is_allowed(host, hosts) {
        return refused(
            Code::Misdirected,
            "this host name is not one of ours: use an address, or name the host in `hosts` of [http]",
        );
    }
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return refused(Code::MethodNotAllowed, "read-only: GET and HEAD alone"),
    };
    match head.path {
        Some(target) if target.starts_with('/') => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            Reading::Whole(Request {
                method,
                path: path.to_owned(),
                query: query.to_owned(),
            })
        }
        _ => refused(Code::BadRequest, "a path that begins with / is needed"),
    }
}

/// Whether we answer to this `Host`, with or without its port.
fn is_allowed(host: &str, allowed: &AllowedHosts) -> bool {
    let AllowedHosts::Named(names) = allowed else {
        return true;
    };
    if let Some(v6) = host.strip_prefix('[') {
        let address = v6.split_once(']').map_or("", |(address, _)| address);
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || names.contains(&name)
}

fn refused(code: Code, why: &str) -> Reading {
    Reading::Refused(Answer::text(code, format!("{why}\n")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn own() -> AllowedHosts {
        AllowedHosts::Named(BTreeSet::from(["ucdn.example.com".to_owned()]))
    }

    fn code(text: &str) -> Option<Code> {
        match read(text.as_bytes(), &own()) {
            Reading::Refused(answer) => Some(answer.code),
            Reading::Whole(_) => Some(Code::Ok),
            Reading::Unfinished => None,
        }
    }

    #[test]
    fn a_request_is_its_method_its_path_and_its_query() {
        let text = "HEAD /api/tasks?target=shop&x=%2F HTTP/1.1\r\nHost: localhost:9655\r\n\r\n";
        let expected = Request {
            method: Method::Head,
            path: "/api/tasks".to_owned(),
            query: "target=shop&x=%2F".to_owned(),
        };
        assert_eq!(read(text.as_bytes(), &own()), Reading::Whole(expected));
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for() {
        let text = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(code(&text[..end]), None, "{end}");
        }
        assert_eq!(code(text), Some(Code::Ok));
    }

    #[test]
    fn a_name_that_somebody_else_made_mean_this_machine_is_not_answered() {
        for (host, expected) in [
            ("localhost", Code::Ok),
            ("LOCALHOST:9655", Code::Ok),
            ("ucdn.localhost", Code::Ok),
            ("127.0.0.1:9655", Code::Ok),
            ("10.1.2.3", Code::Ok),
            ("[::1]:9655", Code::Ok),
            ("UCDN.example.com:80", Code::Ok),
            ("evil.example.com", Code::Misdirected),
            ("127.0.0.1.evil.example.com", Code::Misdirected),
            ("localhost.evil.example.com", Code::Misdirected),
            ("notlocalhost", Code::Misdirected),
            ("[evil]", Code::Misdirected),
            ("", Code::Misdirected),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(code(&text), Some(expected), "{host}");
            let answered = read(text.as_bytes(), &AllowedHosts::Any);
            assert!(matches!(answered, Reading::Whole(_)), "{host}");
        }
    }

    #[test]
    fn what_is_no_request_of_ours_is_told_why() {
        let host = "Host: localhost\r\n";
        let many = "X: y\r\n".repeat(MOST_HEADERS);
        let long = "y".repeat(LONGEST_HEAD);
        for (text, expected) in [
            (
                format!("POST / HTTP/1.1\r\n{host}\r\n"),
                Code::MethodNotAllowed,
            ),
            (
                format!("get / HTTP/1.1\r\n{host}\r\n"),
                Code::MethodNotAllowed,
            ),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Code::BadRequest),
            ("GET / HTTP/1.0\r\n\r\n".to_owned(), Code::Ok),
            (
                format!("GET / HTTP/1.1\r\n{host}{host}\r\n"),
                Code::BadRequest,
            ),
            (
                format!("GET http://localhost/ HTTP/1.1\r\n{host}\r\n"),
                Code::BadRequest,
            ),
            (format!("GET * HTTP/1.1\r\n{host}\r\n"), Code::BadRequest),
            ("PRI * HTTP/2.0\r\n\r\n".to_owned(), Code::BadRequest),
            ("\u{16}\u{3}\u{1}".to_owned(), Code::BadRequest),
            (
                format!("GET / HTTP/1.1\r\n{host}{many}\r\n"),
                Code::HeadTooLong,
            ),
            (
                format!("GET / HTTP/1.1\r\n{host}X: {long}\r\n\r\n"),
                Code::HeadTooLong,
            ),
            (
                format!("GET / HTTP/1.1\r\n{host}X: {long}"),
                Code::HeadTooLong,
            ),
            (format!("GET /{long}"), Code::HeadTooLong),
        ] {
            assert_eq!(code(&text), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Reading::Whole(request) = read(&bytes, &own()) {
                prop_assert!(request.path.starts_with('/'));
            }
        }

        #[test]
        fn whatever_stands_behind_a_whole_head_changes_nothing(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let head = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let whole = [head.as_slice(), &rest].concat();
            prop_assert_eq!(read(&whole, &own()), read(head, &own()));
        }
    }
}
