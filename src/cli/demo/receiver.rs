//! A webhook receiver on loopback: takes what the daemon sends, checks who signed it, and passes it to the narrator.

use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::narrator::{Delivery, Narrator, Signature, Tally, Urgency};
use super::signature::Signed;
use crate::clock::{CancelToken, Clock};
use crate::domain::event::EventDocument;

/// Where the events go that wake somebody.
pub(super) const ON_CALL_PATH: &str = "/on-call";

const MOST_REQUEST_BYTES: usize = 1 << 20;
const MOST_HEADERS: usize = 32;
const IO_TIMEOUT: Duration = Duration::from_secs(2);
/// After a failed accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound receiver that does not answer yet.
#[derive(Debug)]
pub(super) struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
    key: Vec<u8>,
}

/// A receiver at work.
#[derive(Debug)]
pub(super) struct Receiving {
    address: SocketAddr,
    stop: CancelToken,
    thread: JoinHandle<Narrator>,
}

impl Receiver {
    pub(super) fn bind(key: &[u8]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            key: key.to_vec(),
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn start(self, narrator: Narrator, clock: Arc<dyn Clock>) -> io::Result<Receiving> {
        let stop = CancelToken::default();
        let (address, stopped) = (self.address, stop.clone());
        let thread = thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || self.receive(narrator, &*clock, &stopped))?;
        Ok(Receiving {
            address,
            stop,
            thread,
        })
    }

    /// One connection after the other, each for one request: what came first is told first.
    fn receive(self, mut narrator: Narrator, clock: &dyn Clock, stop: &CancelToken) -> Narrator {
        loop {
            let accepted = self.listener.accept();
            if stop.is_cancelled() {
                return narrator;
            }
            match accepted {
                // A peer that breaks off sends again.
                Ok((stream, _)) => drop(self.answer(stream, &mut narrator, clock)),
                Err(_) => drop(stop.sleep(ACCEPT_PAUSE)),
            }
        }
    }

    fn answer(
        &self,
        mut stream: TcpStream,
        narrator: &mut Narrator,
        clock: &dyn Clock,
    ) -> io::Result<()> {
        stream.set_read_timeout(Some(IO_TIMEOUT))?;
        stream.set_write_timeout(Some(IO_TIMEOUT))?;
        let request = read_request(&mut stream)?;
        let delivery = request.delivery(&self.key, clock);
        let status = match (delivery.event.event_type(), delivery.signature) {
            (_, Signature::Wrong) => "401 Unauthorized",
            (None, Signature::Ok) => "400 Bad Request",
            (Some(_), Signature::Ok) => "204 No Content",
        };
        narrator.tell(&delivery);
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    }
}

impl Receiving {
    /// Ends it, and says what it has received.
    pub(super) fn stop(self) -> Tally {
        self.stop.cancel();
        // Wakes the thread that waits in accept.
        let _ = TcpStream::connect(self.address);
        // Its panic was reported when it happened.
        self.thread
            .join()
            .map(Narrator::into_tally)
            .unwrap_or_default()
    }
}

/// A request, read to its end.
#[derive(Debug, Default)]
struct Request {
    path: String,
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

impl Request {
    fn delivery(&self, key: &[u8], clock: &dyn Clock) -> Delivery {
        let signed = Signed {
            id: &self.id,
            timestamp: &self.timestamp,
            signature: &self.signature,
            body: &self.body,
        };
        let signature = if signed.is_by(key, clock.now()) {
            Signature::Ok
        } else {
            Signature::Wrong
        };
        Delivery {
            id: self.id.clone(),
            event: EventDocument::read(&String::from_utf8_lossy(&self.body)),
            signature,
            urgency: if self.path == ON_CALL_PATH {
                Urgency::WakesSomebody
            } else {
                Urgency::CanWait
            },
        }
    }
}

fn read_request(stream: &mut impl Read) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(request) = parse(&bytes)? {
            return Ok(request);
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 || bytes.len() > MOST_REQUEST_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

/// None: there is more to come.
fn parse(bytes: &[u8]) -> io::Result<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(head_length) = parsed else {
        return Ok(None);
    };
    let mut request = Request {
        path: head.path.unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let mut length = 0;
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "webhook-id" => request.id = value,
            "webhook-timestamp" => request.timestamp = value,
            "webhook-signature" => request.signature = value,
            _ => {}
        }
    }
    let body = bytes.get(head_length..).unwrap_or_default();
    Ok(body.get(..length).map(|body| {
        request.body = body.to_vec();
        request
    }))
}
