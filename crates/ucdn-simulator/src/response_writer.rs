//! HTTP responses, and sending them over a socket whole or damaged.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::StopSignal;

/// How much [`Sending::Endless`] announces.
const ENDLESS_BYTES: usize = 1 << 30;
const CHUNK_BYTES: usize = 1 << 16;

/// A response, and how it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// Without `Content-Length` and `Connection`, which the server adds.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Milliseconds between the request and the response.
    pub delay_ms: u64,
    /// What happens on the way.
    pub sending: Sending,
}

/// How a response is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Whole.
    Whole,
    /// Not at all: the connection is reset.
    Reset,
    /// Not at all: the connection is closed.
    Close,
    /// Not at all: the connection stays open until the client closes it.
    Hang,
    /// The connection is reset after this many bytes of the body.
    ResetAfter(usize),
    /// The connection is closed after half of the body that `Content-Length` announced.
    Truncated,
    /// The head arrives one byte at a time, with this many milliseconds between two bytes. The body does not follow.
    DripHeadMs(u64),
    /// The body arrives one byte at a time, with this many milliseconds between two bytes.
    DripMs(u64),
    /// These bytes replace the response. Then the connection is closed.
    Raw(Vec<u8>),
    /// A body of 1 GiB replaces the body.
    Endless,
}

impl HttpResponse {
    /// An empty response with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay_ms: 0,
            sending: Sending::Whole,
        }
    }

    /// Status 200 with this body.
    #[must_use]
    pub fn ok(body: &str) -> Self {
        let mut response = Self::status(200);
        body.as_bytes().clone_into(&mut response.body);
        response
    }

    /// No response: the connection stays open until the client closes it.
    #[must_use]
    pub fn hang() -> Self {
        Self::status(0).sent(Sending::Hang)
    }

    /// The same, sent in this way.
    #[must_use]
    pub fn sent(mut self, sending: Sending) -> Self {
        self.sending = sending;
        self
    }

    /// The same with this header. An existing one of the same name is replaced.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.set_header(name, value);
        self
    }

    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(existing, _)| existing != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The body, if the client receives all of it and it is text.
    pub(crate) fn whole_body(&self) -> Option<String> {
        match self.sending {
            Sending::Whole | Sending::DripMs(_) => String::from_utf8(self.body.clone()).ok(),
            _ => None,
        }
    }

    fn head(&self, body_bytes: usize, connection: Connection) -> String {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            // A line break in a value would forge headers.
            let value = value.replace(['\r', '\n'], " ");
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let connection = match connection {
            Connection::Keep => "keep-alive",
            Connection::Close => "close",
        };
        let _ = write!(
            head,
            "Content-Length: {body_bytes}\r\nConnection: {connection}\r\n\r\n"
        );
        head
    }
}

/// What happens to the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Keep,
    Close,
}

/// Sends responses over one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseWriter<'a> {
    pub(crate) stream: &'a TcpStream,
    pub(crate) stop: &'a StopSignal,
    /// Bytes sent over all connections of the server.
    pub(crate) sent_bytes: &'a AtomicU64,
}

impl ResponseWriter<'_> {
    /// Sends the response. `wanted` is what the client asked for the connection.
    pub(crate) fn send(
        self,
        response: &HttpResponse,
        wanted: Connection,
    ) -> io::Result<Connection> {
        if self.stop.wait(Duration::from_millis(response.delay_ms)) {
            return Ok(Connection::Close);
        }
        let connection = match response.sending {
            Sending::Whole | Sending::DripMs(_) => wanted,
            _ => Connection::Close,
        };
        let body = response.body.as_slice();
        let head = response.head(body.len(), connection);
        let head = head.as_bytes();
        match &response.sending {
            Sending::Whole => {
                self.write(head)?;
                self.write(body)?;
            }
            Sending::Reset => self.reset()?,
            Sending::Close => {}
            Sending::Hang => self.wait_for_client()?,
            Sending::ResetAfter(bytes) => {
                self.write(head)?;
                self.write(body.get(..*bytes).unwrap_or(body))?;
                self.reset()?;
            }
            Sending::Truncated => {
                self.write(head)?;
                self.write(body.get(..body.len() / 2).unwrap_or(body))?;
                self.stream.shutdown(Shutdown::Write)?;
            }
            Sending::DripHeadMs(pause_ms) => self.drip(head, *pause_ms)?,
            Sending::DripMs(pause_ms) => {
                self.write(head)?;
                self.drip(body, *pause_ms)?;
            }
            Sending::Raw(bytes) => self.write(bytes)?,
            Sending::Endless => {
                self.write(response.head(ENDLESS_BYTES, connection).as_bytes())?;
                let chunk = vec![b'x'; CHUNK_BYTES];
                for _ in 0..ENDLESS_BYTES / CHUNK_BYTES {
                    self.write(&chunk)?;
                }
            }
        }
        Ok(connection)
    }

    fn write(mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.sent_bytes.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Makes closing send a reset. The caller must close the connection without sending more.
    fn reset(self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(self.stream, Some(Duration::ZERO))?;
        Ok(())
    }

    fn wait_for_client(mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)?;
        let mut buffer = [0; 1024];
        while self.stream.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn drip(self, bytes: &[u8], pause_ms: u64) -> io::Result<()> {
        for byte in bytes {
            self.write(std::slice::from_ref(byte))?;
            if self.stop.wait(Duration::from_millis(pause_ms)) {
                break;
            }
        }
        Ok(())
    }
}
