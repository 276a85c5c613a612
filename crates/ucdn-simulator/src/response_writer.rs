//! Sends one answer over a socket, whole or broken. Owns the breaking; decides nothing about it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::clock::StopSignal;
use super::faults::{Ending, Reply};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It can carry another request.
    Keep,
    /// It is to be closed.
    Close,
}

pub(crate) fn send(
    mut stream: &TcpStream,
    reply: &Reply,
    keep_alive: bool,
    stop: &StopSignal,
) -> io::Result<After> {
    if stop.wait(Duration::from_millis(reply.delay_ms)) {
        return Ok(After::Close);
    }
    let stays = keep_alive && matches!(reply.ending, Ending::Whole | Ending::DripMs(_));
    if reply.ending == Ending::ResetBefore {
        return reset(stream);
    }
    let body = reply.body.as_slice();
    stream.write_all(head(reply, stays).as_bytes())?;
    match reply.ending {
        Ending::Whole | Ending::ResetBefore => stream.write_all(body)?,
        Ending::ResetAfter(bytes) => {
            stream.write_all(body.get(..bytes).unwrap_or(body))?;
            return reset(stream);
        }
        Ending::Truncated => {
            stream.write_all(body.get(..body.len() / 2).unwrap_or(body))?;
            stream.shutdown(Shutdown::Write)?;
        }
        Ending::DripMs(pause) => drip(stream, body, Duration::from_millis(pause), stop)?,
    }
    Ok(if stays { After::Keep } else { After::Close })
}

fn head(reply: &Reply, stays: bool) -> String {
    let reason = http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    let connection = if stays { "keep-alive" } else { "close" };
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", reply.status);
    for (name, value) in &reply.headers {
        // A value with a line end would forge headers.
        let value = value.replace(['\r', '\n'], " ");
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let length = reply.body.len();
    let _ = write!(
        head,
        "Content-Length: {length}\r\nConnection: {connection}\r\n\r\n"
    );
    head
}

/// With no time to linger, closing sends a reset; the caller must close without another word.
fn reset(stream: &TcpStream) -> io::Result<After> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(After::Close)
}

fn drip(mut stream: &TcpStream, body: &[u8], pause: Duration, stop: &StopSignal) -> io::Result<()> {
    for byte in body {
        stream.write_all(std::slice::from_ref(byte))?;
        if stop.wait(pause) {
            break;
        }
    }
    Ok(())
}
