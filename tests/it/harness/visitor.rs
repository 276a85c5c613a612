//! HTTP client of the tests: sends any bytes and reads the whole answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Program, eventually};

/// Only a hang reaches this timeout.
const PATIENCE: Duration = Duration::from_secs(60);

/// Paths that need no parameter.
pub(crate) const PAGES: [&str; 6] = [
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/tasks",
    "/api/events",
];

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// Status line and headers as received.
    head: String,
    pub(crate) body: String,
}

impl Page {
    /// The header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines();
        let mut values =
            lines.filter_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
        values.next().map_or("", |(_, value)| value)
    }
}

/// The listening address, from the last such log line.
pub(crate) fn address_of(program: &Program) -> SocketAddr {
    eventually("the address in the log", || {
        let log = program.log();
        let (_, rest) = log.rsplit_once("listening: address=")?;
        rest.split_once('\n')?.0.trim().parse().ok()
    })
}

/// A connection with read and write timeouts.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.set_write_timeout(Some(PATIENCE)).unwrap();
    connection
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Page {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
}

/// Sends these bytes and reads the answer to its end.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: &str) -> Page {
    let mut connection = connect(address);
    // The server may close before the request is sent in full.
    let _ = connection.write_all(request.as_bytes());
    read(connection).unwrap_or_else(|| panic!("no answer to {request:.200}"))
}

/// `None` if the connection closed without an answer.
fn read(mut connection: TcpStream) -> Option<Page> {
    let mut bytes = Vec::new();
    // Keeps what was read before a reset.
    let _ = connection.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Page {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
