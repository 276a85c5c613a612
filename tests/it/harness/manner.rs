//! Ways in which the stub receiver answers: whole, or broken.

use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::patience::pause;

const GIBIBYTE: u64 = 1 << 30;

/// How an answer is sent.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// In full.
    Whole,
    /// In full with this body.
    Says(String),
    /// Never.
    Hang,
    /// The connection is reset instead.
    Reset,
    /// These bytes instead, then the connection closes.
    Raw(Vec<u8>),
    /// The head, byte by byte.
    DripHead,
    /// The head, then the body byte by byte.
    DripBody,
    /// The head, then a body of 1 GiB.
    Pour,
}

/// Whether the connection can carry another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
}

/// Answers. `head` is the status line and the headers without `Content-Length`. `poured` counts the bytes sent of a huge body.
pub(super) fn send(
    reader: &mut BufReader<TcpStream>,
    manner: &Manner,
    head: &str,
    poured: &AtomicU64,
) -> io::Result<After> {
    match manner {
        Manner::Whole => return whole(reader.get_mut(), head, ""),
        Manner::Says(body) => return whole(reader.get_mut(), head, body),
        Manner::Hang => wait_for_its_end(reader)?,
        Manner::Reset => {
            let stream = reader.get_ref();
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        Manner::Raw(bytes) => reader.get_mut().write_all(bytes)?,
        Manner::DripHead => drip(reader.get_mut(), head.as_bytes())?,
        Manner::DripBody => {
            let whole = format!("{head}Content-Length: 1000\r\n\r\n");
            reader.get_mut().write_all(whole.as_bytes())?;
            drip(reader.get_mut(), &[b'x'; 1000])?;
        }
        Manner::Pour => pour(reader.get_mut(), head, poured)?,
    }
    Ok(After::Close)
}

fn whole(stream: &mut TcpStream, head: &str, body: &str) -> io::Result<After> {
    let length = body.len();
    let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes())?;
    Ok(After::Keep)
}

/// Returns when the client closes the connection.
fn wait_for_its_end(reader: &mut BufReader<TcpStream>) -> io::Result<()> {
    io::copy(reader, &mut io::sink()).map(|_| ())
}

fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        pause(Duration::from_millis(300));
    }
    Ok(())
}

fn pour(stream: &mut TcpStream, head: &str, poured: &AtomicU64) -> io::Result<()> {
    let head = format!("{head}Content-Length: {GIBIBYTE}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let chunk = vec![b'x'; 1 << 16];
    while poured.load(Ordering::Relaxed) < GIBIBYTE {
        stream.write_all(&chunk)?;
        poured.fetch_add(1 << 16, Ordering::Relaxed);
    }
    Ok(())
}
