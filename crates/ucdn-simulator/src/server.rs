//! A small HTTP/1.1 server on loopback. It can break the protocol on purpose, which server libraries prevent.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::clock::StopSignal;
use super::response_writer::{Connection, HttpResponse, ResponseWriter};

const MAX_CONNECTIONS: usize = 1024;
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
const MAX_BODY_BYTES: usize = 16 << 20;
/// Longest silence of a client within a request or between two requests.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time that a client may leave a response unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept. The usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A complete request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What follows `?`. Empty if there is none.
    pub query: String,
    /// Names in lower case. The last one counts if a name is repeated.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A header by its lower-case name. Empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn connection(&self, version: Option<u8>) -> Connection {
        match version {
            Some(1) if !self.header("connection").eq_ignore_ascii_case("close") => Connection::Keep,
            _ => Connection::Close,
        }
    }
}

type Respond = dyn Fn(HttpRequest) -> HttpResponse + Send + Sync;

/// A running server. Dropping it closes all connections and ends its threads.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: StopSignal,
    sent_bytes: Arc<AtomicU64>,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Binds a socket. An address that other machines can reach is an error.
    pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
        if address.ip().is_loopback() {
            return TcpListener::bind(address);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{address} is not a loopback address; use 127.0.0.1 or [::1]"),
        ))
    }

    /// Answers each request with what `respond` returns. Each connection has a thread.
    pub fn start(
        listener: TcpListener,
        respond: impl Fn(HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = StopSignal::default();
        let sent_bytes = Arc::<AtomicU64>::default();
        let connections = Connections {
            stop: stop.clone(),
            sent_bytes: Arc::clone(&sent_bytes),
            respond: Box::new(respond),
            open: Mutex::default(),
        };
        let acceptor = thread::Builder::new()
            .name("http-server".to_owned())
            .spawn(move || connections.accept(&listener))?;
        Ok(Self {
            address,
            stop,
            sent_bytes,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes it has sent.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.stop();
        // Wakes the thread that waits in accept. If connecting fails, it is not waiting there.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of the thread was reported when it happened.
            let _ = acceptor.join();
        }
    }
}

/// What the threads of a server share.
struct Connections {
    stop: StopSignal,
    sent_bytes: Arc<AtomicU64>,
    respond: Box<Respond>,
    /// By number. A stop shuts them down, which ends blocked reads.
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
}

impl Connections {
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
                    // An error ends the connection: the client left, or a response broke it on purpose.
                    let _ = self.serve(&stream);
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

    /// Registers a connection unless [`MAX_CONNECTIONS`] are open. Returns whether it did.
    fn admit(&self, number: u64, stream: &Arc<TcpStream>) -> bool {
        let mut open = self.open();
        let admitted = open.len() < MAX_CONNECTIONS;
        if admitted {
            open.insert(number, Arc::clone(stream));
        }
        admitted
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<TcpStream>>> {
        self.open.lock()
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let writer = ResponseWriter {
            stream,
            stop: &self.stop,
            sent_bytes: &self.sent_bytes,
        };
        let mut buffer = Vec::new();
        while !self.stop.is_stopped() {
            let (response, wanted) = match read_request(stream, &mut buffer)? {
                Incoming::Request(request, wanted) => ((self.respond)(request), wanted),
                Incoming::Invalid(status) => (HttpResponse::status(status), Connection::Close),
                Incoming::Closed => return Ok(()),
            };
            if writer.send(&response, wanted)? == Connection::Close {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Incoming {
    Request(HttpRequest, Connection),
    /// The status of the response.
    Invalid(u16),
    Closed,
}

/// A request without its body.
struct RequestHead {
    request: HttpRequest,
    connection: Connection,
    head_bytes: usize,
    body_bytes: usize,
}

/// Reads one request. `buffer` keeps what arrived of the next one.
fn read_request(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Incoming> {
    let head = loop {
        match parse_head(buffer) {
            Ok(Some(head)) => break head,
            Ok(None) if buffer.len() > MAX_HEAD_BYTES => return Ok(Incoming::Invalid(431)),
            Ok(None) => {}
            Err(status) => return Ok(Incoming::Invalid(status)),
        }
        if !read_more(&mut stream, buffer)? {
            return Ok(Incoming::Closed);
        }
    };
    let end = head.head_bytes + head.body_bytes;
    while buffer.len() < end {
        if !read_more(&mut stream, buffer)? {
            return Ok(Incoming::Closed);
        }
    }
    let mut request = head.request;
    request.body = buffer.drain(..end).skip(head.head_bytes).collect();
    Ok(Incoming::Request(request, head.connection))
}

fn read_more(stream: &mut &TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part)?;
    buffer.extend(part.iter().take(count));
    Ok(count > 0)
}

/// The head. `Ok(None)` if it has not arrived whole; `Err` is the status of the response to an invalid one.
fn parse_head(buffer: &[u8]) -> Result<Option<RequestHead>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let head_bytes = match head.parse(buffer) {
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
    if body_bytes > MAX_BODY_BYTES {
        return Err(413);
    }
    Ok(Some(RequestHead {
        connection: request.connection(head.version),
        request,
        head_bytes,
        body_bytes,
    }))
}

fn request_of(head: &httparse::Request<'_, '_>) -> HttpRequest {
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = head.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_lowercase(), value)
    });
    HttpRequest {
        method: head.method.unwrap_or("GET").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_other_machines_can_reach_is_refused() {
        for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
            let error = HttpServer::listen(address.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
        }
    }

    #[test]
    fn an_invalid_head_gets_the_status_that_fits() {
        assert_eq!(parse_head(b"nonsense\r\n\r\n").err(), Some(400));
        assert_eq!(
            parse_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").err(),
            Some(411)
        );
        assert_eq!(
            parse_head(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").err(),
            Some(413)
        );
        assert!(parse_head(b"GET / HTTP/1.1\r\n").unwrap().is_none());
    }
}
