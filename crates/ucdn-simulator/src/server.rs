//! Plain sockets: reads requests, sends answers, and breaks them where a fault says so. Knows no API.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clock::StopSignal;
use super::faults::Reply;
use super::response_writer::{self, After};

const MOST_CONNECTIONS: usize = 256;
const MOST_HEAD_BYTES: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
const MOST_BODY_BYTES: usize = 4 << 20;
/// How long a peer may say nothing, within a request or between two.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A request, read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in small letters; of repeated ones the last.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
}

type Respond = dyn Fn(&Request) -> Reply + Send + Sync;

/// A listening socket and the threads behind it; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: StopSignal,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Refuses addresses that others than this machine could reach.
    pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
        if address.ip().is_loopback() {
            return TcpListener::bind(address);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the simulator listens on loopback only, and {address} is not: use 127.0.0.1"),
        ))
    }

    pub(crate) fn start(
        listener: TcpListener,
        respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = StopSignal::default();
        let room = Room {
            stop: stop.clone(),
            respond: Box::new(respond),
            open: Mutex::default(),
        };
        let accepting = thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(move || room.accept(&listener))?;
        Ok(Self {
            address,
            stop,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
        // Wakes the thread that waits in accept; if that fails, it is not waiting there any more.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            // Its panic was reported when it happened.
            let _ = accepting.join();
        }
    }
}

/// What the threads of a server share.
struct Room {
    stop: StopSignal,
    respond: Box<Respond>,
    /// Connections by number, to end their reads at a stop.
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
}

impl Room {
    fn accept(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            for number in 0.. {
                let accepted = listener.accept();
                if self.stop.is_stopped() {
                    break;
                }
                let Ok((stream, _)) = accepted else {
                    self.stop.wait(ACCEPT_PAUSE);
                    continue;
                };
                let stream = Arc::new(stream);
                if !self.admit(number, &stream) {
                    continue;
                }
                let spawned = thread::Builder::new().spawn_scoped(scope, move || {
                    // Trouble on a connection is the peer's, or was asked for.
                    let _ = self.converse(&stream);
                    self.open().remove(&number);
                });
                if spawned.is_err() {
                    self.open().remove(&number);
                }
            }
            for stream in self.open().values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    /// Whether there is room for one more; if not, the connection is closed.
    fn admit(&self, number: u64, stream: &Arc<TcpStream>) -> bool {
        let mut open = self.open();
        let admitted = open.len() < MOST_CONNECTIONS;
        if admitted {
            open.insert(number, Arc::clone(stream));
        }
        admitted
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<TcpStream>>> {
        self.open.lock()
    }

    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let mut buffer = Vec::new();
        while !self.stop.is_stopped() {
            let (reply, keep_alive) = match read_request(stream, &mut buffer)? {
                Incoming::Request(request) => ((self.respond)(&request), request.keep_alive),
                Incoming::Refused(status) => (refusal(status), false),
                Incoming::Closed => return Ok(()),
            };
            if response_writer::send(stream, &reply, keep_alive, &self.stop)? == After::Close {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn refusal(status: u16) -> Reply {
    Reply::json(
        status,
        r#"{"error":"not a request that the simulator reads"}"#.to_owned(),
    )
}

#[derive(Debug)]
enum Incoming {
    Request(Request),
    /// With this HTTP status.
    Refused(u16),
    Closed,
}

/// What a request's head says.
struct Head {
    request: Request,
    bytes: usize,
    body_bytes: usize,
}

fn read_request(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Incoming> {
    let head = loop {
        match parsed(buffer) {
            Ok(Some(head)) => break head,
            Ok(None) if buffer.len() > MOST_HEAD_BYTES => return Ok(Incoming::Refused(431)),
            Ok(None) => {}
            Err(status) => return Ok(Incoming::Refused(status)),
        }
        if !read_more(&mut stream, buffer)? {
            return Ok(Incoming::Closed);
        }
    };
    let end = head.bytes + head.body_bytes;
    while buffer.len() < end {
        if !read_more(&mut stream, buffer)? {
            return Ok(Incoming::Closed);
        }
    }
    let mut request = head.request;
    request.body = buffer.drain(..end).skip(head.bytes).collect();
    Ok(Incoming::Request(request))
}

fn read_more(stream: &mut &TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part)?;
    buffer.extend(part.iter().take(count));
    Ok(count > 0)
}

/// The head, once it is there whole; else the status to refuse it with.
fn parsed(buffer: &[u8]) -> Result<Option<Head>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let bytes = match head.parse(buffer) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(400),
    };
    let request = request_of(&head);
    if request.headers.contains_key("transfer-encoding") {
        return Err(411);
    }
    let body_bytes = match request.headers.get("content-length") {
        Some(length) => length.parse().map_err(|_| 400_u16)?,
        None => 0,
    };
    if body_bytes > MOST_BODY_BYTES {
        return Err(413);
    }
    Ok(Some(Head {
        request,
        bytes,
        body_bytes,
    }))
}

fn request_of(head: &httparse::Request<'_, '_>) -> Request {
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> = head
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_lowercase(), value)
        })
        .collect();
    let asks_to_close = headers
        .get("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Request {
        method: head.method.unwrap_or("GET").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        keep_alive: head.version == Some(1) && !asks_to_close,
        headers,
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_can_reach_are_refused() {
        for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
            let error = Server::listen(address.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
        }
    }

    #[test]
    fn heads_are_refused_with_the_status_that_fits() {
        assert_eq!(parsed(b"nonsense\r\n\r\n").err(), Some(400));
        assert_eq!(
            parsed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").err(),
            Some(411)
        );
        assert_eq!(
            parsed(b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n").err(),
            Some(413)
        );
        assert!(parsed(b"GET / HTTP/1.1\r\n").unwrap().is_none());
    }
}
