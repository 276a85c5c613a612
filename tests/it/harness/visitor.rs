//! Somebody who looks in over HTTP: asks well or badly, and reads to the end what comes back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Program, eventually};

/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What there is to look at without a parameter.
pub(crate) const PAGES: [&str; 6] = [
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/tasks",
    "/api/events",
];

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// Names as they came.
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

/// Where the program says that it listens, by the last word of its log.
pub(crate) fn address_of(program: &Program) -> SocketAddr {
    eventually("the address in the log", || {
        let log = program.log();
        let (_, rest) = log.rsplit_once("listening: address=")?;
        rest.split_once('\n')?.0.trim().parse().ok()
    })
}

/// A connection that is given up if nothing comes.
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
    // Whoever has heard enough may close before all is sent.
    let _ = connection.write_all(request.as_bytes());
    read(connection).unwrap_or_else(|| panic!("no answer to {request:.200}"))
}

/// None: the connection ended without one.
fn read(mut connection: TcpStream) -> Option<Page> {
    let mut bytes = Vec::new();
    // Also what was read before a reset counts.
    let _ = connection.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Page {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
